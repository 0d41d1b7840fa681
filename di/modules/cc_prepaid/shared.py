# SPDX-License-Identifier: GPL-2.0-or-later
"""cc_prepaid over balances that several servers share (`di.modules.cc_prepaid.shared_store`): the same rules, but each step is waited for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, TypeVar

from di.calls.control import Grant
from di.calls.control_modules import ControlAsk, ControlUnreachable
from di.kernel.errors import CallFailed, Refused
from di.kernel.registry import di_method
from di.kernel.value import Value
from di.modules.cc_prepaid.control import NO_CREDIT, slice_grant
from di.modules.cc_prepaid.shared_store import SharedBalances

if TYPE_CHECKING:
    from di.modules.cc_prepaid.options import Options
    from di.sip.records import CallEnded

T = TypeVar("T")
log = logging.getLogger(__name__)
_AGAIN_S = 2.0
_LAST_WORDS_S = 3.0


class SharedPrepaid:
    """The control module. Value `uuid`: the account."""

    mandatory: tuple[str, ...] = ("uuid",)

    def __init__(self, store: SharedBalances, options: Options, epoch_s: Callable[[], float]) -> None:
        self._store, self._options, self._epoch_s = store, options, epoch_s
        self._work: set[asyncio.Task[None]] = set()
        self._owed: dict[str, int] = {}
        """Charge → seconds, of calls whose end the database has not taken yet."""
        self._settling: dict[str, asyncio.Task[None]] = {}
        """What sees to each of them."""
        self._recovered = False

    async def recover(self) -> None:
        """Make the tables and settle what an earlier life of this node left: no call is taken before. Raises ControlUnreachable, aiomysql.Error."""
        await self._store.open()
        for charge, account, seconds in await self._store.recover():
            log.warning("prepaid call %s was up when the server stopped: %d s are charged to %s", charge, seconds, account)
        self._recovered = True

    async def authorize(self, ask: ControlAsk) -> Grant:
        """An unknown account is 500, one without credit 402; ControlUnreachable while the database is away."""
        try:
            return await self._slice(ask)
        except (ControlUnreachable, asyncio.CancelledError):  # nobody knows whether something is held now: nobody will use it
            self._owe(ask.key, 0)
            raise

    async def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """The next slice. Raises as `authorize`."""
        return await self._slice(ask)

    async def _slice(self, ask: ControlAsk) -> Grant:
        if not self._recovered:
            raise ControlUnreachable("what calls of an earlier life of this server hold is not settled yet")
        await self._free(ask.key)
        account = ask.values["uuid"]
        found = await self._store.reserve(ask.key, account, self._options.slice)
        if found is None:
            raise Refused(500, "Server Internal Error")
        seconds, free = found
        if not seconds:
            raise NO_CREDIT
        return slice_grant(self._options, account, seconds, last=not free)

    def answered(self, ask: ControlAsk) -> None:
        """It costs from now on."""
        key, now_s = ask.key, self._epoch_s()
        self._spawn(self._note_answer(key, now_s))

    async def _note_answer(self, key: str, now_s: float) -> None:
        try:
            await self._store.answered(key, now_s)
        except ControlUnreachable as error:
            log.error("prepaid call %s: its answer is not in the database, so a crash would not charge it: %s", key, error)

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """Charge whole seconds, rounded as SEMS rounds; until the database has taken it."""
        self._owe(ask.key, round(used_s))

    async def _free(self, key: str) -> None:
        """What an unanswered question may hold is let go before the next holds something: to settle it later would settle that, too."""
        if self._owed.pop(key, None) is None:
            return
        self._settling.pop(key).cancel()  # the database ends what that had begun, or has it whole, before ours gets the row
        try:
            await self._store.settle(key, 0)
        except (ControlUnreachable, asyncio.CancelledError):
            if key not in self._owed:  # the call's end may have come meanwhile, with what it cost
                self._owe(key, 0)
            raise

    def _owe(self, key: str, seconds: int) -> None:
        """Charge it as soon as the database takes it."""
        self._owed[key] = seconds
        if key not in self._settling:
            self._settling[key] = self._spawn(self._settle(key))

    async def _settle(self, key: str) -> None:
        said = False
        while key in self._owed:
            seconds = self._owed[key]
            try:
                await self._store.settle(key, seconds)
            except ControlUnreachable as error:
                if not said:
                    log.error("prepaid call %s: %d s are not charged yet: %s", key, seconds, error)
                said = True
                await asyncio.sleep(_AGAIN_S)
            else:
                if self._owed[key] == seconds:  # else the call has ended meanwhile
                    del self._owed[key]
        del self._settling[key]

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    async def touch(self) -> None:
        """Note that this server's calls still cost."""
        try:
            await self._store.seen(self._epoch_s())
        except ControlUnreachable as error:
            log.debug("prepaid calls are not noted: %s", error)

    async def close(self) -> None:
        """Charge what can be charged, for a moment; the rest stands in the database as held, and is charged at the next start."""
        if self._work:
            await asyncio.wait(self._work, timeout=_LAST_WORDS_S)
        for task in self._work:
            task.cancel()
        for key, seconds in self._owed.items():
            log.error("prepaid call %s: the end was not charged (%d s): the next start charges what is known of it", key, seconds)
        await self._store.close()


class SharedCredits:
    """DI functions of `cc_prepaid`, over the database."""

    def __init__(self, store: SharedBalances) -> None:
        self._store = store

    @di_method("getCredit", changes=False)
    async def get_credit(self, uuid: str) -> list[Value]:
        """Return the credit in seconds, and whether the account is known."""
        credit = await _asked(self._store.credit(uuid))
        return [credit or 0, int(credit is not None)]

    @di_method("subtractCredit", dangerous=True)
    async def subtract_credit(self, uuid: str, amount: int) -> list[Value]:
        """Take seconds away, not below 0; returns what is left, and whether the account is known."""
        if await _asked(self._store.credit(uuid)) is None:
            return [0, 0]
        return [await _asked(self._store.change(uuid, -amount)), 1]

    @di_method("addCredit", dangerous=True)
    async def add_credit(self, uuid: str, amount: int) -> list[Value]:
        """Add seconds; an unknown account is made. A call whose credit is not used up yet goes on with them."""
        return [await _asked(self._store.change(uuid, amount))]

    @di_method("setCredit", dangerous=True)
    async def set_credit(self, uuid: str, amount: int) -> list[Value]:
        """Set the credit; an unknown account is made."""
        return [await _asked(self._store.change(uuid, amount, absolute=True))]


async def _asked(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except ControlUnreachable as error:
        raise CallFailed(str(error)) from error
