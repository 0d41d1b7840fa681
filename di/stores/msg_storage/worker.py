# SPDX-License-Identifier: GPL-2.0-or-later
"""The one thread that works on the disk and the index; the hub waits for its answers, never for the disk.

What waits when the thread is free is done as one turn: one lock, one transaction of the index, and messages that are to be stored go to
the disk together, so that many callers who hang up at once share the price of the syncs. The thread is not `di.kernel.sqlite_thread`'s: there
a failure of the database fails the work, here the work is the files', and goes on without the index.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from di.stores.messages import Stored
from di.stores.msg_storage.keeper import Keeper, StoreOrder

log = logging.getLogger(__name__)
T = TypeVar("T")
_MOST_IN_A_TURN = 100
_LOCK_PAUSE_S = 0.01
_LOCK_PATIENCE = 1000
"""Attempts, with a pause each, until another process is believed to hold the lock for good."""


class _Order(Generic[T]):
    """One thing to do, and where its result goes. `then`: called in the hub's thread even when nobody waits any more."""

    def __init__(self, then: Callable[[T], None], loop: asyncio.AbstractEventLoop) -> None:
        self.answer: asyncio.Future[T] = loop.create_future()
        self._then = then
        self._result: T
        self._error: Exception | None = None

    def succeed(self, result: T) -> None:
        """In the thread: it is done."""
        self._result = result

    def fail(self, error: Exception) -> None:
        """In the thread: it could not be done."""
        self._error = error

    def deliver(self) -> None:
        """In the hub's thread."""
        if self._error is None:
            self._then(self._result)
        if self.answer.done():
            if self._error is not None:
                log.error("msg_storage: something failed that nobody waits for any more: %s", self._error)
        elif self._error is not None:
            self.answer.set_exception(self._error)
        else:
            self.answer.set_result(self._result)


class _JobOrder(_Order[T]):
    """A job of its own."""

    def __init__(self, job: Callable[[], T], then: Callable[[T], None], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(then, loop)
        self._job = job

    def run(self) -> None:
        """In the thread."""
        try:
            self.succeed(self._job())
        except Exception as error:  # noqa: BLE001 – goes to who asked
            self.fail(error)


class _StoreOrder(_Order[Stored]):
    """A message to be stored, together with those beside it."""

    def __init__(self, new: StoreOrder, then: Callable[[Stored], None], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(then, loop)
        self.new = new


_AnyOrder = _JobOrder[object] | _StoreOrder


class Worker:
    """Runs jobs one after another."""

    def __init__(self, keeper: Keeper) -> None:
        """Needs a running loop."""
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._orders: SimpleQueue[_AnyOrder | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="msg_storage", daemon=True)
        self._thread.start()

    def run(self, job: Callable[[], T], then: Callable[[T], None] = lambda result: None) -> asyncio.Future[T]:
        """Have a job done. Its exceptions come out of the answer; StorageBusy is one."""
        order = _JobOrder(job, then, self._loop)
        self._orders.put(order)  # type: ignore[arg-type]  # the queue hands each back to itself only
        return order.answer

    def store(self, new: StoreOrder, then: Callable[[Stored], None]) -> asyncio.Future[Stored]:
        """Have a message stored, with others that wait for that."""
        order = _StoreOrder(new, then, self._loop)
        self._orders.put(order)
        return order.answer

    @property
    def waiting(self) -> int:
        """Jobs that the thread has not begun."""
        return self._orders.qsize()

    async def close(self) -> None:
        """Do what is queued, then end the thread."""
        self._orders.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        going_on = True
        while going_on:
            orders, going_on = self._next()
            if orders:
                self._turn(orders)
                try:
                    self._loop.call_soon_threadsafe(_deliver, orders)
                except RuntimeError:  # the loop is closed: the server is gone
                    return
        self._keeper.close()

    def _next(self) -> tuple[list[_AnyOrder], bool]:
        """What to do in the next turn, and whether there will be another."""
        orders: list[_AnyOrder] = []
        found = self._orders.get()
        while found is not None:
            orders.append(found)
            if len(orders) == _MOST_IN_A_TURN:
                return orders, True
            try:
                found = self._orders.get_nowait()
            except Empty:
                return orders, True
        return orders, False

    def _turn(self, orders: list[_AnyOrder]) -> None:
        try:
            with self._keeper.turn():
                for _, group in groupby(orders, key=type):
                    self._do(list(group))
        except Exception as error:  # noqa: BLE001 – the lock is another's, or the disk is gone: who asked is told
            for order in orders:
                order.fail(error)

    def _do(self, orders: list[_AnyOrder]) -> None:
        """Orders of one kind: messages are stored together, the rest is done one by one."""
        stores = [order for order in orders if isinstance(order, _StoreOrder)]
        try:
            for order, stored in zip(stores, self._keeper.store_all([order.new for order in stores]), strict=True):
                order.succeed(stored)
        except Exception as error:  # noqa: BLE001 – goes to who asked
            for order in stores:
                order.fail(error)
        for job in orders:
            if isinstance(job, _JobOrder):
                job.run()


def _deliver(orders: list[_AnyOrder]) -> None:
    for order in orders:
        order.deliver()


def lock_patience(attempt: int) -> bool:
    """Wait a little for the lock of another process; False: long enough."""
    threading.Event().wait(_LOCK_PAUSE_S)
    return attempt < _LOCK_PATIENCE
