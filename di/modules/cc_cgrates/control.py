# SPDX-License-Identifier: GPL-2.0-or-later
"""A call as a session of CGRateS: authorized, initiated at the answer, updated slice by slice, terminated, and its CDR.

AuthorizeEvent ─► InitiateSession ─► UpdateSession … ─► TerminateSession ─► ProcessCDR
   nothing is        the first          the next             what was not used
   reserved yet      slice is debited   slice                is given back
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING

from di.calls.control import Grant
from di.calls.control_modules import ControlAsk, ControlUnreachable, InterruptedCall
from di.kernel.errors import Refused
from di.modules.cc_cgrates.events import CallFacts, argument, base_event, grant, max_usage_s, time_text, usage_text
from di.modules.cc_cgrates.peer import CgratesPeer
from di.modules.cc_cgrates.served import serve
from di.modules.cc_cgrates.wire import Json
from di.sip.headers import parse_uri, uri_of
from di.stores.charges import Charge, ChargeBook, Facts, NotTold

if TYPE_CHECKING:
    from di.calls.admission import Admission
    from di.kernel.ports import Clock
    from di.modules.cc_cgrates.options import Options
    from di.sip.records import CallEnded

_PATIENCE_S = 10.0
"""For what no call waits for."""


class CgratesControl:
    """The control module. Value `uuid`: the Account; `subject`, `destination`, `category`, `tenant`, `request_type`; others go along."""

    mandatory: tuple[str, ...] = ("uuid",)

    def __init__(self, options: Options, origin_host: str, clock: Clock) -> None:
        self._options = options
        self._host = origin_host
        self._clock = clock
        self._live: dict[str, ControlAsk] = {}
        """By OriginID, from the answer to the end."""
        self._initiating: dict[str, asyncio.Future[Json]] = {}
        self._updates: dict[str, int] = {}
        self.book = ChargeBook("cc_cgrates", options.file, clock, self._tell_end)
        self.peer = CgratesPeer(options.servers, lambda asked: serve(asked, self), clock.random)

    # ---------------------------------------------------------------------------------------------------------------- a call
    def _event(self, ask: ControlAsk) -> dict[str, Json]:
        info = ask.call.info
        caller = parse_uri(uri_of(info.from_header)).user
        called = info.user or parse_uri(info.request_uri).user
        facts = CallFacts(ask.key, caller, called, ask.call.started_s, info.call_id, info.source_ip)
        return base_event(facts, ask.values, self._options, self._host)

    async def authorize(self, ask: ControlAsk) -> Grant:
        """Raises Refused, ControlUnreachable."""
        event = self._event(ask)
        asked = argument(event, "authorize", self._options, ("GetMaxUsage",), **self._slice())
        granted = grant(max_usage_s(await self.peer.call("SessionSv1.AuthorizeEvent", asked)), event, self._options)
        await self.book.begin(ask.key, _facts(event), {"cause": "cancel", "by": "remote"})
        return granted

    def _slice(self) -> dict[str, Json]:
        return {"Usage": usage_text(self._options.slice)} if self._options.slice else {}

    def answered(self, ask: ControlAsk) -> Awaitable[Grant | None]:
        """The first slice is reserved. Raises Refused, ControlUnreachable."""
        event = self._event(ask)
        self.book.answered(ask.key, _facts(event))
        self._live[ask.key] = ask
        event["AnswerTime"] = time_text(ask.call.answered_s)
        asked = argument(event, "initiate", self._options, ("InitSession",), **self._slice())
        initiating = self._initiating[ask.key] = asyncio.ensure_future(self._patiently("SessionSv1.InitiateSession", asked))
        return self._initiated(initiating, event)

    async def _initiated(self, initiating: asyncio.Future[Json], event: dict[str, Json]) -> Grant | None:
        seconds = max_usage_s(await asyncio.shield(initiating))  # CGRateS may take it although nobody waits any more
        if not self._options.slice and seconds is None:
            return None  # it debits by itself: what was authorized is the limit
        return grant(seconds, event, self._options)

    async def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """The next slice. Raises Refused, ControlUnreachable."""
        event = self._event(ask)
        event["AnswerTime"] = time_text(ask.call.answered_s)
        number = self._updates[ask.key] = self._updates.get(ask.key, 0) + 1
        asked = argument(event, f"update/{number}", self._options, ("UpdateSession",), **self._slice())
        return grant(max_usage_s(await self.peer.call("SessionSv1.UpdateSession", asked)), event, self._options)

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """It will be told."""
        self._live.pop(ask.key, None)
        self._updates.pop(ask.key, None)
        cause = f"{end.code} {end.reason}".strip()
        self.book.end(ask.key, used_s, {**_facts(self._event(ask)), "cause": cause, "by": end.by})

    async def _tell_end(self, charge: Charge) -> None:
        """Raises NotTold. A session that CGRateS does not know (its restart, or ours) it makes and ends in one."""
        initiating = self._initiating.pop(charge.key, None)
        if initiating is not None:
            await asyncio.wait((initiating,))
        event: dict[str, Json] = json.loads(charge.facts["event"])
        event["Usage"] = usage_text(charge.used_s)
        event["DisconnectCause"] = charge.facts.get("cause", "the server was stopped")
        if charge.answered_s:
            event["AnswerTime"] = time_text(charge.answered_s)
        try:
            if charge.answered_s or charge.interrupted:  # the session may have begun in the last moment before the crash
                ended = argument(event, "terminate", self._options, ("TerminateSession",))
                await self._told("SessionSv1.TerminateSession", ended)
            if self._options.cdr:
                await self._told("SessionSv1.ProcessCDR", argument(event, "cdr", self._options))
        except ControlUnreachable as error:
            raise NotTold(str(error)) from error

    async def interrupted(self, call: InterruptedCall) -> None:
        """A crash has cut the call: without a book of our own the call records know it. Raises ControlUnreachable, to be asked again."""
        if self.book.on_disk:
            return  # it is in there
        caller, called = parse_uri(uri_of(call.from_header)).user, parse_uri(call.request_uri).user
        facts = CallFacts(
            call.key, caller, called, self._clock.epoch_s() - call.used_s, call.call_id, call.source.partition(":")[0]
        )
        event = base_event(facts, call.values, self._options, self._host)
        answered_s = self._clock.epoch_s() - call.used_s if call.answered else 0.0
        charge = Charge(call.key, _facts(event), answered_s, self._clock.epoch_s(), call.used_s, True)
        try:
            await self._tell_end(charge)
        except NotTold as error:
            raise ControlUnreachable(str(error)) from error

    async def _told(self, method: str, asked: Json) -> None:
        try:
            await self._patiently(method, asked)
        except Refused:
            return  # INSUFFICIENT_CREDIT and the like: it has taken note
        except ControlUnreachable as error:
            if "EXISTS" not in str(error):  # it has this CDR already
                raise

    async def _patiently(self, method: str, asked: Json) -> Json:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self.peer.call(method, asked)
        except TimeoutError as error:
            raise ControlUnreachable(self.peer.problem or f"no answer to {method} in {_PATIENCE_S:.0f} s") from error

    # -------------------------------------------------------------------------------------------- CGRateS speaks up by itself
    def _admission(self, origin_id: str) -> tuple[Admission, str] | None:
        ask = self._live.get(origin_id)
        return None if ask is None or ask.call.admission is None else (ask.call.admission, ask.instance)

    def disconnect(self, origin_id: str, why: str) -> bool:
        """End it."""
        found = self._admission(origin_id)
        return found is not None and found[0].cut(found[1], why)

    def warn(self, origin_id: str) -> bool | None:
        """Let the caller hear it."""
        if not self._options.warn_file:
            return None
        found = self._admission(origin_id)
        return found is not None and found[0].warn(found[1])

    def ask_again(self, origin_id: str) -> bool:
        """Ask what it may use; with a CGRateS that debits by itself there is nothing to ask."""
        found = self._admission(origin_id)
        return found is not None and (not self._options.slice or found[0].ask_again(found[1]))

    def active(self) -> Iterable[tuple[str, str]]:
        """OriginHost and OriginID of each session."""
        return [(self._host, origin_id) for origin_id in self._live]


def _facts(event: dict[str, Json]) -> Facts:
    return {"account": str(event["Account"]), "event": json.dumps(event)}
