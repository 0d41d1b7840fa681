# SPDX-License-Identifier: GPL-2.0-or-later
"""The DI functions, with the codes of the specification (spec applications.md §11)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from di.kernel.clock import Tasks
from di.kernel.errors import CallFailed, Forbidden, NoSuchModule, NotImplementedInDI
from di.kernel.registry import INTERNAL, Caller, Registry, di_method
from di.kernel.value import Value
from di.stores.msg_storage.interface import MsgStorageInterface
from di.stores.msg_storage.keeper import Keeper, Quota
from di.stores.msg_storage.storage import MessageStorage
from di.stores.msg_storage.worker import Worker, lock_patience
from tests.support.boxes import NOW_NS

BOX = ["shop.example", "ann"]


class Rpc:
    """The interface as a gateway calls it."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    async def __call__(self, method: str, *args: Value, caller: Caller = INTERNAL) -> Value:
        return await self.registry.call("msg_storage", method, list(args), caller)


@contextlib.asynccontextmanager
async def rpc(root: Path, quota: Quota | None = None) -> AsyncIterator[Rpc]:
    keeper = Keeper(root, quota or Quota(), lambda: NOW_NS, lock_patience)
    worker = Worker(keeper)
    storage = MessageStorage(keeper, worker)
    registry = Registry()
    interface = MsgStorageInterface(storage, registry, Tasks().spawn)
    storage.watch(interface.on_changed)
    registry.register("msg_storage", interface)
    yield Rpc(registry)
    await worker.close()


async def test_codes(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        assert await call("userdir_open", *BOX) == [2, None]
        assert await call("msg_new", *BOX, "1+bob.wav", b"voice") == [0]
        assert await call("msg_new", *BOX, "2+bob.wav", None) == [0]
        assert await call("userdir_open", *BOX) == [0, [["2+bob.wav", 1, 0], ["1+bob.wav", 1, 5]]]
        assert await call("msg_get", *BOX, "1+bob.wav") == [0]
        assert await call("msg_data", *BOX, "1+bob.wav") == [0, b"voice"]
        assert await call("msg_markread", *BOX, "1+bob.wav") == [0]
        assert await call("userdir_open", *BOX) == [0, [["2+bob.wav", 1, 0], ["1+bob.wav", 0, 5]]]
        assert await call("msg_new", *BOX, "1+bob.wav", b"again") == [0]
        assert await call("userdir_open", *BOX) == [0, [["2+bob.wav", 1, 0], ["1+bob.wav", 1, 5]]]
        assert await call("msg_delete", *BOX, "1+bob.wav") == [0]
        for method in ("msg_get", "msg_markread", "msg_delete"):
            assert await call(method, *BOX, "1+bob.wav") == [3]
        assert await call("msg_data", *BOX, "1+bob.wav") == [3, None]
        assert await call("userdir_close", *BOX) == [0]
        assert await call("userdir_getcount", *BOX) == [-1]


@pytest.mark.parametrize("bad", ["..", "../..", "a/b", ".spool", ""])
async def test_names_that_lead_out_are_answered_in_codes(tmp_path: Path, bad: str) -> None:
    async with rpc(tmp_path) as call:
        assert await call("msg_new", bad, "ann", "1.wav", b"x") == [2]
        assert await call("msg_new", "d", bad, "1.wav", b"x") == [2]
        assert await call("msg_new", "d", "ann", bad, b"x") == [7]
        assert await call("msg_get", "d", bad, "1.wav") == [3]
        assert await call("userdir_open", bad, "ann") == [2, None]


async def test_a_full_box_is_a_code(tmp_path: Path) -> None:
    async with rpc(tmp_path, Quota(messages=1)) as call:
        assert await call("msg_new", *BOX, "1.wav", b"x") == [0]
        assert await call("msg_new", *BOX, "2.wav", b"x") == [6]


@pytest.mark.parametrize("data", ["/etc/passwd", 5, [b"x"]])
async def test_what_is_no_file_is_refused_in_semss_words(tmp_path: Path, data: Value) -> None:
    async with rpc(tmp_path) as call:
        with pytest.raises(CallFailed, match=r"^message data is not a file ptr\.$"):
            await call("msg_new", *BOX, "1.wav", data)


class Listener:
    """A module that hears of events."""

    def __init__(self) -> None:
        self.heard: list[list[Value]] = []
        self.done = asyncio.Event()

    @di_method("news")
    def news(self, *args: Value) -> None:
        """Hear."""
        self.heard.append(list(args))
        if args[2] == "msg_delete":
            self.done.set()

    @di_method("fails")
    def fails(self, *args: Value) -> None:
        """Fail."""
        raise CallFailed(str(args))


async def test_events_reach_who_has_subscribed(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        listener, other = Listener(), Listener()
        call.registry.register("panel", listener)
        call.registry.register("other", other)
        await call("events_subscribe", "panel", "news")
        await call("events_subscribe", "other", "fails")
        await call("msg_new", *BOX, "1.wav", b"x")
        await call("msg_markread", *BOX, "1.wav")
        await call("msg_delete", *BOX, "1.wav")
        await asyncio.wait_for(listener.done.wait(), 20)
        assert listener.heard == [[*BOX, "msg_new"], [*BOX, "msg_markread"], [*BOX, "msg_delete"]]
        await call("events_unsubscribe", "panel")
        await call("msg_new", *BOX, "1.wav", b"x")
        await call("userdir_open", *BOX)
        assert len(listener.heard) == 3


async def test_who_may_not_call_a_function_does_not_have_it_called(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        call.registry.register("panel", Listener())
        weak = Caller("eve", allows=lambda module, method: module == "msg_storage", would_allow=lambda m, f: m == "msg_storage")
        with pytest.raises(Forbidden):
            await call("events_subscribe", "panel", "news", caller=weak)
        with pytest.raises(NoSuchModule):
            await call("events_subscribe", "nobody", "news")
        with pytest.raises(NotImplementedInDI):
            await call("events_subscribe", "panel", "nothing")
