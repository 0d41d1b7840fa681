# SPDX-License-Identifier: GPL-2.0-or-later
"""A call whose program runs elsewhere: callbacks become messages, messages become commands.

The program may be gone, slow or mad: what it sends is checked here, and what it may not do is answered with a failure that says why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from di.apps.keypad import key_of
from di.calls.application import Application
from di.calls.call_info import Target
from di.calls.events import EventPosted, SipReply
from di.calls.pair import Pair, PairOptions
from di.calls.second_leg import PASSED_ON
from di.kernel.errors import CallFailed
from di.kernel.value import Value
from di.sip.credentials import Credential
from di.sip.headers import header_problem, is_sip_uri
from di.sip.records import ReplyReceived, RequestReceived
from interfaces.apps.files import NoSuchFile, Reach
from media.control.play_items import PlayBridge, PlayFile, PlayRoom, PlaySeparator, PlaySilence
from media.control.records import ItemFailed, RecordingStopped

if TYPE_CHECKING:
    from di.calls.session import Session
    from interfaces.apps.peer import AppPeer, Message

log = logging.getLogger(__name__)
_LIMIT_TIMER = 1
_KEYS = {key: event for event, key in enumerate("0123456789*#ABCD")}


class BadOperation(Exception):
    """What the program asks for cannot be done; the text goes back to it."""


class Arguments:
    """What stands in an operation's `with`. Each raises BadOperation when it is of another kind."""

    def __init__(self, values: object) -> None:
        self._values = values if isinstance(values, dict) else {}

    def text(self, name: str, default: str = "") -> str:
        """A text of one line: it may become part of a SIP message."""
        value = self._values.get(name, default)
        if not isinstance(value, str) or any(ord(letter) < 32 or letter == "\x7f" for letter in value):
            raise BadOperation(f"{name} must be a text of one line")
        return value

    def number(self, name: str, default: int = 0, most: int = 1 << 31) -> int:
        """A whole number from 0 up."""
        value = self._values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise BadOperation(f"{name} must be a number from 0 to {most}")
        return value

    def flag(self, name: str) -> bool:
        """Whether."""
        return self._values.get(name) is True

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return name in self._values

    def data(self, name: str) -> bytes:
        """Bytes; a text becomes UTF-8."""
        value = self._values.get(name, b"")
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        if not isinstance(value, bytes):
            raise BadOperation(f"{name} must be bytes")
        return value

    def headers(self) -> tuple[str, ...]:
        """Header lines that may be sent."""
        lines = self._values.get("headers", [])
        if not isinstance(lines, (list, tuple)) or not all(isinstance(line, str) for line in lines):
            raise BadOperation("headers must be a list of lines")
        for line in lines:
            if problem := header_problem(line):
                raise BadOperation(problem)
        return tuple(lines)

    def uris(self, name: str) -> list[str]:
        """SIP or tel URIs, at least one."""
        values = self._values.get(name)
        if (
            not isinstance(values, (list, tuple))
            or not values
            or not all(isinstance(uri, str) and is_sip_uri(uri) for uri in values)
        ):
            raise BadOperation(f"{name} must be SIP URIs")
        return list(values)

    def values(self) -> dict[str, Value]:
        """All of it."""
        return {str(name): value for name, value in self._values.items() if isinstance(value, (str, int, float, bool))}


class BridgedCall(Application):
    """`process` runs the program; None once that is gone."""

    further_methods = PASSED_ON

    def __init__(self, session: Session, process: AppPeer, reach: Reach) -> None:
        super().__init__(session)
        self._process: AppPeer | None = process
        self._reach = reach
        self._plays: dict[int, PlayFile | PlaySilence | PlayRoom] = {}
        """Operation → what it has in the playlist, in order."""
        self._waiting: dict[str, list[int]] = {}
        """Word → operations that wait for it: `answer`, `early`, `join`, `connect`, `other_ended`, `record` with its path."""
        self._requests: dict[int, RequestReceived] = {}
        self._tokens = 0
        self._other = ""
        self._how = (200, "", "local")
        """How the call ended: code, reason, by whom."""
        process.calls.add(session.id)

    # ---------------------------------------------------------------------------------------------------------- to the program
    def _tell(self, message: Message) -> None:
        if self._process is not None:
            self._process.send({"call": self.session.id, **message})

    def _event(self, name: str, **data: object) -> None:
        self._tell({"k": "event", "name": name, **data})

    def _done(self, op: int, result: object = None) -> None:
        if op:
            self._tell({"k": "done", "op": op, "result": result})

    def _failed(self, op: int, code: int, reason: str) -> None:
        log.info("call %s: %s", self.session.id, reason)
        if op:
            self._tell({"k": "failed", "op": op, "code": code, "reason": reason})

    def _settle(self, word: str, result: object = None) -> None:
        for op in self._waiting.pop(word, []):
            self._done(op, result)

    def introduce(self) -> None:
        """Hand the call to the program."""
        info, session = self.session.info, self.session
        self._tell(
            {
                "k": "call", "direction": info.direction, "ruri": info.request_uri, "from": info.from_header, "to": info.to_header,
                "call_id": info.call_id, "user": info.user, "headers": [list(pair) for pair in info.headers],
                "app_params": dict(session.app_params), "params": session.params,
            }
        )  # fmt: skip

    def orphaned(self) -> None:
        """The program is gone; the call lives on without it."""
        self._process = None

    # ------------------------------------------------------------------------------------------------------------- callbacks
    def on_invite(self, session: Session) -> None:
        session.dialog.defer_answer()
        self.introduce()

    def on_outgoing_invite(self) -> None:
        self.introduce()

    def on_early_session_start(self) -> None:
        self._settle("early")
        self._event("early")

    def on_session_start(self) -> None:
        self._settle("answer")
        self._event("started")

    def on_failure(self, code: int, reason: str) -> None:
        self._how = (code, reason, "remote")

    def on_digit(self, event: int, duration_ms: int) -> None:
        if key := key_of(event):
            self._event("digit", key=key, duration_ms=duration_ms)

    def on_separator(self, number: int) -> None:
        if self._plays.pop(number, None) is not None:
            self._done(number)

    def on_item_failed(self, record: ItemFailed) -> None:
        super().on_item_failed(record)
        for op, item in list(self._plays.items()):
            if isinstance(item, PlayFile) and item.path == record.path:
                del self._plays[op]
                self._failed(op, 404, f"{record.path} cannot be played: {record.reason}")
                return

    def on_recording_stopped(self, record: RecordingStopped) -> None:
        super().on_recording_stopped(record)
        self._settle(f"record {record.path}", {"path": record.path, "length_ms": record.length_ms, "why": record.reason})

    def on_request(self, request: RequestReceived) -> None:
        if self._process is None or request.method == "OPTIONS":
            super().on_request(request)
            return
        token = 0
        if request.reply_wanted:
            self._tokens += 1
            token = self._tokens
            self._requests[token] = request
        self._event(
            "request", method=request.method, headers=[list(pair) for pair in request.headers], content_type=request.content_type,
            body=request.body, token=token,
        )  # fmt: skip

    def on_reply(self, reply: ReplyReceived) -> None:
        self._event("reply", code=reply.code, reason=reply.reason)

    def on_event(self, event: EventPosted) -> None:
        self._event("posted", params=event.params, kind=event.kind)

    def on_system(self, kind: str) -> None:
        self._event("system", kind=kind)
        super().on_system(kind)

    def on_other_reply(self, reply: SipReply) -> None:
        if 200 <= reply.code < 300:
            self._dropped()
        self._event("other_reply", code=reply.code, reason=reply.reason)
        if reply.code >= 300:
            for op in self._waiting.pop("connect", []):
                self._failed(op, reply.code, reply.reason)
        elif reply.code >= 200:
            second = self.session.pair.second if self.session.pair is not None else None
            self._other = second.id if second is not None else ""
            self._settle("connect", self._other)

    def on_other_bye(self, headers: tuple[tuple[str, str], ...]) -> None:
        self._other = ""
        self._dropped()
        self._settle("connect", "")  # who hung up in the moment of the answer: the leg was there, and has ended
        self._settle("other_ended")
        if self._process is None:
            self.session.stop()  # nobody is there to decide
        self._event("other_bye")

    def on_kick(self) -> None:
        self._leave()
        self._event("kicked")

    def on_move(self, room: str) -> None:
        self._leave()
        super().on_move(room)
        self._plays[0] = PlayRoom(room)
        self._event("moved", room=room)

    def on_timer(self, id: int) -> None:
        if id == _LIMIT_TIMER:
            self.session.stop(by="limit")

    def on_bye(self, headers: tuple[tuple[str, str], ...]) -> None:
        self._how = (200, "BYE", "remote")

    def on_cancel(self) -> None:
        self._how = (487, "Request Terminated", "cancel")

    def on_remote_disappeared(self) -> None:
        self._how = (408, "Request Timeout", "timeout")

    def on_destroy(self) -> None:
        code, reason, by = self._how
        self._tell({"k": "ended", "code": code, "reason": self.session.dialog.why or reason, "by": by})
        process, self._process = self._process, None
        if process is not None:
            process.calls.discard(self.session.id)

    # ----------------------------------------------------------------------------------------------------------- operations
    def perform(self, op: int, what: str, values: object) -> None:
        """Do what the program asks for. Runs as an event of the call."""
        operation = _OPERATIONS.get(what)
        try:
            if operation is None:
                raise BadOperation(f"there is no operation {what!r}")
            operation(self, op, Arguments(values))
        except (BadOperation, NoSuchFile, CallFailed) as error:
            self._failed(op, 400, str(error))

    def _wait(self, op: int, word: str) -> None:
        if op:
            self._waiting.setdefault(word, []).append(op)

    def _answer(self, op: int, with_: Arguments) -> None:
        if self.session.audio.started:
            self._done(op)
            return
        code, reason, headers = with_.number("code", 200, 299), with_.text("reason", "OK"), with_.headers()
        self._wait(op, "answer")
        self.session.dialog.accept(code, reason, headers)

    def _early(self, op: int, with_: Arguments) -> None:
        code, reason = with_.number("code", 183, 199), with_.text("reason")
        self._wait(op, "early")
        self.session.dialog.early_media(code, reason)

    def _ring(self, op: int, with_: Arguments) -> None:
        self.session.dialog.ringing(with_.number("code", 180, 199), with_.text("reason", "Ringing"))
        self._done(op)

    def _reject(self, op: int, with_: Arguments) -> None:
        code = with_.number("code", 486, 699)
        if code < 300:
            raise BadOperation("code must be 300 to 699")
        self.session.dialog.reject(code, with_.text("reason"), with_.headers())
        self._done(op)

    def _hangup(self, op: int, with_: Arguments) -> None:
        self.session.stop(headers=with_.headers())
        self._done(op)

    def _fault(self, op: int, with_: Arguments) -> None:
        log.error("call %s: application %s failed: %s", self.session.id, self.session.application, with_.text("why"))
        self.session.stop(500, "Server Internal Error")
        self._done(op)

    def _play(self, op: int, with_: Arguments) -> None:
        item = PlayFile(self._reach.readable(with_.text("path")), loop=with_.flag("loop"))
        self._plays[op] = item
        self.session.audio.play(item, PlaySeparator(op))

    def _silence(self, op: int, with_: Arguments) -> None:
        item = PlaySilence(with_.number("ms", most=86_400_000))
        self._plays[op] = item
        self.session.audio.play(item, PlaySeparator(op))

    def _mix_in(self, op: int, with_: Arguments) -> None:
        path = self._reach.readable(with_.text("path"))
        self.session.audio.set_up_mix_in(with_.number("percent", 50, 100) / 100, with_.number("interval_ms"))
        self.session.audio.mix_in(PlayFile(path), replace=True)
        self._done(op)

    def _audio(self, op: int, with_: Arguments) -> None:
        """What passes: `muted`, `receiving`, `attached`, `inband`, each as far as it is named."""
        audio = self.session.audio
        if with_.has("muted"):
            audio.set(muted=with_.flag("muted"))
        if with_.has("receiving"):
            audio.receive(with_.flag("receiving"))
        if with_.has("attached"):
            audio.playlist.attach(input=with_.flag("attached"), output=with_.flag("attached"))
        if with_.has("inband"):
            audio.detect_digits(inband=with_.flag("inband"))
        self._done(op)

    def _flush(self, op: int, with_: Arguments) -> None:
        del with_
        gone = [play for play, item in self._plays.items() if not isinstance(item, PlayRoom)]
        self._take_out(gone)
        self._done(op)

    def _take_out(self, gone: list[int]) -> None:
        """Drop plays from the playlist: it begins anew with what is left. Where the call is, in a room or with its second leg, it stays."""
        for play in gone:
            del self._plays[play]
        audio, pair = self.session.audio, self.session.pair
        audio.flush()
        if pair is not None and pair.bridged and pair.second is not None:
            audio.play(PlayBridge(pair.second.leg))
        for play, item in self._plays.items():
            audio.play(*((item,) if isinstance(item, PlayRoom) else (item, PlaySeparator(play))))
        for play in gone:
            self._done(play)

    def _dropped(self) -> None:
        """The playlist has been emptied: for a bridge, after one, or on the way out of a room."""
        plays, self._plays = self._plays, {}
        for play, item in plays.items():
            if not isinstance(item, PlayRoom):
                self._done(play)

    def _stop(self, op: int, with_: Arguments) -> None:
        """End one operation: what is played behind it follows at once."""
        number = with_.number("number", most=1 << 62)
        if number in self._waiting.get("join", ()):
            self._leave()
        elif number in self._plays:
            self._take_out([number])
        elif number in self._waiting.get(f"record {self.session.audio.recording}", ()):
            self.session.audio.stop_recording()
        self._done(op)

    def _record(self, op: int, with_: Arguments) -> None:
        path = self._reach.writable(with_.text("path"))
        length, silence = with_.number("max_ms"), with_.number("silence_ms")
        self.session.audio.record(path, length, silence)
        self._wait(op, f"record {path}")

    def _send_digits(self, op: int, with_: Arguments) -> None:
        duration = with_.number("duration_ms", 200, 10_000)
        keys = with_.text("keys").upper()
        if any(key not in _KEYS for key in keys):
            raise BadOperation("keys must be 0-9, *, #, A-D")
        for key in keys:
            self.session.audio.send_digit(_KEYS[key], duration)
        self._done(op)

    def _join(self, op: int, with_: Arguments) -> None:
        room = with_.text("room")
        if not room:
            raise BadOperation("room must have a name")
        if self.session.audio.room:  # the former one would stand before it in the playlist, and never end
            self.session.audio.flush()
            self._dropped()
        self._settle("join")
        self.session.audio.set(muted=with_.flag("mute"))
        self.session.audio.join_room(room)
        self._plays[op] = PlayRoom(room)
        self._wait(op, "join")

    def _leave(self, op: int = 0, with_: Arguments | None = None) -> None:
        del with_
        if self.session.audio.room:
            self.session.audio.flush()
            self.session.audio.leave_room()
            self._dropped()
        self._settle("join")
        self._done(op)

    def _connect(self, op: int, with_: Arguments) -> None:
        headers, ring_ms = with_.headers(), with_.number("ring_ms")
        user = with_.text("user")
        credential = Credential("", user, with_.text("password")) if user else None
        targets = [
            Target(
                uri,
                from_header=with_.text("from"),
                headers=headers,
                next_hop=with_.text("next_hop"),
                credential=credential,
                ring_ms=ring_ms,
            )
            for uri in with_.uris("targets")
        ]
        early = with_.flag("relay_early")
        pair = Pair(
            self.session, PairOptions(early_media=early, in_turn=with_.flag("in_turn"), application=self.session.application)
        )
        self._wait(op, "connect")
        pair.connect(targets)

    def _of_pair(self, op: int, do: Callable[[Pair], None]) -> None:
        if self.session.pair is not None:
            do(self.session.pair)
        self._done(op)

    def _bridge(self, op: int, with_: Arguments) -> None:
        del with_
        self._of_pair(op, lambda pair: pair.bridge())

    def _unbridge(self, op: int, with_: Arguments) -> None:
        del with_
        bridged = self.session.pair is not None and self.session.pair.bridged
        self._of_pair(op, lambda pair: pair.unbridge())
        if bridged:
            self._dropped()

    def _end_other(self, op: int, with_: Arguments) -> None:
        del with_
        bridged = self.session.pair is not None and self.session.pair.bridged
        self._of_pair(op, lambda pair: pair.end_other(self.session))
        if bridged:
            self._dropped()
        self._other = ""
        self._settle("other_ended")

    def _other_ended(self, op: int, with_: Arguments) -> None:
        if self._other and self._other == with_.text("leg"):
            self._wait(op, "other_ended")
        else:
            self._done(op)

    def _transfer(self, op: int, with_: Arguments) -> None:
        target = with_.text("target")
        if not is_sip_uri(target):
            raise BadOperation(f"{target!r} is no SIP URI")
        self._send(op, "REFER", (f"Refer-To: <{target}>", *with_.headers()))

    def _hold(self, op: int, with_: Arguments) -> None:
        self.session.dialog.offer("sendonly" if with_.flag("on") else "sendrecv")
        self._done(op)

    def _request(self, op: int, with_: Arguments) -> None:
        method = with_.text("method")
        if not method.isascii() or not method.isalpha() or method in ("INVITE", "ACK", "BYE", "CANCEL", "PRACK"):
            raise BadOperation(f"{method!r} cannot be sent by a program")
        self._send(op, method, with_.headers(), with_.text("content_type"), with_.data("body"))

    def _send(self, op: int, method: str, headers: tuple[str, ...], content_type: str = "", body: bytes = b"") -> None:
        token = self.session.dialog.send(method, headers, content_type, body, lambda reply: self._done(op, reply.code))
        if not token:
            raise BadOperation("the call is being ended")

    def _reply(self, op: int, with_: Arguments) -> None:
        request = self._requests.pop(with_.number("token"), None)
        if request is None:
            raise BadOperation("there is no request that waits for this answer")
        code = with_.number("code", 200, 699)
        self.session.dialog.reply(
            request, code, with_.text("reason"), with_.headers(), with_.text("content_type"), with_.data("body")
        )
        self._done(op)

    def _log(self, op: int, with_: Arguments) -> None:
        self.session.log(**with_.values())
        self._done(op)

    def _limit(self, op: int, with_: Arguments) -> None:
        ms = with_.number("ms")
        if ms:
            self.session.timers.set(_LIMIT_TIMER, ms)
        else:
            self.session.timers.remove(_LIMIT_TIMER)
        self._done(op)


_OPERATIONS: dict[str, Callable[[BridgedCall, int, Arguments], None]] = {
    name: getattr(BridgedCall, f"_{name}")
    for name in (
        "answer early ring reject hangup fault play silence mix_in "
        "audio flush stop record send_digits join leave connect bridge unbridge end_other other_ended "
        "transfer hold request reply log limit"
    ).split()
}  # fmt: skip
