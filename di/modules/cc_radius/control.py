# SPDX-License-Identifier: GPL-2.0-or-later
"""A call at RADIUS servers: Access-Request before it, accounting Start, Interim-Update and Stop while it costs.

Access-Request ─► Session-Timeout = the grant ─► Start ─► Interim-Update … ─► Stop (until it is taken, after a crash too)
                                                     slices: Interim-Update, then Access-Request anew
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from di.calls.control import Grant
from di.calls.control_modules import ControlAsk, ControlUnreachable, InterruptedCall
from di.kernel.errors import Refused
from di.modules.cc_radius import packets
from di.modules.cc_radius.client import RadiusClient
from di.modules.cc_radius.exchanges import ExchangeRules
from di.modules.cc_radius.packets import Attributes, RadiusReply
from di.sip.headers import parse_uri, uri_of
from di.stores.charges import Charge, ChargeBook, Facts, NotTold

if TYPE_CHECKING:
    from di.kernel.ports import Clock, TimerHandle
    from di.modules.cc_radius.options import Options
    from di.sip.records import CallEnded

log = logging.getLogger(__name__)
_ASK_BEFORE_S = 2.0
_VIRTUAL, _BY_RADIUS, _CALL_CHECK = 5, 1, 10
"""NAS-Port-Type (RFC 2865 §5.41), Acct-Authentic (RFC 2866 §5.6), Service-Type of a request about a call (RFC 2865 §5.6)."""
_CAUSES = {"limit": 5, "operator": 6, "app": 10, "remote": 1, "cancel": 1, "timeout": 2, "error": 9, "local": 10}
"""By whom a call was ended → Acct-Terminate-Cause (RFC 2866 §5.10)."""
_NAS_REBOOT, _USER_REQUEST = 11, 1


@dataclass(slots=True)
class RadiusCall:
    """What is known of a call between its requests; a `di.modules.cc_radius.dynamic.NamedCall`."""

    ask: ControlAsk
    user: str
    texts: dict[str, str]
    classes: tuple[bytes, ...] = ()
    state: bytes = b""
    interim_s: int = 0
    granted_s: float = 0.0
    """In all, from the answer."""
    told_s: int = 0
    """The longest time that an update has said: one that overtakes another must not make the call cheaper."""
    in_turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    over: bool = False
    """Nothing more is said of it but its Stop."""
    by_server: bool = False
    """A server has ended it."""
    starting: asyncio.Task[None] | None = field(default=None, repr=False)
    timer: TimerHandle | None = field(default=None, repr=False)

    def disconnect(self) -> bool:
        """End it."""
        admission = self.ask.call.admission
        self.by_server = admission is not None and admission.cut(self.ask.instance, "Disconnect-Request")
        return self.by_server

    def limit(self, seconds: int) -> bool:
        """So many seconds from now on."""
        admission = self.ask.call.admission
        return admission is not None and admission.limit(self.ask.instance, seconds)


class RadiusControl:
    """The control module. Values `uuid`: User-Name; `password`; `called`, `calling`: station ids."""

    mandatory: tuple[str, ...] = ("uuid",)

    def __init__(self, options: Options, nas_identifier: str, clock: Clock) -> None:
        self._options = options
        self._nas = nas_identifier
        self._clock = clock
        self._calls: dict[str, RadiusCall] = {}
        """By Acct-Session-Id."""
        rules = ExchangeRules(
            secrets=tuple(options.secret_file.of(host.host) for host in options.servers),
            timeout_ns=options.timeout_ms * 1_000_000,
            attempts=options.attempts,
            dead_ns=options.dead_time * 1_000_000_000,
            require_authenticator=options.require_message_authenticator,
        )
        self.client = RadiusClient(options.servers, rules, clock)
        self.book = ChargeBook("cc_radius", options.file, clock, self._tell_stop)
        self._updates: set[asyncio.Task[None]] = set()

    # ---------------------------------------------------------------------------------------------------------------- a call
    def _call(self, ask: ControlAsk) -> RadiusCall:
        """What is known of it; made where the servers were not reached."""
        if (call := self._calls.get(ask.key)) is not None:
            return call
        info = ask.call.info
        user = ask.values["uuid"]
        called, calling = info.user or parse_uri(info.request_uri).user, parse_uri(uri_of(info.from_header)).user
        texts = self._texts(ask.key, ask.values, called, calling)
        return RadiusCall(ask, user, texts, interim_s=self._options.interim_interval)

    def _texts(self, key: str, values: Mapping[str, str], called: str, calling: str) -> dict[str, str]:
        return {
            "User-Name": values["uuid"],
            "NAS-Identifier": self._nas,
            "Called-Station-Id": values.get("called") or called,
            "Calling-Station-Id": values.get("calling") or calling,
            "Acct-Session-Id": key,
        }

    async def authorize(self, ask: ControlAsk) -> Grant:
        """Raises Refused, ControlUnreachable."""
        call = self._call(ask)
        reply = await self._access(call)
        seconds = None if reply.session_s is None else float(reply.session_s)
        granted = self._grant(call, reply, seconds)
        self._calls[ask.key] = call
        await self.book.begin(ask.key, self._facts(call))
        return granted

    async def _access(self, call: RadiusCall) -> RadiusReply:
        numbers = {"NAS-Port-Type": _VIRTUAL, "Service-Type": _CALL_CHECK, "Event-Timestamp": int(self._clock.epoch_s())}
        attributes = Attributes(call.texts, numbers, state=call.state)
        password = call.ask.values.get("password", "")
        reply = await self.client.ask(False, lambda id, secret: packets.access_request(id, secret, attributes, password))
        if reply.challenge:
            raise ControlUnreachable("the server asks a challenge, which nobody here can answer")
        if not reply.accepted:
            raise Refused(self._options.refuse_code, reply.message or "Forbidden")
        call.classes = reply.classes or call.classes
        call.state = reply.state
        call.interim_s = reply.interim_s or call.interim_s
        return reply

    def _grant(self, call: RadiusCall, reply: RadiusReply, seconds: float | None) -> Grant:
        """`seconds`: what the servers allow from where the last grant ends."""
        if seconds is not None and seconds <= 0:
            raise Refused(402, reply.message or "Insufficient Credit")
        again = reply.ask_again
        if self._options.slice and (seconds is None or seconds > self._options.slice):
            seconds, again = float(self._options.slice), True
        elif self._options.slice:
            again = True  # credit that is added meanwhile lets it go on
        call.granted_s += seconds or 0.0
        asks = again and seconds is not None
        return Grant(
            seconds,
            ask_before_s=min(max(_ASK_BEFORE_S, self._options.warn), seconds / 2) if asks and seconds else 0.0,
            final=not asks,
            warn_s=self._options.warn,
            warn_path=self._options.warn_file,
            account=call.user,
            charge_id=call.ask.key,
        )

    def answered(self, ask: ControlAsk) -> None:
        """It costs from now on."""
        call = self._calls[ask.key] = self._call(ask)
        self.book.answered(ask.key, self._facts(call))
        call.starting = asyncio.ensure_future(self._update(call, packets.START, 0.0))
        self._next_interim(call)

    async def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """Tell what was used, and ask for the next slice. Raises Refused, ControlUnreachable."""
        call = self._call(ask)
        self._next_interim(call)
        await self._send_update(call, packets.INTERIM, used_s)
        reply = await self._access(call)
        # Session-Timeout counts from what the update has said, the grant from where the last one ends
        left_s = None if reply.session_s is None else call.told_s + reply.session_s - call.granted_s
        return self._grant(call, reply, left_s)

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """Its Stop will be told."""
        call = self._call(ask)
        call.over = True
        if call.timer is not None:
            call.timer.cancel()
        by = ask.call.dialog.ended_by or end.by
        cause = _CAUSES["operator"] if call.by_server else _CAUSES.get(by, _USER_REQUEST)
        self.book.end(ask.key, used_s, {**self._facts(call), "cause": str(cause)})
        if call.starting is None:
            self._calls.pop(ask.key, None)

    # -------------------------------------------------------------------------------------------------------------- accounting
    def _next_interim(self, call: RadiusCall) -> None:
        if call.timer is not None:
            call.timer.cancel()
        if call.interim_s and not call.over:
            call.timer = self._clock.call_later(call.interim_s * 1_000_000_000, lambda: self._interim(call))

    def _interim(self, call: RadiusCall) -> None:
        admission = call.ask.call.admission
        used_s = admission.used_s(self._clock.now_ns()) if admission is not None else 0.0
        task = asyncio.ensure_future(self._update(call, packets.INTERIM, used_s))
        self._updates.add(task)
        task.add_done_callback(self._updates.discard)
        self._next_interim(call)

    async def _update(self, call: RadiusCall, kind: int, used_s: float) -> None:
        """Start and Interim-Update: what they say the Stop says again, so one that is lost has a line in the log and no more."""
        try:
            await self._send_update(call, kind, used_s)
        except ControlUnreachable as error:
            name = "Start" if kind == packets.START else "Interim-Update"
            log.warning("call %s: radius: %s was not taken: %s", call.ask.call.id, name, error)

    async def _send_update(self, call: RadiusCall, kind: int, used_s: float) -> None:
        """One after the other. Raises ControlUnreachable."""
        async with call.in_turn:
            if call.over:  # a renewal that began in the moment of the end
                raise ControlUnreachable("the call is over")
            call.told_s = max(call.told_s, int(used_s))
            numbers = {
                "Acct-Status-Type": kind,
                "Acct-Session-Time": call.told_s,
                "Event-Timestamp": int(self._clock.epoch_s()),
                "Acct-Authentic": _BY_RADIUS,
                "NAS-Port-Type": _VIRTUAL,
            }
            attributes = Attributes(call.texts, numbers, call.classes)
            await self.client.ask(True, lambda id, secret: packets.accounting_request(id, secret, attributes))

    def _facts(self, call: RadiusCall) -> Facts:
        classes = [base64.b64encode(one).decode() for one in call.classes]
        return {"account": call.user, "texts": json.dumps(call.texts), "classes": json.dumps(classes)}

    async def _tell_stop(self, charge: Charge) -> None:
        """Raises NotTold. A server knows a repeat by its Acct-Session-Id; how old it is stands in Acct-Delay-Time."""
        call = self._calls.pop(charge.key, None)
        if call is not None and call.starting is not None:
            await asyncio.wait((call.starting,))
        if not charge.answered_s and not charge.interrupted:
            return  # a Start may have been sent in the last moment before a crash
        numbers = {
            "Acct-Status-Type": packets.STOP,
            "Acct-Session-Time": round(charge.used_s),
            "Acct-Terminate-Cause": int(charge.facts.get("cause", _NAS_REBOOT)),
            "Acct-Delay-Time": max(0, int(self._clock.epoch_s() - charge.ended_s)),
            "Event-Timestamp": int(charge.ended_s),
            "Acct-Authentic": _BY_RADIUS,
            "NAS-Port-Type": _VIRTUAL,
        }
        classes = tuple(base64.b64decode(one) for one in json.loads(charge.facts["classes"]))
        attributes = Attributes(json.loads(charge.facts["texts"]), numbers, classes)
        try:
            await self.client.ask(True, lambda id, secret: packets.accounting_request(id, secret, attributes))
        except ControlUnreachable as error:
            raise NotTold(str(error)) from error

    async def interrupted(self, call: InterruptedCall) -> None:
        """A crash has cut the call: without a book of our own the call records know it. Raises ControlUnreachable, to be asked again."""
        if self.book.on_disk or not call.answered:
            return
        called, calling = parse_uri(call.request_uri).user, parse_uri(uri_of(call.from_header)).user
        texts = self._texts(call.key, call.values, called, calling)
        facts = {"account": call.values["uuid"], "texts": json.dumps(texts), "classes": "[]"}
        now_s = self._clock.epoch_s()
        try:
            await self._tell_stop(Charge(call.key, facts, now_s - call.used_s, now_s, call.used_s, True))
        except NotTold as error:
            raise ControlUnreachable(str(error)) from error

    # ------------------------------------------------------------------------------------------------------------ for servers
    def named(self, session_id: str) -> Iterable[RadiusCall]:
        """The call of that Acct-Session-Id, or all."""
        if session_id:
            return [call] if (call := self._calls.get(session_id)) is not None else []
        return list(self._calls.values())

    def stop_updates(self) -> None:
        """No more of them: the server stops."""
        for call in self._calls.values():
            if call.timer is not None:
                call.timer.cancel()

    def close(self) -> None:
        """Give the sockets back."""
        for task in self._updates:
            task.cancel()
        self.client.close()
