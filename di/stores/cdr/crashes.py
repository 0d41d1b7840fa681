# SPDX-License-Identifier: GPL-2.0-or-later
"""Controls of calls that a crash has cut are told of their ends: each until it has taken the news, in order, beside the calls of this life."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from di.calls.control_modules import ControlModule, ControlUnreachable, HearsOfCrashes, InterruptedCall
from di.kernel.sqlite_thread import DatabaseFailed
from di.stores.cdr import spool
from di.stores.cdr.book import ControlNote
from di.stores.cdr.delivery import pause_s
from di.stores.cdr.record import CallRecord, from_json

if TYPE_CHECKING:
    from di.kernel.ports import Clock
    from di.kernel.sqlite_thread import SqliteThread

log = logging.getLogger(__name__)
_PATIENCE_S = 15
"""How long one control may take for one call."""


def interrupted_call(note: ControlNote, record: CallRecord) -> InterruptedCall:
    """What the control is told."""
    return InterruptedCall(
        instance=note.control,
        call=record.call,
        values=note.values,
        account=note.account,
        charge_id=note.charge_id,
        answered=bool(record.answer),
        used_s=record.billable_ms / 1000,
        direction=record.direction,
        application=record.app,
        from_header=record.from_,
        to_header=record.to,
        request_uri=record.ruri,
        call_id=record.call_id,
        source=record.source.rpartition(":")[0],
    )


class CrashNews:
    """`left`: how many are still to be told. `give_up_s`: for how long it is tried."""

    def __init__(self, database: SqliteThread, modules: Mapping[str, ControlModule], clock: Clock, give_up_s: float) -> None:
        self._database = database
        self._modules = modules
        self._clock = clock
        self._give_up_s = give_up_s
        self._tried_again = asyncio.Event()
        self.left = 0

    async def run(self) -> None:
        """Until all have been told."""
        failures = 0
        while True:
            try:
                await self.round()
                if not self.left:
                    return
            except DatabaseFailed as error:
                log.error("controls are not told yet of calls that a crash has cut: %s", error)
            self._tried_again.clear()
            self._clock.call_later(round(pause_s(failures, self._clock.random) * 1e9), self._tried_again.set)
            failures += 1
            await self._tried_again.wait()

    async def round(self) -> None:
        """Tell each once; a module that does not answer is not asked further in this round."""
        rows = await self._database.run(spool.untold)
        silent: set[str] = set()
        self.left = len(rows)
        for seq, text, cut, since_s in rows:
            try:
                note, record = ControlNote.from_json(text), from_json(cut)
            except ValueError as error:
                log.error(
                    "a call was cut by a crash, and what its control is to hear of it cannot be read: %s: %.300s", error, cut
                )
            else:
                if note.module in silent:
                    continue
                if not await self._tell(note, record, since_s):
                    silent.add(note.module)
                    continue
            await self._database.run(lambda connection, seq=seq: spool.told(connection, [seq]))  # type: ignore[misc]
            self.left -= 1

    async def _tell(self, note: ControlNote, record: CallRecord, since_s: float) -> bool:
        """Whether that is done with, be it that nobody wants to hear it."""
        module = self._modules.get(note.module)
        what = f"call {record.call} was cut by a crash after {record.billable_ms / 1000:.1f} s"
        if not isinstance(module, HearsOfCrashes):
            if module is None:
                log.error("%s: control %s is not told, for its module %s is not loaded any more", what, note.control, note.module)
            return True
        try:
            outcome = module.interrupted(interrupted_call(note, record))
            if inspect.isawaitable(outcome):
                await asyncio.wait_for(outcome, _PATIENCE_S)
        except (ControlUnreachable, TimeoutError) as error:
            if self._clock.epoch_s() - since_s > self._give_up_s:
                log.error(
                    "%s: control %s is NOT told, for it has not answered for %d s: %s", what, note.control, self._give_up_s, error
                )
                return True
            log.warning("%s: control %s is not told yet: %s", what, note.control, error or "no answer in time")
            return False
        except Exception as error:
            log.error("%s: control %s failed to take it: %s", what, note.control, error, exc_info=error)
            return True
        log.warning("%s: control %s is told", what, note.control)
        return True
