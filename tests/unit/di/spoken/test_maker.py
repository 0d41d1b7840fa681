# SPDX-License-Identifier: GPL-2.0-or-later
"""What a build makes, keeps, never touches; and what it does where nothing can speak. The engine is a small program of the test."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from di.spoken.maker import Maker, PromptState
from di.spoken.options import Options
from di.spoken.tones import melody, render

SPEAKER = """
import math, struct, sys, wave
with open(sys.argv[2], "a") as file: file.write(sys.stdin.read())
with wave.open(sys.argv[1], "wb") as file:
    file.setnchannels(1); file.setsampwidth(2); file.setframerate(22050)
    file.writeframes(b"".join(struct.pack("<h", round(3000 * math.sin(n / 8))) for n in range(9000)))
"""


class Desk:
    """A folder with two lists and an engine that notes what it says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "prompts"
        self.folder.mkdir()
        (folder / "speaker.py").write_text(SPEAKER)
        self._said = folder / "said.txt"
        self.options = Options(tts_command=f"{sys.executable} {folder / 'speaker.py'} {{wav}} {self._said}")
        self.write("en", "hello = Hello\nbeep = ~1000:150\n")
        self.write("de", "hello = Guten Tag\nbeep = ~1000:150\n")

    def write(self, language: str, text: str) -> None:
        (self.folder / f"{language}.txt").write_text(text)

    def maker(self, **changes: object) -> Maker:
        return Maker(self.folder, replace(self.options, **changes))  # type: ignore[arg-type]

    def said(self) -> list[str]:
        """Since the last time, sorted."""
        lines = sorted(self._said.read_text().splitlines()) if self._said.exists() else []
        self._said.write_text("")
        return lines

    def states(self, **changes: object) -> set[PromptState]:
        maker = self.maker(**changes)
        return {maker.state(wanted, file) for wanted in maker.wanted() for file in wanted.files}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_all_files_and_nothing_twice(desk: Desk) -> None:
    report = desk.maker().build()
    assert (report.made, report.kept, report.failures) == (12, 0, [])
    assert desk.said() == ["Guten Tag", "Hello"], "once a sentence, for all rates and places"
    found = {path.relative_to(desk.folder).as_posix() for path in desk.folder.rglob("*.wav")}
    assert {"hello.wav", "en/hello.wav", "de/hello.wav", "8000/hello.wav", "8000/de/beep.wav"} <= found and len(found) == 12
    assert soundfile.info(desk.folder / "de/hello.wav").samplerate == 16000
    assert soundfile.info(desk.folder / "8000/de/hello.wav").samplerate == 8000
    assert (desk.folder / "hello.wav").read_bytes() == (desk.folder / "en/hello.wav").read_bytes()
    again = desk.maker().build()
    assert (again.made, again.kept, desk.said()) == (0, 12, [])


def test_what_has_changed_is_said_anew(desk: Desk) -> None:
    desk.maker().build()
    desk.said()
    desk.write("de", "hello = Grüß Gott\nbeep = ~1000:150\n")
    assert PromptState.OLD in desk.states()
    assert desk.maker().build().made == 2 and desk.said() == ["Grüß Gott"]
    assert desk.maker(tts_voices=(("en", "en-us"),)).build().made == 4 and desk.said() == ["Hello"], "another voice"
    desk.maker(tts_command=desk.options.tts_command.replace("{wav}", "{wav} ")).build()
    assert desk.said() == ["Grüß Gott", "Hello"], "another command"
    desk.maker(level=-26.0).build()
    assert desk.said() == ["Grüß Gott", "Hello"], "another level"


def test_own_recordings_stay(desk: Desk) -> None:
    desk.maker().build()
    own = desk.folder / "de" / "hello.wav"
    own.unlink()
    soundfile.write(own, render(((700, 100),)), 8000)
    before = own.read_bytes()
    desk.write("de", "hello = Moin\nbeep = ~1000:150\n")
    report = desk.maker().build()
    assert own.read_bytes() == before and report.own == [own]
    assert desk.maker().clear() == 11 and own.exists()
    assert not (desk.folder / "8000").exists()
    desk.maker().build(force=True)
    assert own.read_bytes() != before


def test_without_an_engine_there_are_tones_until_there_is_one(desk: Desk) -> None:
    report = desk.maker(tts_command="no-such-engine {wav}").build()
    assert (report.made, report.stand_ins, report.failures) == (12, 6, [])
    again = desk.maker(tts_command="no-such-engine {wav}").build()
    assert (again.made, again.kept, again.stand_ins) == (0, 12, 6), "tones are made once, and told of each time"
    assert desk.states(tts_command="no-such-engine {wav}") == {PromptState.TONES, PromptState.SPOKEN}
    samples, _ = soundfile.read(desk.folder / "8000" / "hello.wav", dtype="int16")
    assert (samples == render(melody("hello"), 8000)).all()
    assert desk.maker().build().made == 6 and desk.said() == ["Guten Tag", "Hello"]
    assert desk.states() == {PromptState.SPOKEN}
    desk.write("en", "hello = Good morning\nbeep = ~1000:150\n")
    assert desk.maker(tts_command="no-such-engine {wav}").build().made == 0, "older words are better than tones"


def test_an_engine_that_fails(desk: Desk) -> None:
    report = desk.maker(tts_command="false {wav}").build()
    assert report.stand_ins == 6
    assert sorted(report.failures) == [f"{name}/hello: false ended with status 1: it said nothing" for name in ("de", "en")]


def test_a_folder_that_cannot_be_written(desk: Desk) -> None:
    (desk.folder / "8000").write_text("in the way")
    report = desk.maker().build()
    assert len(report.failures) == 4 and all("8000" in line for line in report.failures)
