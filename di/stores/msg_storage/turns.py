# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns at a storage: the lock against other processes, and the index as one transaction, opened, given up and made anew as need be."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from di.stores.messages import BoxOwner
from di.stores.msg_storage import disk
from di.stores.msg_storage.index import MessageIndex
from di.stores.msg_storage.names import INDEX, LOCK

log = logging.getLogger(__name__)
T = TypeVar("T")


class StorageBusy(OSError):
    """Another process holds the storage's lock and does not give it back."""


class StorageTurns:
    """`wait`: a pause of some milliseconds between attempts to get the lock; False: no more.

    `touched`: boxes that this turn reads or changes; `doubted`: those of which the index may say what is no more true.
    """

    def __init__(self, root: Path, wait: Callable[[int], bool]) -> None:
        self.touched: set[BoxOwner] = set()
        self.doubted: set[BoxOwner] = set()
        self._wait = wait
        self._lock_path = root / LOCK
        self._lock = os.open(self._lock_path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._index_path = root / INDEX
        self._index: MessageIndex | None = None
        self._index_node = 0
        self._index_trouble = ""

    def close(self) -> None:
        """Give lock and index back."""
        if self._index is not None:
            self._index.close()
            self._index = None
        os.close(self._lock)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Work on the storage, alone. Raises StorageBusy."""
        attempt = 0
        while True:
            with disk.locked(self._lock, wait=False) as ours:
                if ours:
                    self._begin()
                    try:
                        yield
                    finally:
                        self._commit()
                    return
            attempt += 1
            if not self._wait(attempt):
                raise StorageBusy(f"another process holds {self._lock_path}; find it with `fuser` on that file")

    def _begin(self) -> None:
        self.touched.clear()
        try:
            if self._index is not None and self._node() != self._index_node:
                self._index.close()
                self._index = None
            if self._index is None:
                self._index = self._open_index()
            self._index.begin()
        except (sqlite3.Error, OSError) as error:
            self._lose(error)

    def _open_index(self) -> MessageIndex:
        try:
            index = MessageIndex(self._index_path)
        except sqlite3.OperationalError:
            raise  # full, not writable: anew it would be no better
        except sqlite3.DatabaseError as error:
            log.error("msg_storage: the index %s cannot be used (%s); it is made anew from the messages", self._index_path, error)
            index = MessageIndex.begin_anew(self._index_path)
        self._index_node = self._node()
        return index

    def _node(self) -> int:
        try:
            return self._index_path.stat().st_ino
        except OSError:
            return -1

    def _commit(self) -> None:
        if self._index is None:
            return
        try:
            self._index.commit()
        except sqlite3.Error as error:
            self._lose(error)
        else:
            self._index_trouble = ""

    def _lose(self, error: Exception) -> None:
        """The index is not used for the rest of this turn; what was to be written into it is read from the disk when it is wanted."""
        self.doubted |= self.touched
        if self._index is not None:
            self._index.roll_back()
            self._index.close()
            self._index = None
        if str(error) != self._index_trouble:
            self._index_trouble = str(error)
            log.error(
                "msg_storage: the index %s cannot be used now: %s; messages are read from their folders, which is slower",
                self._index_path,
                error,
            )
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            with contextlib.suppress(sqlite3.Error, OSError):
                MessageIndex.begin_anew(self._index_path).close()

    def use(self, use: Callable[[MessageIndex], T]) -> T | None:
        """Use the index; None while it cannot be used."""
        if self._index is None:
            return None
        try:
            return use(self._index)
        except sqlite3.Error as error:
            self._lose(error)
            return None
