# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine is any command: its arguments, its standard input, and what is said when it fails."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from di.spoken.engine import EngineFailed, SpeechEngine
from di.spoken.options import parse_command, parse_languages, parse_rates, parse_voices

SPEAKER = """
import sys, wave
text = sys.argv[2] if len(sys.argv) > 2 else sys.stdin.read()
with wave.open(sys.argv[1], "wb") as file:
    file.setnchannels(1); file.setsampwidth(2); file.setframerate(11025)
    file.writeframes(b"\\x00\\x10" * len(text))
"""


@pytest.fixture
def speaker(tmp_path: Path) -> str:
    path = tmp_path / "speaker.py"
    path.write_text(SPEAKER)
    return f"{sys.executable} {path}"


def test_the_sentence_comes_on_standard_input(speaker: str, tmp_path: Path) -> None:
    samples, rate_hz = SpeechEngine(f"{speaker} {{wav}}", 20).speak("Grüße", "de", "de", tmp_path / "x.wav")
    assert (len(samples), rate_hz, samples.dtype) == (len("Grüße\n"), 11025, np.float32)


def test_or_as_an_argument_that_nothing_looks_into(speaker: str, tmp_path: Path) -> None:
    engine = SpeechEngine(f"{speaker} {{wav}} {{text}}", 20)
    text = "$(touch /nowhere) {wav} ; 'quoted'"
    assert len(engine.speak(text, "en", "en", tmp_path / "x.wav")[0]) == len(text)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no-such-engine {wav}", "no-such-engine"),
        ("false {wav}", "status 1"),
        ("true {wav}", "no audio"),
        ("sh -c 'echo out of ink >&2; exit 3' {wav}", "out of ink"),
        ("sh -c 'exec sleep 30' {wav}", "timed out"),
    ],
)
def test_a_failure_says_what_happened(command: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match=said):
        SpeechEngine(command, 1).speak("Hello", "en", "en", tmp_path / "x.wav")


def test_what_is_known_of_the_program(speaker: str) -> None:
    assert not SpeechEngine(f"{speaker} {{wav}}", 5).missing and SpeechEngine("true {wav}", 5).version
    gone = SpeechEngine("no-such-engine {wav}", 5)
    assert "no-such-engine" in gone.missing and gone.version == ""


def test_the_configuration_of_it() -> None:
    assert parse_languages("en; de-AT") == ("en", "de-AT")
    assert parse_voices("en:en-gb;de:mb-de5") == (("en", "en-gb"), ("de", "mb-de5"))
    assert parse_rates("8000") == (8000,)
    assert parse_command("piper -m {voice} -f {wav}") == "piper -m {voice} -f {wav}"


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_languages, ""),
        (parse_languages, "en;en"),
        (parse_languages, "../en"),
        (parse_voices, "en"),
        (parse_voices, "en:"),
        (parse_rates, "11025"),
        (parse_rates, ""),
        (parse_command, "espeak-ng"),
        (parse_command, "espeak-ng 'x {wav}"),
        (parse_command, "espeak-ng {wav} {speed}"),
    ],
)
def test_and_what_is_wrong_in_it(parse: object, text: str) -> None:
    assert callable(parse)
    with pytest.raises(ValueError, match=r"right|no command|not known|language:voice"):
        parse(text)
