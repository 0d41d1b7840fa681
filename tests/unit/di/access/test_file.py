# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.access import file as access_file
from di.access.file import hash_secret, new_token, parse, parse_hash, read, rewrite, verify_secret
from di.kernel.errors import ConfigError

HASH = hash_secret("correct horse")


def test_a_secret_is_verified_by_its_hash_only() -> None:
    assert verify_secret("correct horse", HASH)
    assert not verify_secret("correct horsf", HASH)
    assert hash_secret("correct horse") != HASH, "every hash has its own salt"
    assert "horse" not in HASH


def test_a_token_is_long_and_verifies() -> None:
    token, hashed = new_token("panel")
    name, _, secret = token.partition(".")
    assert name == "panel"
    assert len(secret) >= 43
    assert verify_secret(secret, hashed)
    assert new_token("panel")[0] != token


def test_a_whole_file() -> None:
    text = f"""
# comment
role desk webconference.* read:monitoring.*   # behind a line too
token panel desk {HASH}
user alice admin,desk {HASH}
anonymous stats reader
"""
    rules = parse(text, "f")
    assert rules.roles["desk"].patterns == ("webconference.*", "read:monitoring.*")
    assert rules.credentials["alice"].roles == ("admin", "desk")
    assert rules.credentials["panel"].kind == "token"
    assert rules.anonymous == {"stats": ("reader",)}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tokn panel reader x", "f:2: tokn: is none of: role, user, token, anonymous"),
        ("token panel reader", "f:2: token: right is: token NAME"),
        ("token panel reader {HASH} more", "f:2: token: right is: token NAME"),
        ("role x", "f:2: role: right is: role NAME PATTERN"),
        ("token pa.nel reader {HASH}", "f:2: token: 'pa.nel' is no name"),
        ("token panel boss {HASH}", "f:2: boss: there is no such role; known: admin, attendant, operator, reader"),
        ("token panel reader,boss {HASH}", "f:2: boss: there is no such role"),
        ("token panel reader password", "f:2: token panel: the hash must read scrypt:"),
        ("token panel reader scrypt:30:8:1:AAAAAAAAAAA=:" + "A" * 43 + "=", "parameters out of range"),
        ("token panel reader scrypt:15:8:1:x:y", "f:2: token panel: "),
        ("token panel reader sha256:x:y", "f:2: token panel: "),
        ("token panel reader sha256:AAAA:" + "A" * 43 + "=", "8 bytes of salt or more"),
        ("user panel reader sha256:AAAAAAAAAAA=:" + "A" * 43 + "=", "f:2: user panel: the hash must read scrypt:"),
        ("role admin *", "f:2: role admin: is built in"),
        ("role desk **", "f:2: role desk: '**' is no pattern"),
        ("user alice reader {HASH}\ntoken alice reader {HASH}", "f:3: token alice: the name is used twice"),
        ("role a *\nrole a *", "f:3: role a: is defined twice"),
        ("anonymous stats nobody", "f:2: nobody: there is no such role"),
    ],
    ids=lambda text: text.replace(HASH, "HASH"),  # every worker makes a hash of its own
)
def test_errors_name_line_and_what_is_right(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"# first\n{line.replace('{HASH}', HASH)}\n", "f")
    assert message in str(caught.value)
    assert HASH not in str(caught.value)


WORDS = st.sampled_from(
    ["role", "user", "token", "anonymous", "reader", "a", "*", "m.*", HASH, "#", ",", "scrypt:15:8:1:", "\0", "é", "\n"]
)


@given(st.lists(WORDS | st.text(max_size=8)).map(" ".join))
def test_any_text_is_rules_or_a_config_error(text: str) -> None:
    try:
        rules = parse(text, "f")
    except ConfigError as error:
        assert str(error).startswith("f")
    else:
        assert all(role in rules.roles for c in rules.credentials.values() for role in c.roles)


@given(st.text(max_size=60) | st.lists(st.integers(0, 99999).map(str) | st.just("scrypt")).map(":".join))
def test_any_hash_is_read_or_refused(text: str) -> None:
    try:
        log2_n, r, p, _, digest = parse_hash(text)
    except ValueError:
        return
    assert log2_n <= 20 and r <= 16 and p <= 4 and len(digest) == 32


def test_written_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "access.secrets"
    rewrite(path, ["# one", f"token panel reader {HASH}"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert "panel" in read(path).credentials
    rewrite(path, ["# one"])
    assert read(path).credentials == {}
    assert [p.name for p in path.parent.iterdir()] == ["access.secrets"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o700 | 0o010])
def test_a_file_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "access.secrets"
    rewrite(path, [])
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 0600"):
        read(path)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read(tmp_path / "none")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read(tmp_path)
    path = tmp_path / "f"
    rewrite(path, [])
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read(path)
    path.write_bytes(b"#" * (access_file._MAX_FILE_BYTES + 1))
    with pytest.raises(ConfigError, match="is longer than"):
        read(path)
