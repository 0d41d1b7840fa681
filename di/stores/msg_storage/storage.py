# SPDX-License-Identifier: GPL-2.0-or-later
"""Message storage as the hub sees it (`di.stores.messages.Messages`): each question becomes a job of the storage's thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from di.stores.messages import BoxChanged, BoxOwner, Existing, MessageBox, MsgCode, OpenedMessage, Stored
from di.stores.msg_storage import disk
from di.stores.msg_storage.keeper import Keeper, StoreOrder
from di.stores.msg_storage.turns import StorageBusy
from di.stores.msg_storage.worker import Worker

log = logging.getLogger(__name__)
T = TypeVar("T")
U = TypeVar("U")


class MessageStorage:
    """Implements `Messages`, and what DI and the sweeper want beyond it."""

    def __init__(self, keeper: Keeper, worker: Worker) -> None:
        self._keeper = keeper
        self._worker = worker
        self._listeners: list[Callable[[BoxChanged], None]] = []
        self.counts = dict.fromkeys(("msg_new", "msg_markread", "msg_delete"), 0)
        """How many of each event there were."""
        self.refused: dict[MsgCode, int] = {MsgCode.NO_SPACE: 0, MsgCode.STORAGE: 0}
        """How many messages were not taken, by the reason."""

    @property
    def waiting(self) -> int:
        """Jobs that wait for the storage's thread."""
        return self._worker.waiting

    # --------------------------------------------------------------------------------------------------------------- questions
    def recording_path(self, suffix: str = "wav") -> Path:
        """A new path in the spool."""
        return self._keeper.place.spool / self._keeper.fresh_name(suffix)

    async def room_for(self, owner: BoxOwner) -> Stored:
        """Whether another message would be taken."""
        return await self._ask(lambda: self._keeper.room_for(owner), _not_stored)

    async def messages(self, owner: BoxOwner) -> MessageBox:
        """All messages of a box."""
        return await self._ask(lambda: self._keeper.messages(owner), lambda error: MessageBox(MsgCode.STORAGE))

    async def owners(self) -> tuple[BoxOwner, ...]:
        """Whose boxes there are."""
        return await self._ask(self._keeper.owners, lambda error: ())

    async def open(self, owner: BoxOwner, name: str) -> OpenedMessage:
        """The file of a message."""
        return await self._ask(lambda: self._keeper.open(owner, name), lambda error: OpenedMessage(MsgCode.NOT_FOUND))

    async def read_bytes(self, owner: BoxOwner, name: str, most: int) -> tuple[MsgCode, bytes]:
        """A message's file as bytes. More than `most`, or unreadable: READ_ERROR."""

        def job() -> tuple[MsgCode, bytes]:
            found = self._keeper.open(owner, name)
            if found.path is None:
                return found.code, b""
            try:
                with found.path.open("rb") as file:
                    data = file.read(most + 1)
            except OSError as error:
                log.error("msg_storage: %s cannot be read: %s", found.path, error.strerror)
                return MsgCode.READ_ERROR, b""
            return (MsgCode.OK, data) if len(data) <= most else (MsgCode.READ_ERROR, b"")

        return await self._ask(job, lambda error: (MsgCode.READ_ERROR, b""))

    # ----------------------------------------------------------------------------------------------------------------- changes
    async def store(self, owner: BoxOwner, name: str, recording: Path | None, existing: Existing = Existing.RENAME) -> Stored:
        """Make a recording a message."""
        if recording is not None:  # most of the wait, here beside those of others; the thread's own sync finds little left to do
            await asyncio.to_thread(_sync_beforehand, recording)
        order = StoreOrder(owner, name, recording, existing)
        return await self._answer(self._worker.store(order, lambda stored: self._stored(owner, stored)), _not_stored)

    async def store_bytes(self, owner: BoxOwner, name: str, data: bytes, existing: Existing) -> Stored:
        """Make bytes a message."""
        path = self.recording_path("data")

        def write() -> None:
            with open(path, "xb") as file:
                file.write(data)

        try:
            await asyncio.to_thread(write)
            return await self.store(owner, name, path, existing)
        except OSError as error:
            stored = _not_stored(error)
            self._stored(owner, stored)
            return stored
        finally:
            await asyncio.to_thread(_unlink, path)

    async def mark_read(self, owner: BoxOwner, name: str) -> MsgCode:
        """A message is new no more."""
        return await self._ask(
            lambda: self._keeper.mark_read(owner, name),
            lambda error: MsgCode.READ_ERROR,
            lambda code: self._changed(code, BoxChanged(owner, "msg_markread", name)),
        )

    async def delete(self, owner: BoxOwner, name: str) -> MsgCode:
        """Remove a message."""
        return await self._ask(
            lambda: self._keeper.delete(owner, name),
            lambda error: MsgCode.STORAGE,
            lambda code: self._changed(code, BoxChanged(owner, "msg_delete", name)),
        )

    async def work(self, job: Callable[[], T], otherwise: U) -> T | U:
        """Have something else done in the storage's thread, e.g. a part of a sweep."""
        return await self._ask(job, lambda error: otherwise)

    # -------------------------------------------------------------------------------------------------------------------- news
    def watch(self, listener: Callable[[BoxChanged], None]) -> Callable[[], None]:
        """Tell of each change from now on."""
        self._listeners.append(listener)

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return end

    def tell(self, change: BoxChanged) -> None:
        """A change is on disk. A listener that fails costs the others nothing."""
        self.counts[change.what] += 1
        for listener in list(self._listeners):
            try:
                listener(change)
            except Exception:
                log.exception("msg_storage: who hears of %s in the box of %s failed", change.what, change.owner)

    def _stored(self, owner: BoxOwner, stored: Stored) -> None:
        if stored.code is MsgCode.OK:
            self.tell(BoxChanged(owner, "msg_new", stored.name))
        elif stored.code in self.refused:
            self.refused[stored.code] += 1

    def _changed(self, code: MsgCode, change: BoxChanged) -> None:
        if code is MsgCode.OK:
            self.tell(change)

    def _ask(
        self, job: Callable[[], T], otherwise: Callable[[OSError], U], then: Callable[[T], None] = lambda result: None
    ) -> Awaitable[T | U]:
        # The job is queued now, not when it is first waited for: a wait that is cancelled changes nothing.
        return self._answer(self._worker.run(job, then), otherwise)

    async def _answer(self, answer: Awaitable[T], otherwise: Callable[[OSError], U]) -> T | U:
        try:
            return await answer
        except StorageBusy as error:
            log.error("msg_storage: %s", error)
            return otherwise(error)
        except OSError as error:
            log.error("msg_storage: %s: %s", error.filename or self._keeper.place.root, error.strerror or error)
            return otherwise(error)


def _not_stored(error: OSError) -> Stored:
    return Stored(MsgCode.NO_SPACE if disk.is_full(error) else MsgCode.STORAGE, cause=str(error.strerror or error))


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):  # it was moved into a box, or was never there; or the sweeper takes it
        path.unlink()


def _sync_beforehand(path: Path) -> None:
    """Have a recording's bytes on disk. What stands in the way is found by the step that does it again."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
