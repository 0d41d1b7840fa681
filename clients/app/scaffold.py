# SPDX-License-Identifier: GPL-2.0-or-later
"""What `cordboard app new NAME` writes: an application that runs, its sounds, its configuration, its test."""

from __future__ import annotations

import math
import re
import wave
from array import array
from collections.abc import Sequence
from pathlib import Path

_APP = '''"""NAME: asks for a code and says thanks. NAME.conf beside it is its configuration, NAME/ has its sounds."""

from __future__ import annotations

from clients.app import App, Call

app = App()


@app.call
async def NAME(call: Call) -> None:
    """One coroutine a call; returning hangs up."""
    await call.answer()
    patience_s = float(call.worker.config.get("patience_s", "10"))
    code = await call.gather("ask.wav", digits=(1, 4), end="#", first_s=patience_s)
    if not code:
        await call.play("bye.wav")
        return
    call.log(code=code.digits)
    await call.play("thanks.wav")
'''
_TEST = '''"""NAME, called by the test kit: `pytest`. On a real server with real phones: `pytest --cordboard-real`."""

from __future__ import annotations

from pathlib import Path

import pytest
from clients.app.testing import Stage
from NAME import app


@pytest.fixture(autouse=True)
def sounds(sim: Stage) -> None:
    """The sounds that the application has."""
    sim.sounds(Path(__file__).parent / "NAME")


async def test_who_enters_a_code_is_thanked(sim: Stage) -> None:
    """The code is in the call's record."""
    caller = await sim.call(app, to="sip:NAME@example")
    await caller.hears("ask.wav")
    caller.press("42#")
    await caller.hears("thanks.wav")
    assert await caller.logged("code") == "42"
    assert await caller.ended() == "app"


async def test_who_says_nothing_is_dismissed(sim: Stage) -> None:
    """After the patience of the configuration."""
    caller = await sim.call(app, to="sip:NAME@example", config={"patience_s": "2"})
    await caller.hears("ask.wav")
    await caller.hears("bye.wav")
    assert await caller.ended() == "app"
'''
_CONF = """# NAME.py reads this as call.worker.config.
# How long to wait for the first key, in seconds
patience_s=10
"""
_SOUNDS = {"ask": (660, 880), "thanks": (880, 1100, 1320), "bye": (660, 440)}
"""Name → its tones in Hz, one after the other, until somebody has recorded something better."""
_TONE_S = 0.25


class CannotMake(Exception):
    """What is in the way; the text says what would be right."""


def make(name: str, folder: Path) -> list[Path]:
    """Write the files of a new application into a folder; returns them. Raises CannotMake, and has written nothing then."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise CannotMake(
            f"{name!r} is no name for an application; right are small letters, digits and underscores, a letter first"
        )
    texts = {f"{name}.py": _APP, f"{name}.conf": _CONF, f"test_{name}.py": _TEST}
    made = [folder / file for file in texts] + [folder / name / f"{sound}.wav" for sound in _SOUNDS]
    there = [path for path in made if path.exists()]
    if there:
        raise CannotMake(f"{there[0]} is there already")
    try:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            (folder / file).write_text(text.replace("NAME", name), encoding="utf-8")
        for sound, tones in _SOUNDS.items():
            _write(folder / name / f"{sound}.wav", tones)
    except OSError as error:
        raise CannotMake(f"{error.filename}: {error.strerror}") from error
    return made


def _write(path: Path, tones_hz: Sequence[int]) -> None:
    count = int(8000 * _TONE_S)
    samples = array("h", (int(6000 * math.sin(2 * math.pi * hz * n / 8000)) for hz in tones_hz for n in range(count)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.tobytes())
