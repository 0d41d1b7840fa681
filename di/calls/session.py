# SPDX-License-Identifier: GPL-2.0-or-later
"""One call: its identity, its queue of events, and the commands that its application gives.

    SIP records ─┐
    media records├─► post() ─► queue ─► `di.calls.flow` ─► the application's callbacks, one at a time
    timers, DI ──┘

Commands (`accept`, `play`, `stop`, …) return at once; what comes of them arrives as a callback. What a record of the SIP process does to
the call's state stands in `di.calls.flow`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from di.calls import flow as call_flow
from di.calls.application import Application
from di.calls.call_info import CallInfo, DialPlan
from di.calls.digits import DigitMerger
from di.calls.events import DialogState, EventPosted, Run, SystemEvent, TimerExpired
from di.calls.host import SessionHost
from di.kernel import logs
from di.kernel.ports import TimerHandle
from di.kernel.value import Value
from di.sip.records import (
    Answer,
    CallEnded,
    Hangup,
    MediaNegotiated,
    Reinvite,
    RequestReceived,
    SendReply,
    SendRequest,
)
from media.control.records import (
    Enqueue,
    FlushMixIn,
    FlushPlaylist,
    MixIn,
    OpenLeg,
    PlayItem,
    SendDigit,
    SetDigitDetection,
    SetLegAudio,
    SetPlayout,
    SetRtpTimeout,
    SetupMixIn,
    StartRecording,
    StopRecording,
    TeeRoom,
)

if TYPE_CHECKING:
    pass

log = logging.getLogger(__name__)


class Session:
    """A call. `id` is its event queue's name and its record in the monitoring store."""

    def __init__(self, host: SessionHost, id: str, call: int, leg: int, application: str, info: CallInfo) -> None:
        self.host = host
        self.id = id
        self.call = call
        self.leg = leg
        self.application = application
        self.info = info
        self.app: Application = Application(self)
        self.app_params: dict[str, str] = {}
        self.params: Value = None
        self.dial_plan = DialPlan()
        self.attributes: dict[str, Value] = {}
        self.state = DialogState.DISCONNECTED
        self.media: MediaNegotiated | None = None
        self.room = ""
        self.expected_room = ""
        """A room that the application will probably join, if it knows before the leg is opened: its legs are best placed together."""
        self.near_leg = 0
        """A leg that this one will probably be bridged to: likewise."""
        self.tees: dict[str, str] = {}
        self.started_s = 0.0
        self.answered_s = 0.0
        """Wall-clock times of the call's beginning and of its answer; 0 while there is none."""
        self.muted = False
        self.speaking = False
        """Whether the media process found this member of a room to be one of its speakers."""
        self.answered = False
        self.ended = False
        self.stopping = False
        self.started = False
        self.early_started = False
        self.deferred = False
        self.dialled = False
        self.leg_asked = False
        self.leg_address: tuple[str, int] | None = None
        self.pending_answer: tuple[int, str, tuple[str, ...]] | None = None
        self.digits = DigitMerger()
        self.rtp_timeout_ms = 0
        self.symmetric_rtp = True
        self.payloads: tuple[str, ...] = ()
        """Codecs that the answer may name, as NAME/clock; empty: all that are configured."""
        self._queue: deque[object] = deque()
        self._running = False
        self._timers: dict[int, TimerHandle] = {}

    # ------------------------------------------------------------------------------------------------------------- events
    def post(self, event: object) -> None:
        """Queue an event; it is handled from the loop, after those before it. After the end of the call it is dropped."""
        if self.ended:
            return
        self._queue.append(event)
        if not self._running:
            self._running = True
            self.host.clock.call_soon(self._drain)

    def post_event(self, params: dict[str, str], kind: str = "dsm") -> None:
        """Queue a named set of values (postDSMEvent and the like)."""
        self.post(EventPosted(params, kind))

    def run(self, function: Callable[[], Awaitable[None] | None]) -> None:
        """Run a function as one of this session's events, so that it never runs beside a callback."""
        self.post(Run(function))

    def _drain(self) -> None:
        token = logs.current_call.set(self.id)
        try:
            self._handle_queued()
        finally:
            logs.current_call.reset(token)

    def _handle_queued(self) -> None:
        while self._queue:
            event = self._queue.popleft()
            try:
                waiting = call_flow.handle(self, event)
            except Exception as error:  # noqa: BLE001 – an application's fault ends its own call only
                call_flow.failed(self, error)
                continue
            if waiting is not None:
                self.host.spawn(self._continue(waiting))
                return
        self._running = False

    async def _continue(self, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except Exception as error:  # noqa: BLE001 – an application's fault ends its own call only
            call_flow.failed(self, error)
        self._drain()

    # ------------------------------------------------------------------------------------------------------------ the call
    def ringing(self, code: int = 180, reason: str = "Ringing", headers: tuple[str, ...] = ()) -> None:
        """Send a provisional reply without media."""
        self.host.sip.send(Answer(self.call, code, reason, headers))
        self.state = DialogState.PROCEEDING

    def early_media(self, code: int = 183, reason: str = "Session Progress", headers: tuple[str, ...] = ()) -> None:
        """Open media before the answer: 183 with SDP."""
        self.send_answer(code, reason, headers)

    def accept(self, code: int = 200, reason: str = "OK", headers: tuple[str, ...] = ()) -> None:
        """Answer the call with media. Without effect when a final reply was given."""
        if not self.answered:
            self.answered = True
            self.send_answer(code, reason, headers)

    def reject(self, code: int, reason: str, headers: tuple[str, ...] = ()) -> None:
        """Refuse the call with a final reply. Without effect when one was given."""
        if not self.answered:
            self.answered = True
            self.stopping = True
            self.host.sip.send(Hangup(self.call, code, reason, headers))

    def defer_answer(self) -> None:
        """Keep the core from accepting when `on_invite` returns; the application answers later."""
        self.deferred = True

    def stop(self, code: int = 480, reason: str = "", headers: tuple[str, ...] = ()) -> None:
        """End the call in whatever state: `code` if not answered, CANCEL if dialled, BYE if connected. Once."""
        if self.stopping or self.ended:
            return
        self.stopping = True
        if self.info.direction == "out" and not self.dialled:
            self.post(CallEnded(self.call, code, reason, "local"))
            return
        self.state = DialogState.DISCONNECTING if self.state is DialogState.CONNECTED else DialogState.CANCELLING
        self.host.sip.send(Hangup(self.call, code, reason, headers))

    def reinvite(self, hold: bool = False) -> None:
        """Offer again, e.g. to hold or resume the peer."""
        ip, port = self.leg_address or ("", 0)
        self.host.sip.send(Reinvite(self.call, "sendonly" if hold else "sendrecv", ip, port))

    def send_request(self, method: str, headers: tuple[str, ...] = (), content_type: str = "", body: bytes = b"") -> int:
        """Send a request in the dialog; returns the token that its ReplyReceived will carry."""
        token = self.host.next_token()
        self.host.sip.send(SendRequest(self.call, method, token, headers, content_type, body))
        return token

    def reply(
        self,
        request: RequestReceived,
        code: int,
        reason: str,
        headers: tuple[str, ...] = (),
        content_type: str = "",
        body: bytes = b"",
    ) -> None:
        """Answer a request that came by `on_request`."""
        self.host.sip.send(SendReply(self.call, request.token, code, reason, headers, content_type, body))

    def send_answer(self, code: int, reason: str, headers: tuple[str, ...]) -> None:
        """Send a reply with SDP, as soon as the leg has an address; `accept` and `early_media` call this."""
        if self.leg_address is None:
            self.pending_answer = (code, reason, headers)
            self.open_leg()
            return
        ip, port = self.leg_address
        self.host.sip.send(Answer(self.call, code, reason, headers, ip, port, self.payloads))

    def open_leg(self) -> None:
        """Ask the media process for an RTP address, once."""
        if not self.leg_asked:
            self.leg_asked = True
            info = self.info
            ip, port = info.remote_media_ip, info.remote_media_port
            ipv6 = ":" in ip if ip else info.over_ipv6
            self.host.media.send(OpenLeg(self.leg, ip, port, ipv6, self.room or self.expected_room, self.near_leg))

    # --------------------------------------------------------------------------------------------------------------- media
    def play(self, *items: PlayItem, front: bool = False) -> None:
        """Queue items to be played, recorded or joined; with `front` they interrupt the current one, which then goes on."""
        self.host.media.send(Enqueue(self.leg, items, front))

    def play_file(self, path: str, *, loop: bool = False, front: bool = False, talk_through: bool = False) -> None:
        """Queue an audio file."""
        self.play(PlayItem("file", path=path, loop=loop, talk_through=talk_through), front=front)

    def flush(self) -> None:
        """Drop everything queued; no `on_playlist_empty` comes of it."""
        self.host.media.send(FlushPlaylist(self.leg))

    def set_audio(
        self,
        *,
        muted: bool | None = None,
        deaf: bool | None = None,
        send_muted: bool | None = None,
        receive_off: bool | None = None,
        attached_input: bool | None = None,
        attached_output: bool | None = None,
        gain_db: float | None = None,
    ) -> None:
        """Change what passes between the leg and its playlist (media.control SetLegAudio)."""
        if muted is not None and muted != self.muted:
            self.muted = muted
            self.host.call_muted(self)
        self.host.media.send(
            SetLegAudio(self.leg, muted, deaf, send_muted, receive_off, attached_input, attached_output, gain_db)
        )

    def set_playout(self, kind: str) -> None:
        """Choose the playout buffer: `adaptive`, `adaptive_jb` or `simple`."""
        self.host.media.send(SetPlayout(self.leg, kind))

    def detect_digits(self, *, inband: bool | None = None, telephone_event: bool | None = None) -> None:
        """Switch the detection of keys in the audio, or the reporting of RFC 4733 keys."""
        self.host.media.send(SetDigitDetection(self.leg, inband, telephone_event))

    def send_digit(self, event: int, duration_ms: int = 500) -> None:
        """Send a key to the peer as RFC 4733 event."""
        self.host.media.send(SendDigit(self.leg, event, duration_ms))

    def start_recording(self, path: str, length_ms: int = 0, silence_ms: int = 0) -> None:
        """Record the peer beside whatever is played; RecordingStopped comes by `on_media_event`."""
        self.host.media.send(StartRecording(self.leg, path, length_ms, silence_ms))

    def stop_recording(self) -> None:
        """Finish the recording."""
        self.host.media.send(StopRecording(self.leg))

    def set_up_mix_in(self, level: float, interval_ms: int) -> None:
        """Put a mixer over what the peer hears (media.control SetupMixIn)."""
        self.host.media.send(SetupMixIn(self.leg, level, interval_ms))

    def mix_in(self, *items: PlayItem, replace: bool = False) -> None:
        """Give the mixer something to play, after what it has or instead of it."""
        self.host.media.send(MixIn(self.leg, items, replace))

    def flush_mix_in(self) -> None:
        """Drop what `mix_in` appended."""
        self.host.media.send(FlushMixIn(self.leg))

    def watch_rtp(self, timeout_ms: int) -> None:
        """Report silence of the peer's RTP after so long; 0 switches it off."""
        self.rtp_timeout_ms = timeout_ms
        self.host.media.send(SetRtpTimeout(self.leg, timeout_ms))

    # --------------------------------------------------------------------------------------------------------------- rooms
    def join_room(self, room: str, *, item: bool = True) -> int:
        """Enter a room and, with `item`, queue it as playlist item; leaves the former one. Returns how many are in it now."""
        if self.room and self.room != room:
            self.leave_room()
        self.room = room
        count = self.host.rooms.join(room, self.id)
        self.log(conf_id=room)
        if item:
            self.play(PlayItem("room", room=room))
        return count

    def leave_room(self) -> None:
        """Leave the room; what is in the playlist stays (flush it to stop hearing the room)."""
        if self.room:
            room, self.room, self.speaking = self.room, "", False
            self._give_back(room)

    def tee_room(self, name: str, room: str) -> None:
        """Let the peer be heard in a room too, as a channel of this name; it hears nothing of that room. It gives up a room before."""
        self.untee_room(name)
        self.tees[name] = room
        self.host.rooms.join(room, self.id)
        self.host.media.send(TeeRoom(self.leg, room))

    def untee_room(self, name: str) -> None:
        """Give a channel of `tee_room` back."""
        room = self.tees.pop(name, "")
        if room and room not in self.tees.values():
            self.host.media.send(TeeRoom(self.leg, room, False))
            self._give_back(room)

    def _give_back(self, room: str) -> None:
        """Leave a room as soon as no channel is held there."""
        if room != self.room and room not in self.tees.values():
            self.host.rooms.leave(room, self.id)

    # ------------------------------------------------------------------------------------------------------ timers, records
    def set_timer(self, id: int, delay_ms: float) -> None:
        """Post TimerExpired(id) after a while; a running timer of that id starts anew. At most one year (spec core.md §7.4)."""
        self.remove_timer(id)
        delay_ns = int(min(max(delay_ms, 0.0), 366 * 86400e3) * 1e6)
        self._timers[id] = self.host.clock.call_later(delay_ns, lambda: self.post(TimerExpired(id)))

    def remove_timer(self, id: int) -> None:
        """Stop a timer; an event that is queued already stays."""
        handle = self._timers.pop(id, None)
        if handle is not None:
            handle.cancel()

    def remove_timers(self) -> None:
        """Stop all timers with ids ≥ 0; negative ones belong to handlers."""
        for id in [id for id in self._timers if id >= 0]:
            self.remove_timer(id)

    def log(self, **attributes: Value) -> None:
        """Set attributes of this call in the monitoring store."""
        self.attributes.update(attributes)
        self.host.monitoring.log(self.id, **attributes)

    def system(self, kind: str) -> None:
        """Queue a system event: `shutdown`, `user1` or `user2`."""
        self.post(SystemEvent(kind))

    def finish(self) -> None:
        """Drop what is queued and stop every timer; the container calls this once, last."""
        self.ended = True
        self._queue.clear()
        for handle in self._timers.values():
            handle.cancel()
        self._timers.clear()

    def __repr__(self) -> str:
        return f"<Session {self.id} {self.application} {self.state.name}>"
