# SPDX-License-Identifier: GPL-2.0-or-later
"""A call steered by a diagram: the hub's callbacks become events, their order and defaults are those of spec dsm.md §3.6 and §3.8.

    on_invite ─► start ─► sipRequest? ─► modules' hooks ─► invite ─► 200 unless the script replied ─► sessionStart (nested) ─► media on

Each callback is a generator over the machine, driven by `deliver`: it waits only where an action waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from di.calls.events import DialogState, EventPosted, RoomChanged
from di.calls.session import Session
from di.dsm.hub.call_dialog import CallDialog, block, nested
from di.dsm.hub.call_machine import MachineCall, Outcome
from di.dsm.hub.call_words import DISAPPEARED, SYSTEM_WORDS, dialog_word, drop_objects, event_objects, posted
from di.dsm.language.event import Event, Kind
from di.dsm.language.model import Nested, Steps
from di.dsm.run.engine import deliver
from di.sip.headers import first_header
from di.sip.records import CallConfirmed, CallProgressed, ReplyReceived, RequestReceived

if TYPE_CHECKING:
    from di.dsm.hub.app import DsmServer
    from di.dsm.load.bundles import Bundle


class DsmCall(MachineCall):
    """The callbacks of a call."""

    def __init__(self, session: Session, server: DsmServer, bundle: Bundle, diagram: str, variables: dict[str, str]) -> None:
        super().__init__(session, server, bundle, variables)
        self.start_diagram = diagram
        self.call_dialog = CallDialog(self)

    # -------------------------------------------------------------------------------------------------------------- begin
    def on_invite(self, session: Session) -> Outcome:
        session.defer_answer()
        return cast(Outcome, deliver(self._invite()))

    def _invite(self) -> Steps:
        if not self.server.starts_at_session(self.bundle):
            yield from self.machine.start(self.start_diagram, Kind.START)
        self.invited = True
        if self.machine.vars.get("enable_request_events") == "true":
            event = Event(Kind.SIP_REQUEST, self._request_params("INVITE", self.session.info.headers))
            yield from self.machine.run(event)
            if event.processed:
                return False
        agreed = yield from self.hooks("on_invite", self.call_dialog.header_block())
        yield from self.machine.run(Event(Kind.INVITE))
        if agreed and self._answer_by_itself():
            self.call_media.open()
            self.session.accept()
            started = None if self.server.starts_at_session(self.bundle) else self.nested_start(early=False)
            if started is not None:
                yield from self.machine.run(started.event)
                self.after_session_start()
        return True

    def _answer_by_itself(self) -> bool:
        """200 unless the script replied. `$connect_session=0` and a relayed B leg mean "do not answer" too (Q1)."""
        session = self.session
        if self.call_dialog.replied or session.answered or session.stopping or session.ended:
            return False
        return not (self.machine.vars.get("connect_session") == "0" or (self.second_leg.known and self.second_leg.relayed))

    def on_outgoing_invite(self) -> Outcome:
        self.invited = True

        def steps() -> Steps:
            if not self.server.starts_at_session(self.bundle):
                yield from self.machine.start(self.start_diagram, Kind.START)
            self.call_media.open()
            return True

        return cast(Outcome, deliver(steps()))

    def nested_start(self, early: bool) -> Nested | None:
        """The event that a reply with SDP brings at once; None when it came already or the offer is still to come with the ACK."""
        if not self.session.info.has_offer or self.early_begun or self.session_begun:
            return None
        return nested(self._begin(early), self)

    def _begin(self, early: bool) -> Kind:
        if early:
            self.early_begun = True
            return Kind.EARLY_SESSION
        self.session_begun = True
        return Kind.SESSION_START

    def after_early_start(self) -> None:
        """Default of earlySession: attach the playlist."""
        if self.machine.vars.get("connect_early_session") != "0":
            self.call_media.connect()

    def after_session_start(self) -> None:
        """Default of sessionStart: receiving on, playlist attached."""
        if self.session.leg_asked and not self.call_media.receiving:
            self.call_media.receive(True)
        if self.machine.vars.get("connect_session") != "0":
            self.call_media.connect()

    def on_early_session_start(self) -> Outcome:
        if self.early_begun or self.session_begun:
            return None
        return self.run_event(self._begin(True), {}, lambda event: self.after_early_start())

    def on_session_start(self) -> Outcome:
        if self.session_begun or (self.early_begun and self.session.info.direction == "in"):
            return None
        kind = self._begin(False)
        if not self.server.starts_at_session(self.bundle):
            return self.run_event(kind, {}, lambda event: self.after_session_start())

        def steps() -> Steps:
            yield from self.machine.start(self.start_diagram, kind)
            self.after_session_start()
            return True

        return cast(Outcome, deliver(steps()))

    def on_ringing(self, progress: CallProgressed) -> Outcome:
        def steps() -> Steps:
            yield from self._reply_event(progress.code, progress.reason, progress.headers)
            if progress.code == 180:
                has_body = "true" if progress.has_body else "false"
                yield from self.machine.run(Event(Kind.RINGING, {"code": "180", "reason": progress.reason, "has_body": has_body}))
            return False

        return cast(Outcome, deliver(steps()))

    def on_connected(self, confirmed: CallConfirmed) -> Outcome:
        if self.session.info.direction == "in":
            return None
        return cast(Outcome, deliver(self._reply_event(confirmed.code, confirmed.reason, confirmed.headers)))

    def _reply_event(self, code: int, reason: str, headers: tuple[tuple[str, str], ...]) -> Steps:
        """`sipReply`, where the script asked for it; the answer says whether it took care of the reply."""
        if self.machine.vars.get("enable_reply_events") != "true":
            return False
        word = dialog_word(self.session.state)
        params = {
            "code": str(code),
            "reason": reason,
            "hdrs": block(headers),
            "cseq": "",
            "dlg_status": word,
            "old_dlg_status": word,
        }
        event = Event(Kind.SIP_REPLY, params)
        yield from self.machine.run(event)
        return event.processed

    # ---------------------------------------------------------------------------------------------------------------- end
    def on_failure(self, code: int, reason: str) -> Outcome:
        def steps() -> Steps:
            if code in DISAPPEARED:
                yield from self.machine.run(Event(Kind.REMOTE_DISAPPEARED, self._gone(code, reason)))
            if (yield from self._reply_event(code, reason, ())):
                return False
            return (yield from self.machine.run(Event(Kind.FAILED, {"code": str(code), "reason": reason})))

        return cast(Outcome, deliver(steps()))

    def _gone(self, code: int, reason: str) -> dict[str, str]:
        return {"code": str(code), "reason": reason, "hdrs": "", "cseq": "", "dlg_status": dialog_word(self.session.state)}

    def on_bye(self, headers: tuple[tuple[str, str], ...]) -> Outcome:
        return cast(Outcome, deliver(self._hang_up("BYE", headers)))

    def on_cancel(self) -> Outcome:
        return cast(Outcome, deliver(self._hang_up("CANCEL", ())))

    def _hang_up(self, method: str, headers: tuple[tuple[str, str], ...]) -> Steps:
        """`sipRequest`, where the script asked for it, then `hangup` unless that was told `#processed`; the reply has been sent already."""
        if self.machine.vars.get("enable_request_events") == "true":
            event = Event(Kind.SIP_REQUEST, self._request_params(method, headers))
            yield from self.machine.run(event)
            if event.processed:
                return False
        taken = yield from self.machine.run(Event(Kind.HANGUP, {"headers": block(headers)}))
        self.second_leg.terminate()
        return taken

    def on_remote_disappeared(self) -> Outcome:
        def steps() -> Steps:
            yield from self.machine.run(Event(Kind.REMOTE_DISAPPEARED, self._gone(408, "Request Timeout")))
            return (yield from self.machine.run(Event(Kind.HANGUP, {"headers": "", "reason": "onNoAck"})))

        return cast(Outcome, deliver(steps()))

    def on_destroy(self) -> Outcome:
        def steps() -> Steps:
            yield from self.machine.run(Event(Kind.BEFORE_DESTROY))
            self.second_leg.terminate()
            for name in list(self.names):
                self.unregister_queue(name)
            yield from self.hooks("on_destroy")
            self.server.call_over(self)
            return False

        return cast(Outcome, deliver(steps()))

    # ---------------------------------------------------------------------------------------------------------- in a call
    def on_digit(self, event: int, duration_ms: int) -> Outcome:
        if not self.call_media.keys:
            return None
        return self.run_event(Kind.KEY, {"key": str(event), "duration": str(duration_ms)})

    def on_playlist_empty(self) -> Outcome:
        return self.run_event(Kind.NO_AUDIO, {"type": "noAudio"})

    def on_media_lost(self) -> Outcome:
        return self.run_event(Kind.NO_AUDIO, {"type": "cleared"})

    def on_separator(self, number: int) -> Outcome:
        return self.run_event(Kind.SEPARATOR, {"id": str(number)})

    def on_timer(self, id: int) -> Outcome:
        self.timers_due_ns.pop(id, None)
        return self.run_event(Kind.TIMER, {"id": str(id)})

    def on_room(self, change: RoomChanged) -> Outcome:
        if change.kind == "joined" and change.tag == self.session.id:
            return None
        return self.run_event(Kind.EVENT, {"type": "conference_event", "id": "2" if change.kind == "left" else "1"})

    def on_event(self, event: EventPosted) -> Outcome:
        kind, params = posted(event)
        if kind is None:
            return None
        objects = event_objects(event)
        self.machine.avars.update(objects)
        return self.run_event(kind, params, lambda done: drop_objects(self.machine.avars, objects))

    def on_system(self, kind: str) -> Outcome:
        return self.run_event(
            Kind.SYSTEM, {"type": SYSTEM_WORDS.get(kind, "Unknown")}, lambda event: self._after_system(kind, event)
        )

    def _after_system(self, kind: str, event: Event) -> None:
        if kind == "shutdown" and not event.processed:
            self.second_leg.terminate()
            self.session.stop(487)

    def on_rtp_timeout(self) -> Outcome:
        seconds = str(self.session.rtp_timeout_ms // 1000)
        return self.run_event(Kind.RTP_TIMEOUT, {"type": "rtp_timeout", "timeout_value": seconds}, self._stop_unless_processed)

    def on_session_timeout(self) -> Outcome:
        return self.run_event(Kind.SESSION_TIMEOUT, {}, self._stop_unless_processed)

    def _stop_unless_processed(self, event: Event) -> None:
        if not event.processed:
            self.second_leg.terminate()
            self.session.stop(487)

    def on_request(self, request: RequestReceived) -> Outcome:
        if self.machine.vars.get("enable_request_events") != "true":
            return super().on_request(request)
        self.call_dialog.request = request

        def default(event: Event) -> None:
            self.call_dialog.request = None
            if not event.processed:
                super(DsmCall, self).on_request(request)

        params = self._request_params(request.method, request.headers)
        return self.run_event(Kind.SIP_REQUEST, params, default)

    def _request_params(self, method: str, headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
        info = self.session.info
        cseq = (first_header(headers, "CSeq") or "").split(" ")[0]
        return {
            "method": method, "r_uri": info.request_uri, "from": info.from_header, "to": info.to_header, "hdrs": block(headers),
            "cseq": cseq,
        }  # fmt: skip

    def on_reply(self, reply: ReplyReceived) -> Outcome:
        def steps() -> Steps:
            self.call_dialog.reply_record = reply
            word = dialog_word(self.session.state)
            params = {
                "code": str(reply.code),
                "reason": reply.reason,
                "hdrs": block(reply.headers),
                "cseq": "",
                "dlg_status": word,
            }
            if reply.code in DISAPPEARED:
                event = Event(Kind.REMOTE_DISAPPEARED, dict(params))
                yield from self.machine.run(event)
                if self.session.state is DialogState.CONNECTED:
                    self._stop_unless_processed(event)
            yield from self._reply_event(reply.code, reply.reason, reply.headers)
            self.call_dialog.reply_record = None
            return False

        return cast(Outcome, deliver(steps()))
