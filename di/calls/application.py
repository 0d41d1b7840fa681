# SPDX-License-Identifier: GPL-2.0-or-later
"""What an application implements: the callbacks of a call, with SEMS's defaults (spec core.md §7.3).

Each callback may be a plain method or `async`. A session runs one at a time, in the order of events; one that waits holds back that
session's further events and nobody else's. One that raises ends its own call (500 or BYE) with a line in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from di.calls.events import EventPosted, Outcome, RoomChanged, SipReply, Verdict
from di.kernel.value import Value

if TYPE_CHECKING:
    from di.calls.session import Session
    from di.sip.records import CallConfirmed, CallOffered, CallProgressed, ReplyReceived, RequestReceived
    from media.control.recording_records import RecordingStopped
    from media.control.records import ItemFailed, SpeakerChanged

log = logging.getLogger(__name__)
ORDERLY_ENDS = frozenset({"asked", "length", "silence", "closed"})
"""Reasons of a `RecordingStopped` that are no error text."""


class Application:
    """The logic of one call. The base class answers, does nothing, and goes when the peer goes."""

    further_methods: tuple[str, ...] = ()
    """Methods inside the call that it answers or passes on, beyond those of every call: they stand in Allow."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def on_invite(self, session: Session) -> Outcome:
        """An INVITE came. May raise Refused. When it returns without having answered or called `defer_answer`, the call is accepted."""

    def on_outgoing_invite(self) -> Outcome:
        """Our INVITE is about to be sent; `session.dialog.plan` may still be changed."""

    def on_ringing(self, progress: CallProgressed) -> Outcome:
        """A provisional reply above 100 to our INVITE."""

    def on_early_session_start(self) -> Outcome:
        """Media is negotiated while the call is not answered yet (183)."""

    def on_session_start(self) -> Outcome:
        """The call is up and has media."""

    def on_connected(self, confirmed: CallConfirmed) -> Outcome:
        """The dialog is up (ACK or 2xx); `on_session_start` follows as soon as media is negotiated."""

    def on_media_changed(self) -> Outcome:
        """A re-INVITE or UPDATE changed direction, address or codec; the leg has been told already."""

    def on_failure(self, code: int, reason: str) -> Outcome:
        """Our INVITE failed; the session ends."""

    def on_digit(self, event: int, duration_ms: int) -> Outcome:
        """A key: 0–9, 10 `*`, 11 `#`, 12–15 A–D, each press once whichever way it came."""

    def on_playlist_empty(self) -> Outcome:
        """Everything queued has been played."""

    def on_separator(self, number: int) -> Outcome:
        """A separator item was reached."""

    def on_room(self, change: RoomChanged) -> Outcome:
        """Somebody came to or left the room that this session is in."""

    def on_bye(self, headers: tuple[tuple[str, str], ...]) -> Outcome:
        """The peer hung up."""

    def on_cancel(self) -> Outcome:
        """The peer gave up before the call was answered."""

    def on_remote_disappeared(self) -> Outcome:
        """The dialog was lost: no ACK, 408 or 481, or the SIP process died."""

    def on_timer(self, id: int) -> Outcome:
        """A timer of this session ran out."""

    def on_event(self, event: EventPosted) -> Outcome:
        """Something was posted to this session."""

    def on_system(self, kind: str) -> Outcome:
        """`shutdown`, `user1` or `user2`. The default ends the call on shutdown."""
        if kind == "shutdown":
            self.session.stop(by="operator")
        return None

    def on_request(self, request: RequestReceived) -> Outcome:
        """A request in the dialog that the core does not answer itself. The default answers 501 where an answer is wanted, OPTIONS 200."""
        if request.reply_wanted and request.method == "OPTIONS":
            self.session.dialog.reply(request, 200, "OK", self.session.dialog.allow)
        elif request.reply_wanted:
            self.session.dialog.reply(request, 501, "Not Implemented")
        return None

    def on_reply(self, reply: ReplyReceived) -> Outcome:
        """The final reply to a request that this session sent."""

    def on_media_lost(self) -> Outcome:
        """The media process has given this call's audio up; the call ends when this is done."""

    def on_rtp_timeout(self) -> Outcome:
        """No RTP for `dead_rtp_time`. The default ends the call."""
        self.session.stop(by="timeout")
        return None

    def on_session_timeout(self) -> Outcome:
        """The peer was to refresh the call and has not (RFC 4028). The default ends the call."""
        self.session.stop(by="timeout")
        return None

    # The two streams: every request that comes, every reply to what we sent. The callbacks above are what most need of them.
    def on_sip_request(self, request: RequestReceived) -> Verdict:
        """A request came: INVITE (the first one, too), BYE, CANCEL, UPDATE, INFO, REFER, any other. True: it has been taken over.

        What is taken over goes no further: neither to the convenient callback, nor to the other side of a pair, nor to a default.
        Where `reply_wanted` the application then answers it; a first INVITE likewise.
        """

    def on_sip_reply(self, reply: SipReply) -> Verdict:
        """A reply to a request of ours: each one to the INVITE, final ones to others. True: no convenient callback follows."""

    # The other side of a pair (`di.calls.pair`).
    def on_other_reply(self, reply: SipReply) -> Outcome:
        """A reply to the INVITE of the second leg. A final one of 300 and above is the last: nobody could be reached."""

    def on_other_bye(self, headers: tuple[tuple[str, str], ...]) -> Outcome:
        """The other side has gone. The default ends this one."""
        self.session.stop()
        return None

    def on_replaces(self, offer: CallOffered) -> Verdict:
        """Whether an INVITE with Replaces may put another call in this one's place (RFC 3891). Asked for trusted peers only.

        The default lets it while the call is part of a pair.
        """
        return self.session.pair is not None

    # News of the audio.
    def on_item_failed(self, record: ItemFailed) -> Outcome:
        """An item of the playlist could not be played and was skipped. The default says so in the log; the playlist goes on."""
        log.warning("call %s: %s cannot be played and is skipped: %s", self.session.id, record.path, record.reason)
        return None

    def on_recording_stopped(self, record: RecordingStopped) -> Outcome:
        """A recording is complete on disk. The default logs one that did not end in order; the call goes on."""
        if record.reason not in ORDERLY_ENDS:
            log.warning("call %s: recording %s ended: %s", self.session.id, record.path, record.reason)
        return None

    def on_speaking(self, record: SpeakerChanged) -> Outcome:
        """This member of a room began or ceased to be one of its speakers."""

    # What an operator does to a member of a room (DI `rooms`). These run as events of the session, like the callbacks.
    def on_kick(self) -> Outcome:
        """The call is to leave. The default ends it."""
        self.session.stop(by="operator")
        return None

    def on_mute(self, muted: bool) -> Outcome:
        """The others in the room are to hear this call no more, or again."""
        self.session.audio.set(muted=muted)
        return None

    def move_refusal(self, room: str) -> str:
        """Why the call cannot go from its room to that one now; empty when it can. Asked before `on_move`, from outside the session."""
        return ""

    def on_move(self, room: str) -> Outcome:
        """The call is to go from its room to another."""
        self.session.audio.flush()
        self.session.audio.join_room(room)
        return None

    def snapshot(self) -> Value:
        """The application's own part of a call as plain data (`di.calls.snapshot`); None: it has none."""
        return None

    def restore(self, data: Value) -> None:
        """Take that part over, in a new session."""

    def on_destroy(self) -> Outcome:
        """The call is over and the session goes away; called once, last."""


Factory: TypeAlias = "Callable[[Session], Application]"
"""Makes the application of a new call; it may raise Refused."""
