# SPDX-License-Identifier: GPL-2.0-or-later
"""A call whose program runs elsewhere: callbacks become messages, messages become commands.

The program may be gone, slow or mad: what it sends is checked (`arguments`), and what it may not do is answered with a failure that says
why. What it can do stands in `operations` and `audio_operations`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from di.apps.keypad import key_of
from di.calls.application import Application
from di.calls.events import EventPosted, SipReply
from di.calls.second_leg import PASSED_ON
from di.calls.side_leg import SideLeg
from di.kernel.errors import CallFailed
from di.sip.records import ReplyReceived, RequestReceived
from interfaces.apps.arguments import Arguments, BadOperation
from interfaces.apps.files import NoSuchFile, Reach
from interfaces.apps.plays import Plays
from media.control.play_items import PlayBridge, PlayItem
from media.control.recording_records import RecordingStopped
from media.control.records import ItemFailed

if TYPE_CHECKING:
    from di.calls.session import Session
    from interfaces.apps.peer import AppPeer, Message
    from interfaces.apps.speaker import Speaker

log = logging.getLogger(__name__)
LIMIT_TIMER = 1
_MOST_TOLD = 20
"""Failures of a call that have a line in the log."""
Operation: TypeAlias = "Callable[[BridgedCall, int, Arguments], None]"


@dataclass(frozen=True)
class Means:
    """What the calls of an application have in common."""

    reach: Reach
    speaker: Speaker
    language: str
    operations: dict[str, Operation]


class BridgedCall(Application):
    """`process` runs the program; None once that is gone."""

    further_methods = PASSED_ON

    def __init__(self, session: Session, process: AppPeer, means: Means) -> None:
        super().__init__(session)
        self.process: AppPeer | None = process
        self.means = means
        self.plays = Plays(session.audio, self.done, self.failed, self._standing)
        self.stream: SideLeg | None = None
        self.other = ""
        """Id of the second leg that has answered."""
        self.silence_ends = True
        """Whether a peer that sends no RTP any more ends the call; else the program decides."""
        self._waiting: dict[str, list[int]] = {}
        """Word → operations that wait for it: `answer`, `early`, `join`, `connect`, `other_ended`, `stream`, `record` with its path."""
        self._requests: dict[int, RequestReceived] = {}
        self._tokens = self._failures = 0
        self._how = (200, "", "local")
        """How the call ended: code, reason, by whom."""
        self._begin(process)

    def _begin(self, process: AppPeer) -> None:
        process.calls.add(self.session.id)

    # ---------------------------------------------------------------------------------------------------------- to the program
    def tell(self, message: Message) -> None:
        """Send the program a message about this call."""
        if self.process is not None:
            self.process.send({"call": self.session.id, **message})

    def event(self, name: str, **data: object) -> None:
        """Tell it that something happened."""
        self.tell({"k": "event", "name": name, **data})

    def done(self, op: int, result: object = None) -> None:
        """An operation has its result. 0: nobody waits for it."""
        if op:
            self.tell({"k": "done", "op": op, "result": result})

    def failed(self, op: int, code: int, reason: str) -> None:
        """An operation did not work."""
        self._failures += 1
        if self._failures <= _MOST_TOLD:
            more = "; what fails further is told the program alone" if self._failures == _MOST_TOLD else ""
            log.info("call %s: %s%s", self.session.id, reason, more)
        if op:
            self.tell({"k": "failed", "op": op, "code": code, "reason": reason})

    def wait(self, op: int, word: str) -> None:
        """An operation is done when that happens."""
        if op:
            self._waiting.setdefault(word, []).append(op)

    def waits(self, op: int, word: str) -> bool:
        """Whether it does."""
        return op in self._waiting.get(word, ())

    def settle(self, word: str, result: object = None) -> None:
        """It has happened."""
        for op in self._waiting.pop(word, []):
            self.done(op, result)

    def unsettle(self, word: str, code: int, reason: str) -> None:
        """It will not happen."""
        for op in self._waiting.pop(word, []):
            self.failed(op, code, reason)

    def introduction(self) -> Message:
        """The call, as the program is told of it."""
        info, session = self.session.info, self.session
        return {
            "k": "call", "direction": info.direction, "ruri": info.request_uri, "from": info.from_header, "to": info.to_header,
            "call_id": info.call_id, "user": info.user, "headers": [list(pair) for pair in info.headers],
            "app_params": dict(session.app_params), "params": session.params,
        }  # fmt: skip

    def orphaned(self) -> None:
        """The program is gone; the call lives on without it."""
        self.process = None
        self.end_stream()

    def _standing(self) -> tuple[PlayItem, ...]:
        """Whom the call hears instead of its playlist, which goes on behind that."""
        pair = self.session.pair
        if pair is not None and pair.bridged and pair.second is not None:
            return (PlayBridge((pair.second if self.session is pair.first else pair.first).leg),)
        return (PlayBridge(self.stream.leg),) if self.stream is not None and self.stream.connected else ()

    def end_stream(self) -> None:
        """The audio is the call's own again."""
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.close()
            if stream.connected:
                self.plays.dropped()
            self.unsettle("stream", 487, "the stream was ended")
            self.event("stream_ended", why="")

    # ------------------------------------------------------------------------------------------------------------- callbacks
    def on_invite(self, session: Session) -> None:
        session.dialog.defer_answer()
        self.tell(self.introduction())

    def on_outgoing_invite(self) -> None:
        self.tell(self.introduction())

    def on_early_session_start(self) -> None:
        self.settle("early")
        self.event("early")

    def on_session_start(self) -> None:
        self.settle("answer")
        self.event("started")

    def on_failure(self, code: int, reason: str) -> None:
        self._how = (code, reason, "remote")

    def on_digit(self, event: int, duration_ms: int) -> None:
        if key := key_of(event):
            self.event("digit", key=key, duration_ms=duration_ms)

    def on_separator(self, number: int) -> None:
        self.plays.reached(number)

    def on_item_failed(self, record: ItemFailed) -> None:
        super().on_item_failed(record)
        self.plays.broken(record.path, record.reason)

    def on_recording_stopped(self, record: RecordingStopped) -> None:
        super().on_recording_stopped(record)
        self.settle(f"record {record.path}", {"path": record.path, "length_ms": record.length_ms, "why": record.reason})

    def on_request(self, request: RequestReceived) -> None:
        if self.process is None or request.method == "OPTIONS":
            super().on_request(request)
            return
        token = 0
        if request.reply_wanted:
            self._tokens += 1
            token = self._tokens
            self._requests[token] = request
        self.event(
            "request", method=request.method, headers=[list(pair) for pair in request.headers], content_type=request.content_type,
            body=request.body, token=token,
        )  # fmt: skip

    def asked(self, token: int) -> RequestReceived:
        """The request of a token, to be answered now. Raises BadOperation."""
        request = self._requests.pop(token, None)
        if request is None:
            raise BadOperation("there is no request that waits for this answer")
        return request

    def on_reply(self, reply: ReplyReceived) -> None:
        self.event("reply", code=reply.code, reason=reply.reason)

    def on_event(self, event: EventPosted) -> None:
        self.event("posted", params=event.params, kind=event.kind)

    def on_system(self, kind: str) -> None:
        self.event("system", kind=kind)
        super().on_system(kind)

    def on_rtp_timeout(self) -> None:
        self.event("rtp_timeout")
        if self.silence_ends or self.process is None:
            super().on_rtp_timeout()

    def on_media_lost(self) -> None:
        self.event("audio_cleared")

    def on_other_reply(self, reply: SipReply) -> None:
        if 200 <= reply.code < 300 and self.session.pair is not None and self.session.pair.bridged:
            self.plays.dropped()
        self.event("other_reply", code=reply.code, reason=reply.reason)
        if reply.code >= 300:
            self.unsettle("connect", reply.code, reply.reason)
        elif reply.code >= 200:
            second = self.session.pair.second if self.session.pair is not None else None
            self.other = second.id if second is not None else ""
            self.settle("connect", self.other)

    def on_other_bye(self, headers: tuple[tuple[str, str], ...]) -> None:
        self.other = ""
        self.plays.dropped()
        self.settle("connect", "")  # who hung up in the moment of the answer: the leg was there, and has ended
        self.settle("other_ended")
        if self.process is None:
            self.session.stop()  # nobody is there to decide
        self.event("other_bye")

    def on_kick(self) -> None:
        self.leave_room()
        self.event("kicked")

    def on_move(self, room: str) -> None:
        self.leave_room()
        super().on_move(room)
        self.plays.enter(0, room)
        self.event("moved", room=room)

    def leave_room(self) -> None:
        """Out of the room."""
        if self.session.audio.room:
            self.session.audio.flush()
            self.session.audio.leave_room()
            self.plays.dropped()
        self.settle("join")

    def on_timer(self, id: int) -> None:
        if id == LIMIT_TIMER:
            self.session.stop(by="limit")

    def on_bye(self, headers: tuple[tuple[str, str], ...]) -> None:
        self._how = (200, "BYE", "remote")

    def on_cancel(self) -> None:
        self._how = (487, "Request Terminated", "cancel")

    def on_remote_disappeared(self) -> None:
        self._how = (408, "Request Timeout", "timeout")

    def on_destroy(self) -> None:
        self.end_stream()
        code, reason, by = self._how
        self.tell({"k": "ended", "code": code, "reason": self.session.dialog.why or reason, "by": by})
        process, self.process = self.process, None
        if process is not None:
            process.calls.discard(self.session.id)
            process.legs.discard(self.session.id)

    # ----------------------------------------------------------------------------------------------------------- operations
    def perform(self, op: int, what: str, values: object) -> None:
        """Do what the program asks for. Runs as an event of the call."""
        operation = self.means.operations.get(what)
        try:
            if operation is None:
                raise BadOperation(f"there is no operation {what!r:.60}")
            operation(self, op, Arguments(values))
        except (BadOperation, NoSuchFile, CallFailed) as error:
            self.failed(op, 400, str(error))


class ProgramLeg(BridgedCall):
    """A second leg that the same program steers, beside what its pair does. The program learns of it before it is called."""

    def __init__(self, session: Session, process: AppPeer, means: Means, first: str) -> None:
        super().__init__(session, process, means)
        self.first = first

    def _begin(self, process: AppPeer) -> None:
        process.legs.add(self.session.id)

    def introduction(self) -> Message:
        return {**super().introduction(), "leg_of": self.first}

    def on_other_bye(self, headers: tuple[tuple[str, str], ...]) -> None:
        self.event("other_bye")
        self.session.stop()
