# SPDX-License-Identifier: GPL-2.0-or-later
"""How long an answer of a database counts, and what happens while it is down. The clock is moved by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from di.apps.announcing.answers import AudioAnswers
from di.apps.announcing.audio_cache import AudioCache
from di.apps.announcing.database import AudioQuery, AudioUnavailable
from tests.support.bare_hub import bare_services

QUERY = AudioQuery("announcement", "greeting_msg", "a.example", "anna", ("en",))


class Table:
    """A database that answers, or does not."""

    def __init__(self) -> None:
        self.audio: bytes | None = b"RIFF one"
        self.asked = 0
        self.down = ""
        self.gate: asyncio.Event | None = None

    async def fetch(self, query: AudioQuery) -> bytes | None:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise AudioUnavailable(self.down)
        return self.audio

    async def rows(self, text: str) -> list[tuple[str, ...]]:
        return []

    def close(self) -> None:
        pass


class Rig:
    """Answers over a table, with a clock."""

    def __init__(self) -> None:
        _, self.clock = bare_services()
        self.table = Table()
        self.cache = AudioCache("test")
        self.answers = AudioAnswers(self.table, self.cache, self.clock, trusted_s=60, timeout_s=1)

    async def find(self) -> Path | None:
        return await self.answers.find(QUERY, "call-1")

    async def said(self) -> bytes | None:
        path = await self.find()
        return path.read_bytes() if path is not None else None


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return Rig()


async def test_asked_once_a_minute(rig: Rig) -> None:
    assert await rig.said() == await rig.said() == b"RIFF one"
    assert rig.table.asked == 1
    rig.table.audio = b"RIFF two"
    rig.clock.advance(61)
    assert await rig.said() == b"RIFF two" and rig.table.asked == 2
    rig.table.audio = None
    rig.clock.advance(61)
    assert await rig.said() is None and await rig.said() is None and rig.table.asked == 3, "that there is none is known, too"


async def test_a_file_that_has_gone_is_fetched_again(rig: Rig) -> None:
    path = await rig.find()
    assert path is not None
    path.unlink()
    assert await rig.said() == b"RIFF one" and rig.table.asked == 2


async def test_while_one_asks_others_get_what_is_known(rig: Rig) -> None:
    await rig.find()
    rig.clock.advance(61)
    rig.table.gate = asyncio.Event()
    asking = asyncio.ensure_future(rig.said())
    await asyncio.sleep(0)
    rig.table.audio = b"RIFF two"
    assert await rig.said() == b"RIFF one" and rig.table.asked == 2
    rig.table.gate.set()
    assert await asking == b"RIFF two"


async def test_a_rush_is_one_question(rig: Rig) -> None:
    rig.table.gate = asyncio.Event()
    asking = [asyncio.ensure_future(rig.said()) for _ in range(500)]
    await asyncio.sleep(0)
    rig.table.gate.set()
    assert await asyncio.gather(*asking) == [b"RIFF one"] * 500 and rig.table.asked == 1


async def test_a_rush_while_the_database_is_down(rig: Rig) -> None:
    rig.table.gate, rig.table.down = asyncio.Event(), "no way"
    asking = [asyncio.ensure_future(rig.find()) for _ in range(20)]
    await asyncio.sleep(0)
    rig.table.gate.set()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(outcome, AudioUnavailable) for outcome in outcomes) and rig.table.asked == 1


async def test_the_one_who_asks_goes_and_another_asks(rig: Rig) -> None:
    rig.table.gate = asyncio.Event()
    first, second = asyncio.ensure_future(rig.said()), asyncio.ensure_future(rig.said())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    rig.table.gate.set()
    assert await second == b"RIFF one" and rig.table.asked == 2


async def test_down(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.table.down = "no way"
    with pytest.raises(AudioUnavailable, match="no way"):
        await rig.find()
    with pytest.raises(AudioUnavailable, match="no way"):
        await rig.find()
    assert rig.table.asked == 1, "left alone for some seconds"
    rig.table.down = ""
    rig.clock.advance(6)
    assert await rig.said() == b"RIFF one"
    rig.table.down = "gone again"
    rig.clock.advance(3600)
    assert await rig.said() == b"RIFF one", "an old answer is better than none"
    assert "call call-1: the database cannot be asked, what it said before is played: gone again" in caplog.text


async def test_silent(rig: Rig) -> None:
    rig.table.gate = asyncio.Event()
    with pytest.raises(AudioUnavailable, match="no answer in 1 s"):
        await rig.find()


async def test_what_is_no_audio(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.table.audio = b"<html>"
    assert await rig.said() is None
    assert "announcement/greeting_msg" in caplog.text and "6 bytes that are no WAV" in caplog.text


async def test_a_call_that_ends_while_it_asks(rig: Rig) -> None:
    await rig.find()
    rig.clock.advance(61)
    rig.table.gate = asyncio.Event()
    asking = asyncio.ensure_future(rig.find())
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    rig.table.gate = None
    await rig.find()
    assert rig.table.asked == 3, "nobody waits for one that has gone"
