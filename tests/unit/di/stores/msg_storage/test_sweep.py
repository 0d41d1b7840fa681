# SPDX-License-Identifier: GPL-2.0-or-later
"""Old messages go, by their state; greetings stay; leftovers of crashes go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from di.stores.messages import BoxChanged, BoxOwner, Existing, MsgCode
from di.stores.msg_storage.keeper import Keeper, Quota
from di.stores.msg_storage.storage import MessageStorage
from di.stores.msg_storage.sweep import Retention, Sweeper
from di.stores.msg_storage.worker import Worker, lock_patience
from tests.support.boxes import recording

DAY_NS = 86_400_000_000_000
ANN = BoxOwner("shop.example", "ann")
BEGAN_NS = 1_800_000_000_000_000_000


class Clock:
    """Days, moved by hand."""

    def __init__(self) -> None:
        self.now_ns = BEGAN_NS

    def __call__(self) -> int:
        return self.now_ns


async def store(storage: MessageStorage, owner: BoxOwner, name: str, at_ns: int) -> None:
    path = recording(storage.recording_path())
    os.utime(path, ns=(at_ns, at_ns))
    assert (await storage.store(owner, name, path, Existing.REPLACE)).code is MsgCode.OK


async def names(storage: MessageStorage, owner: BoxOwner) -> list[str]:
    return [message.name for message in (await storage.messages(owner)).messages]


async def test_messages_go_by_age_and_state(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    keeper = Keeper(tmp_path, Quota(), clock, lock_patience)
    worker = Worker(keeper)
    storage = MessageStorage(keeper, worker)
    news: list[BoxChanged] = []
    caplog.set_level("INFO")
    for number in range(120):
        await store(storage, ANN, f"{number}.wav", BEGAN_NS - 40 * DAY_NS)
    await store(storage, ANN, "young.wav", BEGAN_NS - 29 * DAY_NS)
    await store(storage, ANN, "heard.wav", BEGAN_NS - 40 * DAY_NS)
    await storage.mark_read(ANN, "heard.wav")
    await store(storage, ANN.greetings, "vm.wav", BEGAN_NS - 400 * DAY_NS)
    storage.watch(news.append)
    sweeper = Sweeper(keeper, storage, Retention(30, 7, 24), clock)
    await sweeper.sweep()
    assert await names(storage, ANN) == ["young.wav", "heard.wav"], "a message that was heard ages from when it was heard"
    assert {change.what for change in news} == {"msg_delete"} and len(news) == 120
    assert sweeper.totals == (2, 2, 1, 15)
    clock.now_ns += 8 * DAY_NS
    await sweeper.sweep()
    assert await names(storage, ANN) == []
    assert await names(storage, ANN.greetings) == ["vm.wav"]
    assert [r.getMessage() for r in caplog.records if "older than" in r.getMessage()] == [
        "msg_storage: 120 new messages were older than 30 days and are deleted",
        "msg_storage: 1 new messages were older than 30 days and are deleted",
        "msg_storage: 1 read messages were older than 7 days and are deleted",
    ]
    await worker.close()


async def test_what_was_never_read_by_us_is_found_and_swept(tmp_path: Path) -> None:
    """A folder of SEMS, without an index: boxes are found on the disk. One that an index knows and nobody has is forgotten."""
    clock = Clock()
    folder = tmp_path / "shop.example" / "ann"
    folder.mkdir(parents=True)
    for name, age in (("old.wav", 40), ("young.wav", 1)):
        at_ns = BEGAN_NS - age * DAY_NS
        os.utime(recording(folder / name), ns=(at_ns, at_ns))
    keeper = Keeper(tmp_path, Quota(), clock, lock_patience)
    worker = Worker(keeper)
    storage = MessageStorage(keeper, worker)
    sweeper = Sweeper(keeper, storage, Retention(30, 0, 24), clock)
    await sweeper.read_all()
    await sweeper.sweep()
    assert [path.name for path in folder.iterdir()] == ["young.wav"]
    assert sweeper.totals[:2] == (1, 1)
    (folder / "young.wav").unlink()
    folder.rmdir()
    await sweeper.read_all()
    await sweeper.sweep()
    assert sweeper.totals == (0, 0, 0, 0)
    await worker.close()


async def test_a_message_that_another_process_has_replaced_is_not_too_old(tmp_path: Path) -> None:
    clock = Clock()
    keeper = Keeper(tmp_path, Quota(), clock, lock_patience)
    worker = Worker(keeper)
    storage = MessageStorage(keeper, worker)
    await store(storage, ANN, "1.wav", BEGAN_NS - 40 * DAY_NS)
    await names(storage, ANN)
    folder = tmp_path / "shop.example" / "ann"
    seen = folder.stat().st_mtime_ns
    at_ns = BEGAN_NS - DAY_NS
    os.utime(recording(folder / "1.wav", b"another"), ns=(at_ns, at_ns))
    os.utime(folder, ns=(seen, seen))
    await Sweeper(keeper, storage, Retention(30, 30, 24), clock).sweep()
    assert await names(storage, ANN) == ["1.wav"]
    await worker.close()


async def test_leftovers_go_and_recordings_that_run_stay(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    keeper = Keeper(tmp_path, Quota(), clock, lock_patience)
    worker = Worker(keeper)
    storage = MessageStorage(keeper, worker)
    old, running = recording(storage.recording_path()), recording(storage.recording_path())
    os.utime(old, ns=(0, BEGAN_NS - 2 * DAY_NS))
    os.utime(running, ns=(0, BEGAN_NS - 1_000_000_000))
    await Sweeper(keeper, storage, Retention(0, 0, 24), clock).sweep()
    assert not old.exists() and running.exists()
    assert old.name in caplog.text
    await worker.close()
