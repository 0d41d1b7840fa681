# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings in every order of events, without a media process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from di.apps.echo import PLUGIN as ECHO
from di.apps.webconference import PLUGIN as WEBCONFERENCE
from di.kernel.errors import ConfigError
from di.kernel.event_log import EventFilter, LoggedEvent, Snapshot
from di.kernel.registry import Caller
from di.modules.recordings import PLUGIN
from di.modules.recordings.options import Options
from media.control import recording_records
from tests.support import tones
from tests.support.playbook import Playbook

ALICE = Caller("alice", "test", "192.0.2.1")


class Book(Playbook):
    """A hub with the module; `do` calls it as alice, `settle` lets what it set off happen."""

    def __init__(self, folder: Path, conf: str) -> None:
        super().__init__(conf_dir=folder)
        self.folder = folder / "kept"
        self.media.finishes = True
        self.load(WEBCONFERENCE, "direct_room_re=room.*\n")
        self.load(ECHO)
        self._close = self.load(PLUGIN, f"folder={self.folder}\nmin_free_mb=0\n{conf}")
        self.heard = self.services.events.subscribe(EventFilter.parse({"types": ["recording.*"]}))

    async def settle(self) -> None:
        while self.waiting:
            await self.waiting.pop(0)
        self.run()

    async def do(self, function: str, *args: object) -> Any:
        answer = self.services.registry.invoke("recordings", function, [*args], ALICE)
        if isinstance(answer, Awaitable):
            task = asyncio.ensure_future(answer)
            while not task.done():
                await asyncio.wait([task], timeout=0.01)
                await self.settle()
            answer = task.result()
        await self.settle()
        return answer

    async def close(self) -> None:
        """Stop in order."""
        self.media.finishes = True
        closing = asyncio.ensure_future(self._close())
        while not closing.done():
            await asyncio.wait([closing], timeout=0.01)
            await self.settle()
        closing.result()

    def told(self) -> list[tuple[str, object]]:
        events = []
        while isinstance(event := self.heard.take(), LoggedEvent):
            events.append((event.type, event.attributes.get("state", event.attributes.get("mode"))))
        return events

    def sound(self, name: str, samples: int = 8000) -> None:
        tones.write_wav(self.folder / f"{name}.wav", np.zeros(samples, np.int16))

    async def about(self, name: str) -> dict[str, Any]:
        return dict((await self.do("info", name))[2])


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    made = Book(tmp_path, "")
    await made.settle()
    yield made
    await made.close()


async def test_a_room_from_start_to_stop(book: Book) -> None:
    member = book.up("room1")
    code, text, name = await book.do("startRoom", "room1", "both")
    assert (code, text) == (200, "OK")
    (command,) = (c for c in book.media.commands if isinstance(c, recording_records.StartRoomRecording))
    assert command == recording_records.StartRoomRecording("room1", f"{book.folder}/{name}.wav", "both")
    (running,) = await book.do("active")
    assert (running["state"], running["by"], running["members"][0]["call"]) == ("recording", "alice", member.id)
    book.sound(name)
    assert await book.do("stopRoom", "room1") == [200, "OK", name, 8000]
    about = await book.about(name)
    assert (about["state"], about["reason"], about["length_ms"]) == ("complete", "stopped by alice", 1000)
    assert book.told() == [("recording.started", "both"), ("recording.stopped", "complete")]
    assert await book.do("active") == []


async def test_the_snapshot_has_what_runs(book: Book) -> None:
    book.up("room1")
    name = (await book.do("startRoom", "room1"))[2]

    def shown(**wanted: object) -> object:
        item = book.services.events.subscribe(EventFilter.parse(wanted), snapshot=True).take()
        assert isinstance(item, Snapshot)
        return [one["name"] for one in item.state["recordings"]]  # type: ignore[union-attr,index,call-overload]

    assert shown() == shown(rooms=["room1"]) == [name]
    assert shown(rooms=["room2"]) == []


async def test_two_at_a_time_are_one_refusal(book: Book) -> None:
    book.up("room1")
    first, second = await asyncio.gather(*(
        asyncio.ensure_future(book.services.registry.call("recordings", "startRoom", ["room1"], ALICE)) for _ in range(2)
    ))  # fmt: skip
    assert (first[0], second[0], second[2]) == (200, 409, first[2])  # type: ignore[index]


async def test_a_stop_before_the_disk_has_answered(book: Book) -> None:
    book.up("room1")
    starting = asyncio.ensure_future(book.services.registry.call("recordings", "startRoom", ["room1"], ALICE))
    await asyncio.sleep(0)
    assert (await book.do("stopRoom", "room1"))[0] == 200
    assert await starting == [409, "not begun: stopped by alice"]
    await book.settle()
    assert not book.media.room_recordings
    assert not list(book.folder.glob("*.json"))


async def test_who_asked_is_gone_before_it_began(book: Book) -> None:
    book.up("room1")
    starting = asyncio.ensure_future(book.services.registry.call("recordings", "startRoom", ["room1"], ALICE))
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])
    await book.settle()
    assert await book.do("active") == []
    assert (await book.do("startRoom", "room1"))[0] == 200


async def test_everybody_goes_while_the_disk_thinks(book: Book) -> None:
    member = book.up("room1")
    starting = asyncio.ensure_future(book.services.registry.call("recordings", "startRoom", ["room1"], ALICE))
    await asyncio.sleep(0)
    book.bye(member)
    assert await starting == [404, "nobody is in this room"]
    await book.settle()
    assert not list(book.folder.glob("*.json"))


async def test_members_come_and_go_and_the_last_one_ends_it(book: Book) -> None:
    one = book.up("room1")
    name = (await book.do("startRoom", "room1"))[2]
    book.run(2)
    two = book.up("room1")
    book.bye(one)
    await book.settle()
    (running,) = await book.do("active")
    assert [member["call"] for member in running["members"]] == [one.id, two.id]
    book.run(6)
    await book.settle()
    sidecar = book.folder / f"{name}.json"
    assert two.id in sidecar.read_text(), "should the server die, it is known who was there"
    book.bye(two)
    await book.settle()
    assert (await book.about(name))["reason"] == "everybody has left the room"


async def test_a_call_and_its_cause(book: Book) -> None:
    call = book.up("echo")
    name = (await book.do("startCall", call.id, "said"))[2]
    assert book.media.call_recordings[call.leg].sides == "said"
    book.sound(name)
    book.bye(call)
    await book.settle()
    about = await book.about(name)
    assert (about["state"], about["reason"]) == ("complete", "the call has ended")
    assert about["about_call"]["cause"] == "200 OK, by remote"
    assert about["about_call"]["application"] == "echo"
    assert (await book.do("startCall", call.id))[0] == 404


async def test_a_call_that_is_not_answered_is_not_recorded(book: Book) -> None:
    number = book.offer("echo")
    assert (await book.do("startCall", book.session(number).id))[0] == 409


async def test_its_longest_time(book: Book) -> None:
    book.up("room1")
    name = (await book.do("startRoom", "room1"))[2]
    book.run(240 * 60 - 1)
    await book.settle()
    assert len(await book.do("active")) == 1
    book.run(1)
    await book.settle()
    assert (await book.about(name))["reason"].startswith("240 minutes are over (max_minutes")


async def test_the_media_process_never_says_that_it_is_complete(book: Book) -> None:
    book.up("room1")
    name = (await book.do("startRoom", "room1"))[2]
    book.sound(name, 4000)
    book.media.finishes = False
    stopping = asyncio.ensure_future(book.services.registry.call("recordings", "stopRoom", ["room1"], ALICE))
    await asyncio.sleep(0)
    book.run(15)
    await book.settle()
    assert (await stopping)[0] == 500  # type: ignore[index]
    about = await book.about(name)
    assert (about["state"], about["length_ms"], about["files"][0]["samples"]) == ("interrupted", 500, 4000)
    book.media.finishes = True
    book.media.end_room_recording("room1")  # too late: of no consequence
    await book.settle()
    assert (await book.do("startRoom", "room1"))[0] == 200


@pytest.mark.parametrize("all_of_them", [True, False])
async def test_a_media_process_is_lost(book: Book, all_of_them: bool) -> None:
    call, other = book.up("echo"), book.up("echo")
    lost, stays = [(await book.do("startCall", one.id))[2] for one in (call, other)]
    book.media.finishes = False
    book.sessions.media_lost("killed", None if all_of_them else [call.leg])
    await book.settle()
    assert (await book.about(lost))["state"] == "interrupted"
    assert (await book.about(stays))["state"] == ("interrupted" if all_of_them else "recording")
    book.media.finishes = True


async def test_an_error_of_the_disk_is_told_and_the_sidecar_follows(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    book.up("room1")
    name = (await book.do("startRoom", "room1"))[2]
    book.sound(name)
    book.folder.rename(book.folder.with_name("away"))
    book.media.end_room_recording("room1", "x.wav: No space left on device")
    await book.settle()
    assert f"recording {name} of room room1 ended: x.wav: No space left on device; what was written is kept" in caplog.text
    assert f"recording {name}: its sidecar cannot be written" in caplog.text
    assert (await book.do("startRoom", "room1"))[0] == 507
    assert (await book.do("status"))["problem"]
    book.folder.with_name("away").rename(book.folder)
    listed = (await book.do("list"))["recordings"]
    assert [(one["name"], one["state"]) for one in listed] == [(name, "failed")]
    book.run(6)
    await book.settle()
    assert '"failed"' in (book.folder / f"{name}.json").read_text()
    assert (await book.do("delete", name)) == [200, "OK"]


@pytest.mark.parametrize("limit", [{"min_free_mb": 99_999_999}, {"min_free_mb": 0, "quota_mb": 1}])
async def test_a_disk_that_gets_full_ends_all(tmp_path: Path, limit: dict[str, int], caplog: pytest.LogCaptureFixture) -> None:
    book = Book(tmp_path, "")
    book.up("room1")
    name = (await book.do("startRoom", "room1"))[2]
    (book.folder / "other").write_bytes(bytes(2_000_000))
    book.services.reloaders["recordings"](Options(folder=str(book.folder), **limit))  # type: ignore[arg-type]
    book.run(6)
    await book.settle()
    await book.settle()
    says = max(f"{key}={value}" for key, value in limit.items())
    assert says in (await book.about(name))["reason"]
    assert caplog.text.count("1 recordings end: ") == 1
    code, text = await book.do("startRoom", "room1")
    assert code == 507 and says in text
    assert says in (await book.do("status"))["problem"]
    await book.close()


async def test_another_folder_needs_another_start(book: Book, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="restart"):
        book.services.reloaders["recordings"](Options(folder=str(tmp_path)))


async def test_a_rooms_rate(tmp_path: Path) -> None:
    book = Book(tmp_path, "room_rate_hz=16000\n")
    book.up("room1")
    await book.do("startRoom", "room1", "tracks")
    assert book.media.room_recordings["room1"].rate_hz == 16000
    await book.close()
    with pytest.raises(ConfigError, match="8000 or 16000"):
        Book(tmp_path, "room_rate_hz=44100\n")


async def test_too_many_at_once(tmp_path: Path) -> None:
    book = Book(tmp_path, "max_recordings=1\n")
    book.up("room1")
    book.up("room2")
    assert (await book.do("startRoom", "room1"))[0] == 200
    assert await book.do("startRoom", "room2") == [503, "1 recordings run already (max_recordings in recordings.conf)"]
    await book.close()


async def test_the_server_stops(tmp_path: Path) -> None:
    book = Book(tmp_path, "")
    book.up("room1")
    name = (await book.do("startRoom", "room1"))[2]
    book.sound(name)
    await book.close()
    assert '"the server was stopped"' in (book.folder / f"{name}.json").read_text()


async def test_old_ones_go_and_dead_ones_are_ended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = Book(tmp_path, "")
    first.up("room1")
    old = (await first.do("startRoom", "room1"))[2]
    first.sound(old)
    assert (await first.do("stopRoom", "room1"))[0] == 200
    dead = (await first.do("startRoom", "room1"))[2]
    first.sound(dead)
    os.utime(first.folder / f"{dead}.wav", (1, 1))
    text = (first.folder / f"{dead}.json").read_text()
    await first.close()
    (first.folder / f"{dead}.json").write_text(text)  # as if it had died then
    os.utime(first.folder / f"{dead}.json", (1, 1))
    book = Book(tmp_path, "keep_days=1\n")
    await book.settle()
    assert (await book.about(dead))["state"] == "interrupted"
    assert f"recording {dead} was cut off when its server died" in caplog.text
    book.clock.advance(86_400 + 3_600)
    await book.settle()
    assert (await book.do("list"))["recordings"] == []
    await book.close()
