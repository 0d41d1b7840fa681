# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import io
from pathlib import Path

import pytest

from di.access import file as access_file
from di.server.token_cli import main


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.secrets"


def run(path: Path, *words: str) -> int:
    return main(["--file", str(path), *words])


def test_a_token_is_shown_once_and_works(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(path, "add", "panel", "--role", "operator", "--role", "reader") == 0
    token = capsys.readouterr().out.strip()
    name, _, secret = token.partition(".")
    credential = access_file.read(path).credentials[name]
    assert credential.roles == ("operator", "reader")
    assert access_file.verify_secret(secret, credential.hash)
    assert secret not in path.read_text()
    assert run(path, "list") == 0
    out = capsys.readouterr().out
    assert "panel" in out and credential.hash not in out


def test_a_user_has_a_password_from_standard_input(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    assert run(path, "add", "alice", "--role", "admin", "--user") == 0
    credential = access_file.read(path).credentials["alice"]
    assert credential.kind == "user"
    assert access_file.verify_secret("correct horse", credential.hash)


@pytest.mark.parametrize("password", ["short", "x" * 257, "tab\tinside it"])
def test_poor_passwords_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
    assert run(path, "add", "alice", "--role", "admin", "--user") == 1
    assert not path.exists()


def test_remove_leaves_the_rest(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(path, "add", "panel", "--role", "operator")
    run(path, "add", "other", "--role", "reader")
    path.write_text("# mine\n" + path.read_text())
    assert run(path, "remove", "panel") == 0
    assert list(access_file.read(path).credentials) == ["other"]
    assert path.read_text().startswith("# mine\n")
    assert run(path, "remove", "panel") == 1
    assert "no token or user 'panel'" in capsys.readouterr().err


def test_wrong_requests_change_nothing(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(path, "add", "panel", "--role", "boss") == 255
    assert "there is no such role" in capsys.readouterr().err
    assert run(path, "add", "pa nel", "--role", "reader") == 1
    assert not path.exists()
    run(path, "add", "panel", "--role", "reader")
    before = path.read_text()
    assert run(path, "add", "panel", "--role", "reader") == 255
    assert path.read_text() == before


def test_the_configuration_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "sems.conf").write_text("")
    (tmp_path / "access.conf").write_text("access_file=sub/mine\n")
    assert main(["-f", str(tmp_path / "sems.conf"), "add", "panel", "--role", "reader"]) == 0
    assert "panel" in access_file.read(tmp_path / "sub" / "mine").credentials
    assert main(["-f", str(tmp_path / "none.conf"), "list"]) == 255
