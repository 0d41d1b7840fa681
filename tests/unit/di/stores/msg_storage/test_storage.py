# SPDX-License-Identifier: GPL-2.0-or-later
"""The storage with its thread: what applications see."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from di.stores.messages import BoxChanged, BoxOwner, Existing, MsgCode, message_name
from di.stores.msg_storage.keeper import Keeper, Quota
from di.stores.msg_storage.storage import MessageStorage
from di.stores.msg_storage.worker import Worker, lock_patience
from tests.support.boxes import NOW_NS, recording

ANN = BoxOwner("shop.example", "ann")


@contextlib.asynccontextmanager
async def storage(root: Path, quota: Quota | None = None) -> AsyncIterator[MessageStorage]:
    keeper = Keeper(root, quota or Quota(), lambda: NOW_NS, lock_patience)
    worker = Worker(keeper)
    yield MessageStorage(keeper, worker)
    await worker.close()


async def test_a_message_is_stored_listed_marked_and_deleted(tmp_path: Path) -> None:
    news: list[BoxChanged] = []
    async with storage(tmp_path) as messages:
        messages.watch(news.append)
        path = recording(messages.recording_path(), b"what was said")
        stored = await messages.store(ANN, message_name(1700, "<sip:bob@x>"), path)
        assert stored.code is MsgCode.OK and not path.exists()
        box = await messages.messages(ANN)
        assert [(m.name, m.new, m.size_bytes) for m in box.messages] == [("1700+_sip_bob@x_.wav", True, 13)]
        found = await messages.open(ANN, stored.name)
        assert found.path == tmp_path / "shop.example" / "ann" / stored.name
        assert found.path.read_bytes() == b"what was said"
        assert await messages.mark_read(ANN, stored.name) is MsgCode.OK
        box = await messages.messages(ANN)
        assert (box.new, box.read) == (0, 1)
        assert await messages.delete(ANN, stored.name) is MsgCode.OK
        assert await messages.delete(ANN, stored.name) is MsgCode.NOT_FOUND
        assert (await messages.messages(ANN)).messages == ()
    assert [change.what for change in news] == ["msg_new", "msg_markread", "msg_delete"]
    assert {change.owner for change in news} == {ANN}


async def test_what_was_begun_is_done_though_nobody_waits(tmp_path: Path) -> None:
    news: list[BoxChanged] = []
    async with storage(tmp_path) as messages:
        messages.watch(news.append)
        first = recording(messages.recording_path(), b"x")
        await messages.store(ANN, "1.wav", first)
        waiting = asyncio.ensure_future(messages.delete(ANN, "1.wav"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await messages.messages(ANN)).messages == ()
    assert [change.what for change in news] == ["msg_new", "msg_delete"]


async def test_many_at_once_are_all_kept(tmp_path: Path) -> None:
    async with storage(tmp_path) as messages:
        paths = [recording(messages.recording_path(), b"%d" % n) for n in range(100)]
        stored = await asyncio.gather(*(messages.store(ANN, "17+bob.wav", path) for path in paths))
        assert {s.code for s in stored} == {MsgCode.OK} and len({s.name for s in stored}) == 100
        box = await messages.messages(ANN)
        assert sorted((tmp_path / "shop.example/ann" / m.name).read_bytes() for m in box.messages) == sorted(
            b"%d" % n for n in range(100)
        )


async def test_a_listener_that_fails_costs_the_others_nothing(tmp_path: Path) -> None:
    news: list[BoxChanged] = []

    def fails(change: BoxChanged) -> None:
        raise ValueError(change.name)

    async with storage(tmp_path) as messages:
        messages.watch(fails)
        end = messages.watch(news.append)
        await messages.store(ANN, "1.wav", None)
        end()
        end()
        await messages.store(ANN, "2.wav", None)
    assert [change.name for change in news] == ["1.wav"]


async def test_bytes_become_a_message_and_come_back(tmp_path: Path) -> None:
    async with storage(tmp_path) as messages:
        assert (await messages.store_bytes(ANN, "vm.wav", b"old", Existing.REPLACE)).code is MsgCode.OK
        assert (await messages.store_bytes(ANN, "vm.wav", b"new", Existing.REPLACE)).code is MsgCode.OK
        assert await messages.read_bytes(ANN, "vm.wav", 100) == (MsgCode.OK, b"new")
        assert await messages.read_bytes(ANN, "vm.wav", 2) == (MsgCode.READ_ERROR, b"")
        assert await messages.read_bytes(ANN, "no.wav", 100) == (MsgCode.NOT_FOUND, b"")
        assert list((tmp_path / ".spool").iterdir()) == []
