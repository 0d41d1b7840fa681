# SPDX-License-Identifier: GPL-2.0-or-later
"""A call steered by a diagram: the hub's callbacks become events, their order and defaults are those of spec dsm.md §3.6 and §3.8.

    on_invite ─► start ─► sipRequest? ─► modules' hooks ─► invite ─► 200 unless the script replied ─► sessionStart (nested) ─► media on

Each callback is a generator over the machine, driven by `deliver`: it waits only where an action waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from di.calls.application import ORDERLY_ENDS
from di.calls.events import EventPosted, Outcome, RoomChanged, SipReply, Verdict
from di.calls.session import Session
from di.calls.state import Phase, dialog_word
from di.dsm.hub.call_dialog import CallDialog, block
from di.dsm.hub.call_machine import MachineCall
from di.dsm.hub.call_words import DISAPPEARED, SYSTEM_WORDS, drop_objects, event_objects, posted
from di.dsm.hub.module_hooks import give_back, hooks
from di.dsm.hub.taken_methods import methods_of
from di.dsm.language.event import Event, Kind
from di.dsm.language.model import Nested, Steps
from di.dsm.run.drivers import deliver
from di.sip.headers import first_header
from di.sip.records import CallProgressed, RequestReceived

if TYPE_CHECKING:
    from di.dsm.hub.script_host import ScriptHost
    from di.dsm.load.bundles import Bundle
    from media.control.recording_records import RecordingStopped
    from media.control.records import ItemFailed


class DsmCall(MachineCall):
    """The callbacks of a call."""

    def __init__(self, session: Session, host: ScriptHost, bundle: Bundle, diagram: str, variables: dict[str, str]) -> None:
        super().__init__(session, host, bundle, variables)
        self.start_diagram = diagram
        self.further_methods = methods_of(bundle, diagram, self.machine.vars)
        self.call_dialog = CallDialog(self)

    # -------------------------------------------------------------------------------------------------------------- begin
    def on_sip_request(self, request: RequestReceived) -> Verdict:
        """`sipRequest`, where the script asked for it; `#processed` takes the request over."""
        event = Event(Kind.SIP_REQUEST, self._request_params(request))
        if request.method == "INVITE" and not self.invited:
            self.session.dialog.defer_answer()
            return self._verdict(self._begin_with(event), event)
        if not self._asked_for("request"):
            return None
        return self._verdict(self._show_request(request, event), event)

    @staticmethod
    def _verdict(steps: Steps, event: Event) -> Verdict:
        waiting = deliver(steps)
        if waiting is None:
            return event.processed

        async def verdict() -> bool:
            await waiting
            return event.processed

        return verdict()

    def _asked_for(self, what: str) -> bool:
        return self.machine.vars.get(f"enable_{what}_events") == "true"

    def _begin_with(self, event: Event) -> Steps:
        """The diagram begins; then its first request is shown to it."""
        if not self.bundle.options.start_at_session:
            yield from self.machine.start(self.start_diagram, Kind.START)
        self.invited = True
        if self._asked_for("request"):
            yield from self.machine.run(event)
        return True

    def _show_request(self, request: RequestReceived, event: Event) -> Steps:
        self.call_dialog.request = request
        yield from self.machine.run(event)
        self.call_dialog.request = None
        return True

    def on_invite(self, session: Session) -> Outcome:
        return cast(Outcome, deliver(self._invite()))

    def _invite(self) -> Steps:
        agreed = yield from hooks(self.machine, self.bundle, "on_invite", self.call_dialog.header_block())
        yield from self.machine.run(Event(Kind.INVITE))
        if agreed and self._answer_by_itself():
            self.call_media.open()
            self.session.dialog.accept()
            started = None if self.bundle.options.start_at_session else self.nested_start(early=False)
            if started is not None:
                yield from self.machine.run(started.event)
                self.after_session_start()
        return True

    def _answer_by_itself(self) -> bool:
        """200 unless the script replied. `$connect_session=0` and a relayed B leg mean "do not answer" too (Q1)."""
        session = self.session
        if self.call_dialog.replied or session.dialog.answered:
            return False
        return not (self.machine.vars.get("connect_session") == "0" or (self.second_leg.known and self.second_leg.relayed))

    def on_outgoing_invite(self) -> Outcome:
        self.invited = True

        def steps() -> Steps:
            if not self.bundle.options.start_at_session:
                yield from self.machine.start(self.start_diagram, Kind.START)
            self.call_media.open()
            return True

        return cast(Outcome, deliver(steps()))

    def nested_start(self, early: bool) -> Nested | None:
        """The event that a reply with SDP brings at once; None when it came already or the offer is still to come with the ACK."""
        if not self.session.info.has_offer or self.early_begun or self.session_begun:
            return None
        return Nested(Event(self._begin(early)), self.after_early_start if early else self.after_session_start)

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
        if self.session.audio.asked and not self.session.audio.receiving:
            self.call_media.receive(True)
        if self.machine.vars.get("connect_session") != "0":
            self.call_media.connect()

    def on_early_session_start(self) -> Outcome:
        if self.early_begun or self.session_begun:
            return None
        return self.run_event(self._begin(True), {}, lambda event: self.after_early_start())

    def on_session_start(self) -> Outcome:
        if self.session_begun or (self.early_begun and self.session.info.incoming):
            return None
        kind = self._begin(False)
        if not self.bundle.options.start_at_session:
            return self.run_event(kind, {}, lambda event: self.after_session_start())

        def steps() -> Steps:
            yield from self.machine.start(self.start_diagram, kind)
            self.after_session_start()
            return True

        return cast(Outcome, deliver(steps()))

    def on_ringing(self, progress: CallProgressed) -> Outcome:
        if progress.code != 180:
            return None
        has_body = "true" if progress.has_body else "false"
        return self.run_event(Kind.RINGING, {"code": "180", "reason": progress.reason, "has_body": has_body})

    def on_sip_reply(self, reply: SipReply) -> Verdict:
        """`remoteDisappeared` for a reply that says so, then `sipReply`, where the script asked for it."""
        event = Event(Kind.SIP_REPLY, {**self._reply_params(reply), "old_dlg_status": dialog_word(self.session.dialog.phase)})
        if reply.code not in DISAPPEARED and not self._asked_for("reply"):
            return None
        return self._verdict(self._show_reply(reply, event), event)

    def _show_reply(self, reply: SipReply, event: Event) -> Steps:
        self.call_dialog.reply_record = reply
        if reply.code in DISAPPEARED:
            gone = Event(Kind.REMOTE_DISAPPEARED, self._reply_params(reply))
            yield from self.machine.run(gone)
            if self.session.dialog.phase is Phase.CONNECTED:
                self._stop_unless_processed(gone)
        if self._asked_for("reply"):
            yield from self.machine.run(event)
        self.call_dialog.reply_record = None
        return True

    def _reply_params(self, reply: SipReply) -> dict[str, str]:
        return {
            "code": str(reply.code),
            "reason": reply.reason,
            "hdrs": block(reply.headers),
            "cseq": "",
            "dlg_status": dialog_word(self.session.dialog.phase),
        }

    # ------------------------------------------------------------------------------------------------------------ other leg
    def on_other_reply(self, reply: SipReply) -> Outcome:
        params = {"code": str(reply.code), "reason": reply.reason, "hdrs": block(reply.headers)}
        return self.run_event(Kind.B2B_OTHER_REPLY, params)

    def on_other_bye(self, headers: tuple[tuple[str, str], ...]) -> Outcome:
        """BYE of the other leg: this one ends too, unless the script says `#processed`."""
        if not self.session.audio.started and not self.session.dialog.answered:
            return None
        return self.run_event(Kind.B2B_OTHER_BYE, {"hdrs": block(headers)}, self._stop_unless_processed)

    # ---------------------------------------------------------------------------------------------------------------- end
    def on_failure(self, code: int, reason: str) -> Outcome:
        return self.run_event(Kind.FAILED, {"code": str(code), "reason": reason})

    def on_bye(self, headers: tuple[tuple[str, str], ...]) -> Outcome:
        return self._hang_up(headers)

    def on_cancel(self) -> Outcome:
        return self._hang_up(())

    def _hang_up(self, headers: tuple[tuple[str, str], ...]) -> Outcome:
        """The reply has been sent already."""
        return self.run_event(Kind.HANGUP, {"headers": block(headers)}, lambda event: self.second_leg.terminate())

    def on_remote_disappeared(self) -> Outcome:
        def steps() -> Steps:
            yield from self.machine.run(Event(Kind.REMOTE_DISAPPEARED, self._reply_params(SipReply("", 408, "Request Timeout"))))
            return (yield from self.machine.run(Event(Kind.HANGUP, {"headers": "", "reason": "onNoAck"})))

        return cast(Outcome, deliver(steps()))

    def on_destroy(self) -> Outcome:
        def steps() -> Steps:
            yield from self.machine.run(Event(Kind.BEFORE_DESTROY))
            self.machine.unhandled.overwritten()
            self.second_leg.terminate()
            self.give_names_back()
            yield from give_back(self.machine, self.bundle)
            self.host.positions.call_gone(self.id)
            return False

        return cast(Outcome, deliver(steps()))

    # ---------------------------------------------------------------------------------------------------------- in a call
    def on_digit(self, event: int, duration_ms: int) -> Outcome:
        if not self.call_media.keys:
            return None
        return self.run_event(Kind.KEY, {"key": str(event), "duration": str(duration_ms)})

    def on_playlist_empty(self) -> Outcome:
        return self.run_event(Kind.NO_AUDIO, {"type": "noAudio"})

    def on_item_failed(self, record: ItemFailed) -> Outcome:
        """A log line, and exception `file`: the file was there when it was queued, but it cannot be played. The playlist goes on."""
        super().on_item_failed(record)
        return self._throw("file", path=record.path, text=record.reason)

    def on_recording_stopped(self, record: RecordingStopped) -> Outcome:
        """The same for a recording that the disk or the format did not let be."""
        super().on_recording_stopped(record)
        return None if record.reason in ORDERLY_ENDS else self._throw("file", path=record.path, text=record.reason)

    def _throw(self, kind: str, **fields: str) -> Outcome:
        """What an action would have thrown, had it known: only `exception` transitions of the state match (spec dsm.md §3.4)."""
        return cast(Outcome, deliver(self.machine.run(Event(Kind.EXCEPTION, {"type": kind, **fields}), as_exception=True)))

    def on_media_lost(self) -> Outcome:
        return self.run_event(Kind.NO_AUDIO, {"type": "cleared"})

    def on_separator(self, number: int) -> Outcome:
        return self.run_event(Kind.SEPARATOR, {"id": str(number)})

    def on_timer(self, id: int) -> Outcome:
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
        seconds = str(self.session.audio.rtp_timeout_ms // 1000)
        return self.run_event(Kind.RTP_TIMEOUT, {"type": "rtp_timeout", "timeout_value": seconds}, self._stop_unless_processed)

    def on_session_timeout(self) -> Outcome:
        return self.run_event(Kind.SESSION_TIMEOUT, {}, self._stop_unless_processed)

    def _stop_unless_processed(self, event: Event) -> None:
        if not event.processed:
            self.second_leg.terminate()
            self.session.stop(487)

    def _request_params(self, request: RequestReceived) -> dict[str, str]:
        info = self.session.info
        return {
            "method": request.method,
            "r_uri": info.request_uri,
            "from": info.from_header,
            "to": info.to_header,
            "hdrs": block(request.headers),
            "cseq": (first_header(request.headers, "CSeq") or "").split(" ")[0],
        }
