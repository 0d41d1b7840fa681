# SPDX-License-Identifier: GPL-2.0-or-later
"""The command: what it prints, where it plays to, its exit status; what a configuration's applications miss."""

from __future__ import annotations

import shutil
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
import soundfile

from di.spoken.cli import main, what_applications_miss
from di.spoken.tones import melody, write
from tests.unit.di.spoken.test_maker import SPEAKER

ROOT = Path(__file__).parents[4]


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A configuration with two prompts, whose engine is a program of the test."""
    (tmp_path / "speaker.py").write_text(SPEAKER)
    (tmp_path / "prompts").mkdir()
    for language, hello in (("en", "Hello"), ("de", "Guten Tag")):
        (tmp_path / "prompts" / f"{language}.txt").write_text(f"hello = {hello}\nannrecorder/beep = ~1000:150\n")
    said = tmp_path / "said.txt"
    (tmp_path / "prompts.conf").write_text(f'tts_command="{sys.executable} {tmp_path / "speaker.py"} {{wav}} {said}"\n')
    path = tmp_path / "sems.conf"
    path.write_text("load_plugins=echo\napplication=echo\n")
    return path


def run(conf: Path, *arguments: str) -> int:
    return main(["-f", str(conf), *arguments])


def test_build_list_and_clear(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(conf, "list") == 1
    assert "4 missing" in capsys.readouterr().out
    assert run(conf, "build", "de") == 0 and run(conf, "list") == 1
    assert run(conf, "build") == 0 and run(conf, "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "4 spoken"
    assert any(line.startswith("de/hello ") and line.endswith("s  Guten Tag") and "spoken" in line for line in lines)
    assert run(conf, "clear") == 0 and "12 removed" in capsys.readouterr().out
    assert not list(conf.parent.rglob("*.wav"))


def test_an_engine_that_is_not_there(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (conf.parent / "prompts.conf").write_text('tts_command="no-such-engine -w {wav}"\n')
    assert run(conf, "build") == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and "there is no program no-such-engine (tts_command in prompts.conf); 6 files are tones" in told[0]


def test_an_engine_that_fails_is_not_told_of_hundreds_of_times(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (conf.parent / "prompts.conf").write_text('tts_command="false {wav}"\nlanguages=en\n')
    (conf.parent / "prompts" / "en.txt").write_text("".join(f"p{n} = sentence {n}\n" for n in range(20)))
    assert run(conf, "build") == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 7 and told[0] == "cordboard: en/p0: false ended with status 1: it said nothing" and "15 more" in told[5]


@pytest.mark.parametrize(
    ("name", "file"), [("hello", "en/hello"), ("de/hello", "de/hello"), ("annrecorder/beep", "annrecorder/beep")]
)
def test_play_into_a_pipe(conf: Path, name: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(conf, "build")
    out = TextIOWrapper(BytesIO())
    monkeypatch.setattr(sys, "stdout", out)
    assert run(conf, "play", name) == 0
    assert out.buffer.getvalue() == (conf.parent / "prompts" / f"{file}.wav").read_bytes()  # type: ignore[attr-defined]


def test_play_at_another_rate(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(conf, "build")
    out = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(out))
    assert run(conf, "play", "hello", "--rate", "8000") == 0
    assert soundfile.info(BytesIO(out.getvalue())).samplerate == 8000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("play", "nothing"), "en.txt has no prompt 'nothing'"),
        (("play", "hello", "--rate", "11025"), "16000, 8000"),
        (("play", "hello"), "make it: cordboard prompts build"),
    ],
)
def test_play_what_is_not_there(conf: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(conf, *arguments) == 1
    assert said in capsys.readouterr().err


def test_what_is_wrong_in_the_configuration(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(conf, "build", "fr") == 255 and "fr is none of `languages`" in capsys.readouterr().err
    (conf.parent / "prompts.conf").write_text("languages=en;fr\n")
    assert run(conf, "build") == 255 and "fr.txt" in capsys.readouterr().err
    (conf.parent / "prompts.conf").write_text("tts_command=espeak-ng\n")
    assert run(conf, "build") == 255 and "prompts.conf:1: tts_command" in capsys.readouterr().err


def test_missing_for_each_loaded_application(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each application is asked itself, with its own configuration: a look-up that changes is followed."""
    etc = tmp_path / "etc"
    shutil.copytree(ROOT / "etc", etc, ignore=shutil.ignore_patterns("setup", "*.wav", "8000"))
    (etc / "sems.conf").write_text(
        f"load_plugins=announcement;conference;webconference\napplication=echo\nplugin_config_path={etc}/\n"
    )
    for name in (
        "default",
        "first_participant",
        "beep",
        "wrong_pin",
        "wrong_pin_bye",
        "entering_conference",
        *map(str, range(9)),
    ):
        write(etc / "prompts" / f"{name}.wav", melody(name))
    assert what_applications_miss(etc / "sems.conf")[:2] == [
        f"webconference: prompt enter_pin: there is no file {etc}/prompts/enter_pin.wav",
        f"webconference: prompt 9: there is no file {etc}/prompts/9.wav",
    ]
    (etc / "prompts" / "default.wav").unlink()
    assert any("announcement.conf" in line and "default_announce" in line for line in what_applications_miss(etc / "sems.conf"))
    assert main(["-f", str(etc / "sems.conf"), "missing"]) == 1
    told = capsys.readouterr()
    assert "de/welcome: missing" in told.out and "are to be made: cordboard prompts build" in told.err
