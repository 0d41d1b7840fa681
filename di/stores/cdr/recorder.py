# SPDX-License-Identifier: GPL-2.0-or-later
"""From calls to records: a link of the chain of controls, the first, so that calls which others refuse have their record as well.

A call goes on only when its record is on the disk: whatever happens to the server afterwards, the call is known. While the spool cannot
be written no new call is taken (503), unless the configuration says that calls matter more than their records.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from di.calls.control import Grant
from di.kernel.errors import Refused
from di.kernel.sqlite_thread import DatabaseFailed, SqliteThread
from di.sip.headers import parse_uri, uri_of
from di.stores.cdr import spool
from di.stores.cdr.record import CallRecord, closed, disposition, new_id, q850_of, rtp_figures, time_text

if TYPE_CHECKING:
    from di.calls.call_info import CallInfo
    from di.calls.end_lines import CallOver
    from di.calls.refusals import RefusedCall
    from di.calls.session import Session
    from di.kernel.ports import Clock
    from di.sip.records import CallEnded

log = logging.getLogger(__name__)
_NO_ROOM = Refused(503, "Service Unavailable", ("Retry-After: 60",))
_OTHER_SIDE = {"remote": ("caller", "callee"), "cancel": ("caller", "callee")}
"""How a `CallEnded` came → who that is, of a call in and of a call out."""


@dataclass(frozen=True, slots=True)
class RecordRules:
    """What a configuration says of records. `sinks_of`: which ways out a record is for; `vars()`: attributes of the store that go along."""

    node: str
    sinks_of: Callable[[CallRecord], Sequence[str]]
    vars: Callable[[], Collection[str]]
    refuse_without: bool


class Recorder:
    """A `di.calls.admission.Control`. `problem`: why the spool cannot be written, empty when it can; `wake` when a record is complete."""

    name = "cdr"

    def __init__(
        self, database: SqliteThread, clock: Clock, rules: RecordRules, problem: Callable[[], str], wake: Callable[[], None]
    ) -> None:
        self._database = database
        self._clock = clock
        self._rules = rules
        self._problem = problem
        self._wake = wake
        self._open: dict[str, CallRecord] = {}
        """By the session's id."""
        self._unclosed: list[CallRecord] = []
        """Complete, and the disk has not taken them yet."""

    # -------------------------------------------------------------------------------------------------------- the chain
    def admit(self, call: Session) -> Grant | asyncio.Future[Grant]:
        """Let a call begin once its record is on the disk. Raises Refused."""
        problem = self._problem()
        if problem and self._rules.refuse_without:
            log.error("call %s: refused, for no record of it can be kept: %s", call.id, problem)
            raise _NO_ROOM
        record = self._begun(call)
        self._open[call.id] = record
        return asyncio.ensure_future(self._kept(record))

    async def _kept(self, record: CallRecord) -> Grant:
        now_s = self._clock.epoch_s()
        try:
            await self._database.run(lambda connection: spool.keep_open(connection, record, now_s))
        except DatabaseFailed as error:
            log.error("call %s: its record cannot be kept: %s", record.call, error)
            if self._rules.refuse_without:
                raise _NO_ROOM from error
        return Grant()

    def answered(self, call: Session) -> None:
        """The clock runs."""
        record = self._open.get(call.id)
        if record is None:
            return
        record = self._open[call.id] = self._filled(replace(record, answer=time_text(call.answered_s)), call)
        first = self._open.get(record.linked)
        if record.leg == "b" and first is not None:
            self._open[first.call] = replace(first, other=call.id)
        now_s = self._clock.epoch_s()
        done = self._database.run(lambda connection: spool.keep_open(connection, record, now_s))
        done.add_done_callback(lambda done: _say(record, done))

    def renew(self, call: Session, used_s: float) -> Grant:  # noqa: ARG002 - `Control` has them
        """It never gives a limit."""
        return Grant()

    def ended(self, call: Session, end: CallEnded, used_s: float) -> None:
        """`over` has closed the record, with the figures of its audio."""

    # ------------------------------------------------------------------------------------------------------------- the end
    def over(self, over: CallOver) -> None:
        """A call is over: its record is complete."""
        record = self._open.pop(over.session.id, None)
        if record is None:
            return
        session, end = over.session, over.ended
        granted_s = session.admission.granted_s() if session.admission is not None else None
        record = replace(
            self._filled(record, session),
            granted_ms=-1 if granted_s is None else round(granted_s * 1000),
            disposition=disposition(bool(record.answer), end.code, end.by),
            sip_code=end.code,
            sip_reason=end.reason,
            q850=q850_of(end.headers),
            hangup_by=_who(session, end),
            hangup_cause=session.dialog.why or end.reason,
            rtp=rtp_figures(over.counters),
        )
        known = {name: str(session.attributes[name]) for name in self._rules.vars() if name in session.attributes}
        self._close(closed(replace(record, vars=known | record.vars), over.at_s))

    def refused(self, call: RefusedCall) -> None:
        """A call was refused before it was one: its record begins and ends now."""
        if self._problem():
            return  # it would be refused for that reason, too; the log has it
        info, now_s = call.info, self._clock.epoch_s()
        id = new_id(now_s, self._clock.random)
        record = replace(
            _of_info(info, id, call.id or id, call.id or id),
            node=self._rules.node,
            app=call.application,
            start=time_text(now_s),
            disposition=disposition(False, call.code, ""),
            sip_code=call.code,
            sip_reason=call.reason,
            hangup_by=call.by,
            hangup_cause=call.cause,
        )
        self._close(closed(record, now_s))

    def note(self, call: str, note: str) -> None:
        """Keep with an open record who must be told of its end."""
        record = self._open.get(call)
        if record is not None:
            done = self._database.run(lambda connection: spool.note_asked(connection, record.id, note))
            done.add_done_callback(lambda done: _say(record, done))

    def cut(self) -> None:
        """The server stops: what still lasts ends now."""
        for id, record in list(self._open.items()):
            del self._open[id]
            answered = bool(record.answer)
            ended = replace(record, disposition="ANSWERED" if answered else "FAILED", hangup_by="system", hangup_cause="shutdown")
            self._close(closed(ended, self._clock.epoch_s()))

    def _close(self, record: CallRecord) -> None:
        sinks = self._rules.sinks_of(record)
        now_s = self._clock.epoch_s()
        done = self._database.run(lambda connection: spool.close(connection, record, sinks, now_s))

        def settled(done: asyncio.Future[bool]) -> None:
            if done.cancelled() or done.exception() is not None:
                _say(record, done)
                self._unclosed.append(record)
            else:
                self._wake()

        done.add_done_callback(settled)

    def retry(self) -> None:
        """Close again what the disk would not take."""
        again, self._unclosed = self._unclosed, []
        for record in again:
            self._close(record)

    @property
    def waiting(self) -> int:
        """How many complete records are in memory only. Should the server die now, the next one finds them open and closes them."""
        return len(self._unclosed)

    def open_ids(self) -> Collection[str]:
        """Ids of the records whose calls last."""
        return [record.id for record in self._open.values()]

    def open_records(self) -> Collection[CallRecord]:
        """Records whose calls last, oldest first."""
        return self._open.values()

    # ---------------------------------------------------------------------------------------------------------- what is in it
    def _begun(self, call: Session) -> CallRecord:
        info, pair = call.info, call.pair
        second = pair is not None and call is not pair.first
        first = pair.first if pair is not None and second else None
        id = new_id(self._clock.epoch_s(), self._clock.random)
        return replace(
            _of_info(info, id, call.id, first.id if first is not None else call.id),
            leg="b" if second else "a",
            other=first.id if first is not None else "",
            node=self._rules.node,
            app=call.application,
            profile=str(call.attributes.get("profile", "")),
            start=time_text(call.started_s),
        )

    def _filled(self, record: CallRecord, call: Session) -> CallRecord:
        """What has become known since."""
        info, dialog = call.info, call.dialog
        account, charge_id = call.admission.charge() if call.admission is not None else ("", "")
        partner = call.pair.other(call) if call.pair is not None else None
        negotiated = call.audio.negotiated
        return replace(
            record,
            other=partner.id if partner is not None else record.other,
            app=call.application,
            account=account,
            charge_id=charge_id,
            call_id=info.call_id,
            local_tag=info.local_tag,
            remote_tag=info.remote_tag,
            progress=time_text(dialog.proceeding_s),
            early_media=time_text(dialog.early_s),
            codec=negotiated.codec if negotiated is not None else record.codec,
            room=call.audio.room or record.room,
            vars=record.vars | (call.admission.vars() if call.admission is not None else {}),
        )


def _of_info(info: CallInfo, id: str, call: str, linked: str) -> CallRecord:
    """A record of who calls whom."""
    return CallRecord(
        id=id,
        call=call,
        linked=linked,
        direction=info.direction,
        caller=parse_uri(uri_of(info.from_header)).user,
        callee=info.user or parse_uri(info.request_uri).user,
        from_=info.from_header,
        to=info.to_header,
        ruri=info.request_uri,
        call_id=info.call_id,
        source=f"{info.source_ip}:{info.source_port}" if info.source_ip else "",
    )


def _who(session: Session, end: CallEnded) -> str:
    if end.by in _OTHER_SIDE:
        return _OTHER_SIDE[end.by][0 if session.info.incoming else 1]
    if session.dialog.ended_by:
        return session.dialog.ended_by
    return {"timeout": "timeout", "local": "app"}.get(end.by, "system")


def _say(record: CallRecord, done: asyncio.Future[bool] | asyncio.Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("call %s: its record is not on the disk yet and will be tried again: %s", record.call, error)
