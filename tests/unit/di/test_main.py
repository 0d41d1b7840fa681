# SPDX-License-Identifier: GPL-2.0-or-later
"""The command: what it prints and its exit status, without starting a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.__main__ import main


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("di.kernel.logs.set_up", lambda *_: None)  # pytest's own handlers stay
    path = tmp_path / "sems.conf"
    path.write_text("load_plugins=echo\napplication=echo\n")
    return path


def test_check_config_good(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "-f", str(conf)]) == 0
    assert "good. Plug-ins: echo. Application: echo" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["check-config", "serve"])
def test_bad_configuration_is_255_and_one_line(conf: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    conf.write_text("sip_port=70000\n")
    assert main([command, "-f", str(conf)]) == 255
    shown = capsys.readouterr().err
    assert shown == f"cordboard: {conf}:1: sip_port: 70000 is not a whole number from 0 to 65535\n"


def test_options_override_the_file(conf: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORDBOARD_LOGLEVEL", "1")
    assert main(["check-config", "-f", str(conf), "-D", "loud"]) == 255
    assert "command line: loglevel: 'loud' cannot be used" in capsys.readouterr().err


def test_sems_options_without_a_command_mean_serve(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf.write_text("loglevel=loud\n")
    assert main(["-f", str(conf), "-E", "-D", "3x"]) == 255
    assert "loglevel" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "status"), [(["-h"], 0), (["-v"], 0), (["nonsense"], 1)])
def test_usage(arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == status
    shown = capsys.readouterr()
    assert "cordboard" in shown.out + shown.err


def test_unknown_option_is_1_with_short_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--nope"])
    assert caught.value.code == 1
    assert "usage: cordboard serve" in capsys.readouterr().err


def test_prompts(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (conf.parent / "prompts").mkdir()
    for language in ("en", "de"):
        (conf.parent / "prompts" / f"{language}.txt").write_text("beep = ~1000:150\n")
    assert main(["prompts", "-f", str(conf), "build"]) == 0
    assert (conf.parent / "prompts" / "beep.wav").stat().st_size > 1000
    assert main(["prompts", "-f", str(conf), "build"]) == 0
    assert ": 0 made" in capsys.readouterr().out.splitlines()[-1]
