# SPDX-License-Identifier: GPL-2.0-or-later
"""The access file: roles, users and tokens, one a line; secrets only as hashes.

    role switchboard webconference.* read:monitoring.*
    token panel switchboard sha256:<salt>:<hash>
    user alice admin,switchboard scrypt:15:8:1:<salt>:<hash>
    anonymous stats reader

A password can be guessed, so its hash is a slow one (scrypt, RFC 7914). A token's secret are 256 random bits, which nobody guesses: a quick
hash does, and lets a good token pass while others guess from the same address. Tokens with a scrypt hash, as they were made before, work on.

Written with mode 0600 and refused when anybody else can read it. `anonymous` gives roles to callers of a transport that show nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from di.access.rules import BUILT_IN_ROLES, NAME, AccessRules, Role, StoredCredential
from di.kernel.errors import ConfigError
from di.kernel.text import without_mark

_LOG2_N, _R, _P = 15, 8, 1
"""32 MiB and about 60 ms a try."""
_QUICK = "sha256"
_MAX_FILE_BYTES = 1 << 20
FORMS = {
    "role": "role NAME PATTERN…",
    "user": "user NAME ROLE[,ROLE] HASH",
    "token": "token NAME ROLE[,ROLE] HASH",
    "anonymous": "anonymous TRANSPORT ROLE[,ROLE]",
}


def new_token(name: str) -> tuple[str, str]:
    """Make a token: what the client shows, and the hash to keep."""
    secret = secrets.token_urlsafe(32)
    salt = secrets.token_bytes(16)
    return f"{name}.{secret}", f"{_QUICK}:{_text(salt)}:{_text(_quick(secret, salt))}"


def hash_secret(secret: str) -> str:
    """Hash a password or a token's secret with a new salt. Takes about 60 ms."""
    salt = secrets.token_bytes(16)
    digest = _scrypt(secret, salt, _LOG2_N, _R, _P)
    return f"scrypt:{_LOG2_N}:{_R}:{_P}:{_text(salt)}:{_text(digest)}"


def is_quick(hashed: str) -> bool:
    """Whether `verify_secret` takes microseconds with this hash, not 60 ms."""
    return hashed.startswith(f"{_QUICK}:")


def verify_secret(secret: str, hashed: str) -> bool:
    """Whether a secret belongs to a hash. Unless that `is_quick` it takes about 60 ms: never in the loop."""
    if is_quick(hashed):
        salt, digest = parse_quick_hash(hashed)
        return hmac.compare_digest(_quick(secret, salt), digest)
    log2_n, r, p, salt, digest = parse_hash(hashed)
    return hmac.compare_digest(_scrypt(secret, salt, log2_n, r, p), digest)


def parse_quick_hash(hashed: str) -> tuple[bytes, bytes]:
    """Read `sha256:salt:hash`. Raises ValueError for anything else."""
    parts = hashed.split(":")
    if len(parts) != 3 or parts[0] != _QUICK:
        raise ValueError("the hash must read sha256:salt:hash; `cordboard token add` writes it")
    salt, digest = (base64.b64decode(part, altchars=b"-_", validate=True) for part in parts[1:])
    if len(salt) < 8 or len(digest) != 32:
        raise ValueError("a sha256 hash has 8 bytes of salt or more, and 32 bytes")
    return salt, digest


def _quick(secret: str, salt: bytes) -> bytes:
    return hmac.digest(salt, secret.encode("utf-8", "surrogateescape"), _QUICK)


def parse_hash(hashed: str) -> tuple[int, int, int, bytes, bytes]:
    """Read `scrypt:log2N:r:p:salt:hash`.

    Raises ValueError for anything else or for costs that would stop the machine.
    """
    parts = hashed.split(":")
    if len(parts) != 6 or parts[0] != "scrypt" or not all(part.isascii() and part.isdecimal() for part in parts[1:4]):
        raise ValueError("the hash must read scrypt:log2N:r:p:salt:hash; `cordboard token add` writes it")
    log2_n, r, p = (int(part[:4]) for part in parts[1:4])
    salt, digest = (base64.b64decode(part, altchars=b"-_", validate=True) for part in parts[4:])
    if not (10 <= log2_n <= 20 and 1 <= r <= 16 and 1 <= p <= 4 and len(salt) >= 8 and len(digest) == 32):
        raise ValueError("scrypt parameters out of range: log2N 10–20, r 1–16, p 1–4, salt 8 bytes or more, hash 32 bytes")
    return log2_n, r, p, salt, digest


def _scrypt(secret: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    maxmem_bytes = 130 * r * (1 << log2_n) + (1 << 20)
    return hashlib.scrypt(
        secret.encode("utf-8", "surrogateescape"), salt=salt, n=1 << log2_n, r=r, p=p, maxmem=maxmem_bytes, dklen=32
    )


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii")


def parse(text: str, file: str) -> AccessRules:
    """Read an access file's text. Raises ConfigError with line and the right form; never shows a hash."""
    rules = AccessRules()
    wanted: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        form = FORMS.get(words[0])
        if form is None:
            raise ConfigError(file, number, words[0][:40], f"is none of: {', '.join(FORMS)}")
        if len(words) < 3 or (words[0] != "role" and len(words) != len(form.split())):
            raise ConfigError(file, number, words[0], f"right is: {form}")
        if not NAME.fullmatch(words[1]):
            raise ConfigError(
                file, number, words[0], f"{words[1]!r:.80} is no name; letters, digits, - and _ are, up to 64 of them"
            )
        try:
            wanted += [(number, role) for role in _take(rules, words)]
        except ValueError as error:
            raise ConfigError(file, number, f"{words[0]} {words[1]}", str(error)) from error
    for number, role in wanted:
        if role not in rules.roles:
            raise ConfigError(file, number, role[:64], f"there is no such role; known: {', '.join(sorted(rules.roles))}")
    return rules


def _take(rules: AccessRules, words: list[str]) -> tuple[str, ...]:
    """Add one line to the rules; return the roles that it mentions. Raises ValueError."""
    what, name = words[:2]
    if what == "role":
        if name in BUILT_IN_ROLES:
            raise ValueError("is built in and cannot be redefined")
        if name in rules.roles:
            raise ValueError("is defined twice")
        rules.roles[name] = Role.of(name, words[2:])
        return ()
    roles = tuple(words[2].split(","))
    if what == "anonymous":
        rules.anonymous[name] = roles
        return roles
    if name in rules.credentials:
        raise ValueError("the name is used twice; users and tokens share one list of names")
    if what == "token" and is_quick(words[3]):
        parse_quick_hash(words[3])
    else:
        parse_hash(words[3])
    rules.credentials[name] = StoredCredential(name, what, roles, words[3])
    return roles


def read(path: Path) -> AccessRules:
    """Read an access file.

    Raises ConfigError for a bad line, a file that others can read, or one that cannot be read.
    """
    try:
        with open(path, "rb") as file:
            check_mode(path, os.fstat(file.fileno()))
            raw = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(str(path), 0, "", f"cannot be read: {error.strerror}") from error
    if len(raw) > _MAX_FILE_BYTES:
        raise ConfigError(str(path), 0, "", f"is longer than {_MAX_FILE_BYTES} bytes")
    try:
        return parse(without_mark(raw).decode("utf-8"), str(path))
    except ValueError as error:
        raise ConfigError(str(path), 0, "", "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"is {error}") from error


def check_mode(path: Path, status: os.stat_result) -> None:
    """Refuse a file that anybody but its owner may read or write."""
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(str(path), 0, "", "is no regular file")
    if status.st_mode & 0o077:
        raise ConfigError(str(path), 0, "", f"has mode {stat.S_IMODE(status.st_mode):04o}; others could read it: chmod 0600")


def rewrite(path: Path, lines: list[str]) -> None:
    """Replace the file at once: a reader sees the old or the new one, and nobody else may read either."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
