# SPDX-License-Identifier: GPL-2.0-or-later
"""Diagrams in sbc legs (spec dsm.md §9.2): each event of a leg goes to its script first, then, unless that set
`#StopProcessing`, to the leg's application.

    session.app ─► LegCallbacks.on_x ─► the machine ─► super().on_x: the application's own

The application stays what it is, also to those who ask for its class: the class that is made for it has the callbacks of both, over one
and the same state.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from di.calls.application import Application
from di.calls.call_changes import CallChanges
from di.calls.chain import then
from di.calls.events import EventPosted, Outcome, SipReply, Verdict
from di.calls.leg_scripts import LegScript
from di.calls.session import Session
from di.dsm.hub.call_words import event_objects, posted
from di.dsm.hub.leg_machine import FIRST_TIMER, LegMachine
from di.dsm.hub.module_hooks import give_back
from di.dsm.language.event import Event, Kind
from di.dsm.run.drivers import deliver
from di.sip.headers import uri_of
from di.sip.records import CallConfirmed, CallProgressed, RequestReceived

if TYPE_CHECKING:
    from di.dsm.hub.app import DsmServer

log = logging.getLogger(__name__)
_HELD = frozenset({"sendonly", "inactive"})


def _stopped(event: Event) -> bool:
    return event.params is not None and event.params.get("StopProcessing") == "true"


class LegCallbacks(Application):
    """The callbacks that a script sees. All else here has names that no application's own can meet."""

    __machine: LegMachine

    def with_script(self, machine: LegMachine) -> None:
        """What runs beside it."""
        self.__machine = machine

    def __show(self, kind: Kind, params: dict[str, str], rest: Callable[[], Outcome]) -> Outcome:
        event = Event(kind, params)
        waiting = cast(Outcome, deliver(self.__machine.machine.run(event)))
        return then(waiting, lambda: None if _stopped(event) else rest())

    def __verdict(self, kind: Kind, params: dict[str, str], rest: Callable[[], Verdict]) -> Verdict:
        event = Event(kind, params)
        waiting = deliver(self.__machine.machine.run(event))
        if waiting is None:
            return True if _stopped(event) else rest()

        async def both() -> bool:
            await waiting
            verdict = True if _stopped(event) else rest()
            return bool(await verdict if isinstance(verdict, Awaitable) else verdict)

        return both()

    def __state(self, reason: str, params: dict[str, str], rest: Callable[[], Outcome], status: str = "") -> Outcome:
        """`legStateChange`; nothing stops what has happened already."""
        event = Event(Kind.LEG_STATE_CHANGE, {"SBCCallStatus": status or self.__machine.status, "reason": reason, **params})
        return then(cast(Outcome, deliver(self.__machine.machine.run(event))), rest)

    # -------------------------------------------------------------------------------------------------------------- begin
    def on_invite(self, session: Session) -> Outcome:
        party = {"remote_party": session.info.from_header, "remote_uri": uri_of(session.info.from_header)}
        event = Event(Kind.INVITE, {**party, "from": session.info.from_header})
        waiting = cast(Outcome, deliver(self.__machine.machine.run(event)))

        def rest() -> Outcome:
            if _stopped(event):
                session.dialog.defer_answer()  # it is the script's call now
                return None
            return super(LegCallbacks, self).on_invite(session)

        return then(waiting, rest)

    def on_outgoing_invite(self) -> Outcome:
        to = self.session.info.to_header
        params = {"remote_party": to, "remote_uri": uri_of(to), "from": to}
        return self.__show(Kind.INVITE, params, lambda: super(LegCallbacks, self).on_outgoing_invite())

    # ------------------------------------------------------------------------------------------------------- SIP messages
    def on_sip_request(self, request: RequestReceived) -> Verdict:
        params = self.__request(request.method, request.headers)
        return self.__verdict(Kind.SIP_REQUEST, params, lambda: super(LegCallbacks, self).on_sip_request(request))

    def on_sip_reply(self, reply: SipReply) -> Verdict:
        return self.__verdict(Kind.SIP_REPLY, self.__reply(reply), lambda: super(LegCallbacks, self).on_sip_reply(reply))

    def __request(self, method: str, headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
        return {"method": method, "r_uri": self.session.info.request_uri, **self.__ids(), **_header_params(headers)}

    def __reply(self, reply: SipReply) -> dict[str, str]:
        return {"sip_code": str(reply.code), "sip_reason": reply.reason, **self.__ids(), **_header_params(reply.headers)}

    def __ids(self) -> dict[str, str]:
        info = self.session.info
        tags = (info.remote_tag, info.local_tag) if info.incoming else (info.local_tag, info.remote_tag)
        return {"from": info.from_header, "to": info.to_header, "from_tag": tags[0], "to_tag": tags[1], "callid": info.call_id}

    # -------------------------------------------------------------------------------------------------------------- states
    def on_ringing(self, progress: CallProgressed) -> Outcome:
        reply = self.__reply(SipReply("INVITE", progress.code, progress.reason, progress.headers))
        return self.__state("SipReply", reply, lambda: super(LegCallbacks, self).on_ringing(progress))

    def on_connected(self, confirmed: CallConfirmed) -> Outcome:
        reply = self.__reply(SipReply("INVITE", confirmed.code, confirmed.reason, confirmed.headers))
        return self.__state("SipReply", reply, lambda: super(LegCallbacks, self).on_connected(confirmed))

    def on_failure(self, code: int, reason: str) -> Outcome:
        params = {"sip_code": str(code), "sip_reason": reason}
        return self.__state("SipReply", params, lambda: super(LegCallbacks, self).on_failure(code, reason), "Disconnected")

    def on_bye(self, headers: tuple[tuple[str, str], ...]) -> Outcome:
        params = self.__request("BYE", headers)
        return self.__state("SipRequest", params, lambda: super(LegCallbacks, self).on_bye(headers), "Disconnected")

    def on_cancel(self) -> Outcome:
        return self.__state("Canceled", {}, super().on_cancel, "Disconnected")

    def on_remote_disappeared(self) -> Outcome:
        return self.__state("NoAck", {}, super().on_remote_disappeared, "Disconnected")

    def on_rtp_timeout(self) -> Outcome:
        return self.__state("RtpTimeout", {}, super().on_rtp_timeout, "Disconnected")

    def on_session_timeout(self) -> Outcome:
        return self.__state("SessionTimeout", {}, super().on_session_timeout, "Disconnected")

    def on_media_changed(self) -> Outcome:
        held = self.session.dialog.peer_direction in _HELD
        if held == self.__machine.held:
            return super().on_media_changed()
        self.__machine.held = held
        kind, params = (Kind.PUT_ON_HOLD, {}) if held else (Kind.RESUME_HELD, {"send_reinvite": "false"})
        return self.__show(kind, params, super().on_media_changed)

    # ------------------------------------------------------------------------------------------------------- the other leg
    def on_other_reply(self, reply: SipReply) -> Outcome:
        kind = Kind.B_LEG_REFUSED if reply.code >= 300 else Kind.B2B_OTHER_REPLY
        params = {**self.__reply(reply), "forward": "true", "trans_method": "INVITE"}
        return self.__show(kind, params, lambda: super(LegCallbacks, self).on_other_reply(reply))

    def on_other_bye(self, headers: tuple[tuple[str, str], ...]) -> Outcome:
        params = {**self.__request("BYE", headers), "forward": "true"}
        return self.__show(Kind.B2B_OTHER_REQUEST, params, lambda: super(LegCallbacks, self).on_other_bye(headers))

    # -------------------------------------------------------------------------------------------------------------- events
    def on_digit(self, event: int, duration_ms: int) -> Outcome:
        params = {"key": str(event), "duration": str(duration_ms)}
        return self.__show(Kind.KEY, params, lambda: super(LegCallbacks, self).on_digit(event, duration_ms))

    def on_playlist_empty(self) -> Outcome:
        return self.__show(Kind.NO_AUDIO, {"type": "noAudio"}, super().on_playlist_empty)

    def on_separator(self, number: int) -> Outcome:
        return self.__show(Kind.SEPARATOR, {"id": str(number)}, lambda: super(LegCallbacks, self).on_separator(number))

    def on_timer(self, id: int) -> Outcome:
        if id < FIRST_TIMER:
            return super().on_timer(id)
        return self.__show(Kind.TIMER, {"id": str(id - FIRST_TIMER)}, lambda: None)

    def on_event(self, event: EventPosted) -> Outcome:
        kind, params = posted(event)
        if kind not in (Kind.EVENT, Kind.B2B_EVENT):
            return super().on_event(event)
        self.__machine.machine.avars.update(event_objects(event))
        return self.__show(kind, params, lambda: super(LegCallbacks, self).on_event(event))

    def on_destroy(self) -> Outcome:
        leg = self.__machine
        waiting = cast(Outcome, deliver(give_back(leg.machine, leg.bundle)))

        def rest() -> Outcome:
            leg.close()
            return super(LegCallbacks, self).on_destroy()

        return then(waiting, rest)


def _header_params(headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return {"hdrs": lines, **{f"hdr.{name}": value for name, value in reversed(headers)}}


class LegRunner:
    """`di.calls.leg_scripts.LegScripts` of the server's collections."""

    def __init__(self, server: DsmServer) -> None:
        self._server = server
        self._made: dict[type[Application], type[LegCallbacks]] = {}

    def _with_callbacks(self, kind: type[Application]) -> type[LegCallbacks]:
        """The class of an application with a script beside it."""
        if kind not in self._made:
            self._made[kind] = type(f"Scripted{kind.__name__}", (LegCallbacks, kind), {})
        return self._made[kind]

    def attach(self, call: Session, script: LegScript, *, a_leg: bool) -> CallChanges | Awaitable[CallChanges]:
        """See there. A second script in one leg is refused: SEMS has one, too."""
        server = self._server
        bundle = server.main if not script.bundle else server.bundles.get(script.bundle)
        if bundle is None:
            raise ValueError(f"app_bundle {script.bundle!r} is not loaded; there are {', '.join(['main', *server.bundles])}")
        if script.diagram not in bundle.diagrams:
            raise ValueError(
                f"start_diag {script.diagram!r} is not in {bundle.name}; there are {', '.join(bundle.diagrams) or 'none'}"
            )
        if isinstance(call.app, LegCallbacks):
            raise ValueError("the leg has a script already")
        leg = LegMachine(call, server.host, bundle, script.variables, a_leg)
        app = call.app
        scripted = object.__new__(self._with_callbacks(type(app)))
        scripted.__dict__ = app.__dict__  # one state: whoever knows the application by its old name still does
        scripted.with_script(leg)
        call.app = scripted
        waiting = deliver(leg.machine.start(script.diagram, Kind.START))
        return self._begun(leg) if waiting is None else self._begins(leg, waiting)

    @staticmethod
    async def _begins(leg: LegMachine, waiting: Awaitable[bool]) -> CallChanges:
        await waiting
        return LegRunner._begun(leg)

    @staticmethod
    def _begun(leg: LegMachine) -> CallChanges:
        """What the first state has said."""
        starting, leg.starting = leg.starting, None
        assert starting is not None
        refused = starting.refusal()
        if refused is not None:
            raise refused
        return starting.changes()
