# SPDX-License-Identifier: GPL-2.0-or-later
"""Old messages and leftovers are cleared away, a few at a time, so that callers do not wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from di.stores.messages import BoxChanged, BoxOwner, MsgCode
from di.stores.msg_storage import disk
from di.stores.msg_storage.keeper import Keeper
from di.stores.msg_storage.storage import MessageStorage

log = logging.getLogger(__name__)
_AT_ONCE = 50
_BOXES_AT_ONCE = 100
_DAY_NS = 86_400 * 1_000_000_000
_HOUR_NS = 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is kept; 0 days: for ever."""

    new_days: int
    read_days: int
    spool_hours: int


def expired(keeper: Keeper, read: bool, before_ns: int, skip: int) -> tuple[list[BoxChanged], int]:
    """Delete some messages that have been new, or read, since before a time. Returns what was deleted, and how many were looked at.

    `skip`: so many of the oldest could not be deleted before.

    What the index believes is looked up in the box first: another process may have replaced the message, or marked it.
    """
    found = keeper.indexed(lambda index: list(index.aged(read, before_ns, _AT_ONCE, skip))) or []
    deleted = []
    for owner, entry in found:
        keeper.doubt(owner)
        with contextlib.suppress(OSError):  # a box that cannot be read keeps its messages, and holds up no other
            now = (keeper.entries(owner) or {}).get(entry.name)
            if now == entry and keeper.delete(owner, entry.name) is MsgCode.OK:
                deleted.append(BoxChanged(owner, "msg_delete", entry.name))
    return deleted, len(found)


def clear_spool(spool: Path, before_ns: int) -> list[str]:
    """Remove recordings that nobody has written to since a time. Returns their names."""
    files, _ = disk.files(spool)
    cleared = []
    for file in files:
        if file.change_ns < before_ns:
            with contextlib.suppress(OSError):
                (spool / file.name).unlink()
                cleared.append(file.name)
    return cleared


class Sweeper:
    """`now_ns`: wall clock. `retention` and `every_s` may be changed; they count from the next sweep on."""

    def __init__(
        self, keeper: Keeper, storage: MessageStorage, retention: Retention, now_ns: Callable[[], int], every_s: float = 3600.0
    ) -> None:
        self._keeper = keeper
        self._storage = storage
        self.retention = retention
        self.every_s = every_s
        self._now_ns = now_ns
        self.totals = (0, 0, 0, 0)
        """Boxes, new messages, read messages, bytes, as of the last sweep."""

    async def run(self) -> None:
        """Read what has changed since the index was written, then sweep every so often."""
        began = False
        while True:
            try:
                if not began:
                    await self.read_all()
                    began = True
                await self.sweep()
            except Exception:
                log.exception("msg_storage: a sweep failed; the next one is in %.0f minutes", self.every_s / 60)
            await asyncio.sleep(self.every_s)

    async def read_all(self) -> None:
        """Let the index know every box that is on the disk, and forget those that are not."""
        known = await self._storage.work(lambda: self._keeper.indexed(lambda index: index.owners()), None) or []
        await self._read(list(await self._storage.owners()))
        await self._read(known)

    async def _read(self, owners: list[BoxOwner]) -> None:
        for place in range(0, len(owners), _BOXES_AT_ONCE):
            await self._storage.work(partial(self._read_some, owners[place : place + _BOXES_AT_ONCE]), None)

    def _read_some(self, owners: list[BoxOwner]) -> None:
        for owner in owners:
            self._keeper.messages(owner)

    async def sweep(self) -> None:
        """Delete what is too old, and say how much it was."""
        now_ns = self._now_ns()
        kept = self.retention
        for read, days in ((False, kept.new_days), (True, kept.read_days)):
            if days:
                count = await self._expire(read, now_ns - days * _DAY_NS)
                if count:
                    log.info("msg_storage: %d %s messages were older than %d days and are deleted", count, _KIND[read], days)
        spool = self._keeper.place.spool
        cleared = await self._storage.work(lambda: clear_spool(spool, now_ns - kept.spool_hours * _HOUR_NS), ())
        if cleared:
            log.warning(
                "msg_storage: %d recordings in %s became no message in %d h and are deleted: %s",
                len(cleared),
                spool,
                kept.spool_hours,
                ", ".join(cleared[:5]),
            )
        totals = await self._storage.work(lambda: self._keeper.indexed(lambda index: index.totals()), None)
        self.totals = totals or self.totals

    async def _expire(self, read: bool, before_ns: int) -> int:
        count = skip = 0
        while True:
            deleted, seen = await self._storage.work(partial(expired, self._keeper, read, before_ns, skip), _NOTHING)
            for change in deleted:
                self._storage.tell(change)
            count += len(deleted)
            skip += seen - len(deleted)
            if seen < _AT_ONCE:
                return count


_NOTHING: tuple[list[BoxChanged], int] = ([], 0)
_KIND = {False: "new", True: "read"}
