# SPDX-License-Identifier: GPL-2.0-or-later
"""The server's side of one call, as a program sees it, without a server: operations in, events out.

It does what `interfaces/apps/bridged_call.py` does; one suite of tests holds both to the same (tests/peers/test_app_kit.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from clients.app.testing.simulated_audio import Item, Playlist
from clients.app.testing.simulated_legs import Leg, Search, reason_of
from clients.app.testing.stage import Requests, Who
from clients.app.testing.waiting import Waiting

if TYPE_CHECKING:
    from clients.app.link import Message

Values = Mapping[str, object]


class CannotDo(Exception):
    """What the program asks for cannot be done; the text goes back to it."""


class Around(Protocol):
    """What a call needs of the simulation that it is part of."""

    def length_s(self, path: str) -> float:
        """How long a sound is. Raises CannotDo when there is none of that name."""

    def place(
        self,
        target: str,
        values: Values,
        call: SimulatedCall,
        on_reply: Callable[[Leg, int], None],
        on_over: Callable[[Leg], None],
    ) -> Leg:
        """Call a target."""


class SimulatedCall:
    """`tell` takes messages for the program. The peer's side is in the methods that begin with `peer`."""

    def __init__(self, id: str, around: Around, tell: Callable[[Message], None], app: str) -> None:
        self.id, self.app = id, app
        self.waiting = Waiting()
        self.code = 0
        """Of the final reply to the INVITE."""
        self.ended_by: Who | None = None
        self.up = False
        self.early = False
        self.logged: dict[str, str] = {}
        self.sent_keys = ""
        self.room = ""
        self.held = False
        self.leg: Leg | None = None
        """The second leg, once it has answered."""
        self.asked: Requests = []
        """Requests to the peer: method, headers with `body`."""
        self.answers: dict[str, int] = {}
        self.audio = Playlist(self._played, self.waiting.changed)
        self._around, self.tell_program = around, tell
        self._waits: dict[str, list[int]] = {}
        self._search: Search | None = None
        self._recording: tuple[str, float] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._requests: dict[int, asyncio.Future[int]] = {}
        self._bridged = self._apart = False

    # ------------------------------------------------------------------------------------------------------- to the program
    def _tell(self, message: Message) -> None:
        self.tell_program({"call": self.id, **message})

    def event(self, name: str, **data: object) -> None:
        """Tell the program what has happened."""
        if self.ended_by is None:
            self._tell({"k": "event", "name": name, **data})

    def _done(self, op: int, result: object = None) -> None:
        if op:
            self._tell({"k": "done", "op": op, "result": result})

    def _failed(self, op: int, code: int, reason: str) -> None:
        if op:
            self._tell({"k": "failed", "op": op, "code": code, "reason": reason})

    def _wait(self, op: int, word: str) -> None:
        if op:
            self._waits.setdefault(word, []).append(op)

    def _settle(self, word: str, result: object = None) -> None:
        for op in self._waits.pop(word, []):
            self._done(op, result)

    def _played(self, number: int) -> None:
        self._done(number)

    # ------------------------------------------------------------------------------------------------------------- the peer
    def peer_presses(self, key: str) -> None:
        """A key."""
        if self.up or self.early:
            self.event("digit", key=key, duration_ms=100)

    def peer_hangs_up(self) -> None:
        """BYE, or CANCEL before the answer."""
        how = (200, "BYE", "remote") if self.code else (487, "Request Terminated", "cancel")
        self._over("caller", *how)

    async def peer_sends(self, method: str, headers: list[list[str]], body: bytes) -> int:
        """A request inside the call; the code of its reply."""
        if self.leg is not None and self.leg.ended_by is None:
            return self.leg.request(method, {name.lower(): value for name, value in headers}, body)  # it goes to the other side
        if method == "OPTIONS":
            return 200
        token = len(self._requests) + 1
        reply = self._requests[token] = asyncio.get_running_loop().create_future()
        kind = "text/plain" if body else ""
        self.event("request", method=method, headers=headers, content_type=kind, body=body, token=token)
        code: int = await reply
        return code

    def _over(self, by: Who, code: int, reason: str, told_by: str) -> None:
        if self.ended_by is not None:
            return
        if self._search is not None:
            self._search.stop()
        self.ended_by = by
        self.room = ""
        self.audio.close()
        for timer in self._timers.values():
            timer.cancel()
        if self.leg is not None:
            self.leg.over("app")
        for reply in self._requests.values():
            if not reply.done():
                reply.set_result(487)
        self._tell({"k": "ended", "code": code, "reason": reason, "by": told_by})
        self.waiting.changed()

    def stop(self, code: int, reason: str = "") -> None:
        """The server's side ends the call: with a final reply of this code, or by BYE."""
        self.code = self.code or code
        self._over("app", 200, reason, "local")

    # ----------------------------------------------------------------------------------------------------------- operations
    def perform(self, op: int, what: str, values: Values) -> None:
        """Do what the program asks for."""
        if self.ended_by is not None:
            return
        operation = _OPERATIONS.get(what)
        try:
            if operation is None:
                raise CannotDo(f"there is no operation {what!r}")
            operation(self, op, values)
        except CannotDo as error:
            self._failed(op, 400, str(error))
        self.waiting.changed()

    def _answer(self, op: int, values: Values) -> None:
        if self.up:
            self._done(op)
            return
        code = _number(values, "code") or 200
        self._wait(op, "answer")
        if self.code:
            return
        self.code = code
        asyncio.get_running_loop().call_soon(self._acknowledged)

    def _acknowledged(self) -> None:
        if self.ended_by is not None:
            return
        self.up = True
        self.audio.open()
        self._settle("answer")
        self.event("started")
        self.waiting.changed()

    def _early(self, op: int, values: Values) -> None:
        del values
        if self.code:
            return
        self.early = True
        self.audio.open()
        self._done(op)
        self.event("early")

    def _reject(self, op: int, values: Values) -> None:
        code = _number(values, "code") or 486
        if not 300 <= code <= 699:
            raise CannotDo("code must be 300 to 699")
        if not self.code:
            self.code = code
            self._done(op)
            self._over("app", 200, "", "local")

    def _hangup(self, op: int, values: Values) -> None:
        del values
        self._done(op)
        self.stop(480)

    def _fault(self, op: int, values: Values) -> None:
        del values
        self._done(op)
        self.stop(500, "Server Internal Error")

    def _play(self, op: int, values: Values) -> None:
        path = str(values.get("path", ""))
        self.audio.add(Item(op, path, self._around.length_s(path), values.get("loop") is True))

    def _silence(self, op: int, values: Values) -> None:
        self.audio.add(Item(op, "", _number(values, "ms") / 1000))

    def _flush(self, op: int, values: Values) -> None:
        del values
        self._drop(lambda item: not item.number)
        self._done(op)

    def _drop(self, keep: Callable[[Item], bool]) -> None:
        for number in self.audio.take_out(keep):
            self._done(number)

    def _stop(self, op: int, values: Values) -> None:
        number = _number(values, "number")
        if number in self._waits.get("record", ()):
            self._recorded("asked")
        elif number in self._waits.get("join", ()):
            self._out_of_room()
        else:
            self._drop(lambda item: item.number != number)
        self._done(op)

    def _record(self, op: int, values: Values) -> None:
        path = str(values.get("path", ""))
        if not path or path.startswith("/") or any(step.startswith(".") or not step for step in path.split("/")):
            raise CannotDo(f"{path!r} is no name for a recording; right are names without dots in front, parted by /")
        limits = ((_number(values, "max_ms"), "length"), (_number(values, "silence_ms"), "silence"))
        self._recorded("asked")
        self._recording = (f"/recordings/{self.app}/{path}", asyncio.get_running_loop().time())
        self._wait(op, "record")
        if ends := [(ms, why) for ms, why in limits if ms]:
            ms, why = min(ends)
            self._timer("record", ms / 1000, lambda: self._recorded(why))

    def _recorded(self, why: str) -> None:
        recording, self._recording = self._recording, None
        self._no_timer("record")
        if recording is not None:
            path, began_s = recording
            length_ms = round((asyncio.get_running_loop().time() - began_s) * 1000)
            self._settle("record", {"path": path, "length_ms": length_ms, "why": why})

    def _say(self, op: int, values: Values) -> None:
        """What is said is heard by its value: `caller.hears("21")`."""
        name = str(values.get("value", ""))
        if not name:
            raise CannotDo("value must say something")
        self.audio.add(Item(op, name, 1.0))

    def _no_stream(self, op: int, values: Values) -> None:
        del op, values
        raise CannotDo("streams are not simulated: try them on a real server")

    def _send_digits(self, op: int, values: Values) -> None:
        keys = str(values.get("keys", "")).upper()
        if set(keys) - set("0123456789*#ABCD"):
            raise CannotDo("keys must be 0-9, *, #, A-D")
        self.sent_keys += keys
        self._done(op)

    def _join(self, op: int, values: Values) -> None:
        room = str(values.get("room", ""))
        if not room:
            raise CannotDo("room must have a name")
        self._out_of_room()
        self.room = room
        self.logged["conf_id"] = room
        self.audio.add(Item(0, "", None))
        self._wait(op, "join")

    def _leave(self, op: int, values: Values) -> None:
        del values
        self._out_of_room()
        self._done(op)

    def _out_of_room(self) -> None:
        if self.room:
            self.room = self.logged["conf_id"] = ""
            self._drop(lambda item: False)
        self._settle("join")

    def kick(self) -> None:
        """Out of the room, from outside."""
        self._out_of_room()
        self.event("kicked")
        self.waiting.changed()

    # ----------------------------------------------------------------------------------------------------------- second leg
    def _connect(self, op: int, values: Values) -> None:
        targets = values.get("targets")
        if not isinstance(targets, list) or not targets or not all(_is_uri(one) for one in targets):
            raise CannotDo("targets must be SIP URIs")
        ring_ms = _number(values, "ring_ms")
        if self._search is not None:
            self._search.stop()
        if self.leg is not None:
            self._unbridged()
            self.leg.over("app")
            self.leg = None
        self._wait(op, "connect")
        self._apart = values.get("apart") is True
        self._search = Search(
            lambda target, on_reply: self._around.place(target, values, self, on_reply, self._other_over),
            targets,
            values.get("in_turn") is True,
            ring_ms / 1000,
            lambda code: self.event("other_reply", code=code, reason=reason_of(code)),
            self._found,
        )

    def _found(self, leg: Leg | None, code: int) -> None:
        self._search = None
        if self.ended_by is not None:
            return
        if leg is None:
            self.event("other_reply", code=code, reason=reason_of(code))
            for op in self._waits.pop("connect", []):
                self._failed(op, code, reason_of(code))
            return
        self.leg = leg
        if not self._apart:
            self._bridge_now()
        self.event("other_reply", code=code, reason=reason_of(code))
        self._settle("connect", leg.id)
        self.waiting.changed()

    def _bridge_now(self) -> None:
        self._bridged = True
        for side in self._sides():
            side._drop(lambda item: False)
            side.audio.add(Item(0, "", None))

    def _unbridged(self) -> None:
        if self._bridged:
            self._bridged = False
            for side in self._sides():
                side._drop(lambda item: False)

    def _sides(self) -> list[SimulatedCall]:
        """This call, and its second leg."""
        side = self.leg.side if self.leg is not None else None
        return [self, side] if isinstance(side, SimulatedCall) else [self]

    def leg_replied(self, code: int) -> None:
        """Of a second leg: the callee has answered, or refused."""
        if 200 <= code < 300:
            self.code = code
            self._acknowledged()
        elif code >= 300:
            self._over("app", code, reason_of(code), "remote")

    def leg_over(self, by: Who) -> None:
        """Of a second leg: one side has ended it."""
        how = (200, "BYE", "remote") if by == "callee" else (200, "", "local")
        self._over("app", *how)

    def _other_over(self, leg: Leg) -> None:
        if leg is not self.leg or self.ended_by is not None:
            return
        self._unbridged()
        self.leg = None
        self._settle("connect", "")
        self._settle("other_ended")
        self.event("other_bye")
        self.waiting.changed()

    @property
    def hears_other(self) -> bool:
        """Whether the two legs hear each other."""
        return self._bridged and self.leg is not None and all(side.audio.elsewhere for side in self._sides())

    def _bridge(self, op: int, values: Values) -> None:
        if values.get("to"):
            raise CannotDo("two calls are not bridged in the simulation: try it on a real server")
        if self.leg is not None and not self._bridged:
            self._bridge_now()
        self._done(op)

    def _unbridge(self, op: int, values: Values) -> None:
        del values
        self._unbridged()
        self._done(op)

    def _end_other(self, op: int, values: Values) -> None:
        del values
        if self._search is not None:
            self._search.stop()
            self._search = None
        self._unbridged()
        leg, self.leg = self.leg, None
        if leg is not None:
            leg.over("app")
        self._done(op)
        self._settle("other_ended")

    def _other_ended(self, op: int, values: Values) -> None:
        if self.leg is not None and self.leg.id == values.get("leg"):
            self._wait(op, "other_ended")
        else:
            self._done(op)

    # ------------------------------------------------------------------------------------------------------------- requests
    def _ask_peer(self, op: int, method: str, headers: object, body: bytes, default: int = 200) -> None:
        lines = headers if isinstance(headers, list) else []
        told = {name.strip().lower(): value.strip() for name, _, value in (str(line).partition(":") for line in lines)}
        self.asked.append((method, {**told, "body": body.decode("utf-8", "replace")}))
        code = self.answers.get(method, default)
        asyncio.get_running_loop().call_soon(self._peer_answered, op, code)

    def _peer_answered(self, op: int, code: int) -> None:
        if self.ended_by is None:  # nothing comes after "ended"
            self._done(op, code)

    def _transfer(self, op: int, values: Values) -> None:
        target, headers = values.get("target"), values.get("headers")
        if not _is_uri(target):
            raise CannotDo(f"{target!r} is no SIP URI")
        self._ask_peer(op, "REFER", [f"Refer-To: <{target}>", *(headers if isinstance(headers, list) else [])], b"", 202)

    def _request(self, op: int, values: Values) -> None:
        method, body = str(values.get("method", "")), values.get("body")
        if not method.isascii() or not method.isalpha() or method in ("INVITE", "ACK", "BYE", "CANCEL", "PRACK"):
            raise CannotDo(f"{method!r} cannot be sent by a program")
        self._ask_peer(op, method, values.get("headers"), body if isinstance(body, bytes) else str(body or "").encode())

    def _reply(self, op: int, values: Values) -> None:
        reply = self._requests.get(_number(values, "token"))
        if reply is None or reply.done():
            raise CannotDo("there is no request that waits for this answer")
        reply.set_result(_number(values, "code") or 200)
        self._done(op)

    def _hold(self, op: int, values: Values) -> None:
        self.held = values.get("on") is True
        self._done(op)

    # --------------------------------------------------------------------------------------------------------------- others
    def _log(self, op: int, values: Values) -> None:
        self.logged |= {name: str(int(value) if isinstance(value, bool) else value) for name, value in values.items()}
        self._done(op)

    def _limit(self, op: int, values: Values) -> None:
        ms = _number(values, "ms")
        self._no_timer("limit")
        if ms:
            self._timer("limit", ms / 1000, lambda: self.stop(480))
        self._done(op)

    def _nothing(self, op: int, values: Values) -> None:
        del values
        self._done(op)

    def _timer(self, name: str, seconds: float, then: Callable[[], None]) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, then)

    def _no_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def _number(values: Values, name: str) -> int:
    value = values.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise CannotDo(f"{name} must be a number from 0 up")
    return value


def _is_uri(value: object) -> bool:
    return isinstance(value, str) and value.partition(":")[0].lower() in ("sip", "sips", "tel") and len(value) > 4


_OPERATIONS: dict[str, Callable[[SimulatedCall, int, Values], None]] = {
    name: getattr(SimulatedCall, f"_{name}")
    for name in (
        "answer early reject hangup fault play say silence flush stop record send_digits join leave connect bridge unbridge end_other "
        "other_ended transfer hold request reply log limit"
    ).split()
} | {
    **dict.fromkeys(("ring", "audio", "mix_in"), SimulatedCall._nothing),
    **dict.fromkeys(("stream", "stream_to", "stream_end"), SimulatedCall._no_stream),
}
