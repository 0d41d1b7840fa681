# SPDX-License-Identifier: GPL-2.0-or-later
"""A call as a program sees it. Operations begin when they are called; what they return can be awaited, stopped, or left alone.

    await call.play("a.wav")            wait for its end
    music = call.play("m.wav", loop=True)   it plays
    music.stop()                        it ends

When the call ends, whatever waits for something of it raises `CallEnded`. Commands to a call that has ended do nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from clients.app.results import CallEnded, CallFailed, Digits, Event, Recording, Request, request_of
from clients.app.said import As, Say, Sayable
from clients.app.stream import Stream

if TYPE_CHECKING:
    from clients.app.home import Worker
    from clients.app.link import Message

T = TypeVar("T")
Prompt: TypeAlias = "str | Say"
_MOST_EVENTS = 10_000


class _Key:
    """A key that was pressed; one part of a program takes it."""

    __slots__ = ("event", "taken")

    def __init__(self, event: Event) -> None:
        self.event, self.taken = event, False


class Action(Generic[T]):
    """Something that the server does. Await it for its result."""

    def __init__(self, call: Call, number: int, done: asyncio.Future[object], read: Callable[[object], T]) -> None:
        self._call, self._number, self._done, self._read = call, number, done, read

    def __await__(self) -> Generator[object, None, T]:
        return self._wait().__await__()

    async def _wait(self) -> T:
        return self._read(await asyncio.shield(self._done))

    @property
    def done(self) -> bool:
        """Whether it is over."""
        return self._done.done()

    def stop(self) -> None:
        """End it; who awaits it gets its result. Without effect when it is over."""
        if not self._done.done():
            self._call.tell("stop", {"number": self._number})


class Call:
    """One call. `headers`: of the INVITE; `app_params`: of its P-App-Param where the caller is trusted; `state` is the program's own."""

    def __init__(self, worker: Worker, id: str, told: Mapping[str, object]) -> None:
        self.worker = worker
        self.id = id
        self.state: dict[str, object] = {}
        self.direction = str(told.get("direction", "in"))
        self.request_uri, self.caller, self.callee = (str(told.get(name, "")) for name in ("ruri", "from", "to"))
        self.user, self.call_id = str(told.get("user", "")), str(told.get("call_id", ""))
        self.headers = _pairs(told.get("headers"))
        self.app_params = _texts(told.get("app_params"))
        self.params = told.get("params")
        self.vars = {**self.app_params, **_scalars(self.params)}
        """What came with the call: of P-App-Param, and of who had it placed. From here on the program's own."""
        self.on_request: Callable[[Request], object] | None = None
        """Set it to take requests inside the call, and answer each with `reply`; without it they are answered 501."""
        self.over: CallEnded | None = None
        """How it ended."""
        self._events: asyncio.Queue[Event | _Key | None] = asyncio.Queue()
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._number = 0
        self._keys: deque[_Key] = deque()
        self._pressed = asyncio.Event()
        self.end_of_call: asyncio.Future[CallEnded] = asyncio.get_running_loop().create_future()
        """Done when the call is over."""
        self._legs: dict[str, Leg] = {}
        self._left: Leg | None = None
        """The last leg that was up and has gone."""
        self.was_up = False
        """Whether it has been answered."""
        self.streams: set[Stream] = set()

    def header(self, name: str) -> str:
        """The first value of a header of the INVITE, empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    # ------------------------------------------------------------------------------------------------------------ the wire
    def tell(self, what: str, values: Message | None = None) -> None:
        """Send a command whose outcome nobody waits for."""
        if self.over is None:
            self.worker.send({"k": "op", "call": self.id, "op": 0, "do": what, "with": values or {}})

    def ask(self, what: str, values: Message | None = None, read: Callable[[object], T] = lambda value: value) -> Action[T]:  # type: ignore[assignment, return-value]
        """Begin an operation."""
        self._number += 1
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        done.add_done_callback(_seen)
        if self.over is not None:
            done.set_exception(self.over)
        else:
            self._waiting[self._number] = done
            self.worker.send({"k": "op", "call": self.id, "op": self._number, "do": what, "with": values or {}})
        return Action(self, self._number, done, read)

    def took(self, message: Message) -> None:
        """A message of the server about this call."""
        kind = message["k"]
        if kind == "done":
            self._settle(message, None)
        elif kind == "failed":
            self._settle(message, CallFailed(_number(message.get("code")), str(message.get("reason", ""))))
        elif kind == "event":
            self._happened(message)
        elif kind == "ended":
            self.end(CallEnded(_number(message.get("code")), str(message.get("reason", "")), str(message.get("by", ""))))

    def _settle(self, message: Message, failed: CallFailed | None) -> None:
        done = self._waiting.pop(_number(message.get("op")), None)
        if done is None or done.done():
            return
        if failed is not None:
            done.set_exception(failed)
        else:
            done.set_result(message.get("result"))

    def _happened(self, message: Message) -> None:
        data = {str(name): value for name, value in message.items() if name not in ("k", "call", "name")}
        event = Event(str(message.get("name", "")), data)
        if event.type == "request":
            self._requested(request_of(event))
            return
        self.was_up = self.was_up or event.type == "started"
        if event.type == "stream_ended":
            for stream in list(self.streams):
                stream.end()
        self.happened(event)

    def happened(self, event: Event) -> None:
        """Something to be told by `events`."""
        if self._events.qsize() >= _MOST_EVENTS:
            return
        if event.type != "digit":
            self._events.put_nowait(event)
            return
        key = _Key(event)
        self._events.put_nowait(key)
        self._keys.append(key)
        self._pressed.set()

    def _requested(self, request: Request) -> None:
        if self.on_request is not None:
            self.on_request(request)
        elif request.token:
            self.reply(request, 501, "Not Implemented")

    def end(self, how: CallEnded) -> None:
        """The call is over: everybody who waits hears of it."""
        if self.over is not None:
            return
        self.over = how
        for done in self._waiting.values():
            if not done.done():
                done.set_exception(how)
        self._waiting.clear()
        self._events.put_nowait(None)
        self.end_of_call.set_result(how)
        for stream in list(self.streams):
            stream.end()

    # ---------------------------------------------------------------------------------------------------------- the INVITE
    def answer(self, code: int = 200, reason: str = "OK", headers: Sequence[str] = ()) -> Action[None]:
        """Answer the call; awaited: until it is up and has media."""
        return self.ask("answer", {"code": code, "reason": reason, "headers": list(headers)}, _nothing)

    def early(self, code: int = 183, reason: str = "Session Progress") -> Action[None]:
        """Open media before the answer."""
        return self.ask("early", {"code": code, "reason": reason}, _nothing)

    def ring(self, code: int = 180, reason: str = "Ringing") -> None:
        """Say that it rings."""
        self.tell("ring", {"code": code, "reason": reason})

    def reject(self, code: int = 486, reason: str = "Busy Here", headers: Sequence[str] = ()) -> None:
        """Refuse the call."""
        self.tell("reject", {"code": code, "reason": reason, "headers": list(headers)})

    def hangup(self, headers: Sequence[str] = ()) -> None:
        """End the call, however far it is."""
        self.tell("hangup", {"headers": list(headers)})

    # ---------------------------------------------------------------------------------------------------------------- audio
    def play(self, path: str, *, loop: bool = False) -> Action[None]:
        """Play a file after what is playing. A relative path is taken from the application's folder, then from the prompts."""
        return self.ask("play", {"path": path, "loop": loop}, _nothing)

    def say(self, value: Sayable, *, as_: As = "", language: str = "") -> Action[None]:
        """Say a number, date, time or length of time by recordings, or a text; `as_="digits"`: its digits one by one."""
        return self.ask("say", Say(value, as_, language).message(), _nothing)

    def stream(self, rate_hz: int = 16000) -> Stream:
        """The call's audio in this program, and this program's in the call, inside `async with`; 8000, 16000 or 48000 Hz."""
        return Stream(self, rate_hz)

    def _present(self, prompt: Prompt) -> Action[None]:
        return self.play(prompt) if isinstance(prompt, str) else self.ask("say", prompt.message(), _nothing)

    def flush(self) -> None:
        """Drop everything that is to be played; who awaits some of it goes on."""
        self.tell("flush")

    def record(self, path: str, *, max_s: float = 0, silence_s: float = 0) -> Action[Recording]:
        """Record the peer below the application's `record_path`; ends by `stop()`, length, silence, or with the call."""
        return self.ask(
            "record", {"path": path, "max_ms": round(max_s * 1000), "silence_ms": round(silence_s * 1000)}, _recording
        )

    async def gather(
        self,
        prompt: Prompt | Sequence[Prompt] = (),
        *,
        digits: tuple[int, int] = (1, 20),
        end: str = "#",
        first_s: float = 10,
        between_s: float = 4,
        fresh: bool = False,
    ) -> Digits:
        """Play prompts, which a key cuts short, and collect keys: at most so many, ended by an end key or by a pause.

        `digits`: (least, most); fewer than the least count as none. Who knows the way may type ahead: keys pressed before count, and the
        prompts are left out then; with `fresh` they are dropped.
        """
        if fresh:
            self._keys.clear()
        prompts = (prompt,) if isinstance(prompt, (str, Say)) else prompt
        playing = [self._present(one) for one in prompts] if not self._typed_ahead() else []
        key = await self._first_key(playing, first_s)
        if playing and not playing[-1].done:
            self.flush()
        least, most = digits
        pressed = ""
        while key is not None:
            if key in end:
                return Digits(pressed, "end")
            pressed += key
            if len(pressed) >= most:
                return Digits(pressed, "length")
            key = await self._key(between_s)
        return Digits(pressed if len(pressed) >= least else "", "timeout")

    async def _first_key(self, playing: list[Action[None]], first_s: float) -> str | None:
        """A key while a prompt plays, or within so many seconds after it."""
        if playing:
            waits = asyncio.ensure_future(self._key(None))
            over = asyncio.ensure_future(playing[-1]._wait())
            try:
                await asyncio.wait((waits, over), return_when=asyncio.FIRST_COMPLETED)
                if waits.done():
                    return waits.result()
                over.result()
            finally:
                waits.cancel()
                over.cancel()
        return await self._key(first_s)

    def _typed_ahead(self) -> bool:
        """Whether there is a key that nobody has taken."""
        while self._keys and self._keys[0].taken:
            self._keys.popleft()
        return bool(self._keys)

    async def _key(self, patience_s: float | None) -> str | None:
        """The next key that nobody has taken; None after so long."""
        until = None if patience_s is None else asyncio.get_running_loop().time() + patience_s
        while not self._typed_ahead():
            self._pressed.clear()
            pressed = asyncio.ensure_future(self._pressed.wait())
            left = None if until is None else until - asyncio.get_running_loop().time()
            try:
                await asyncio.wait((pressed, self.end_of_call), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                pressed.cancel()
            if self.over is not None:
                raise self.over
            if left is not None and left <= 0 and not self._typed_ahead():
                return None
        key = self._keys.popleft()
        key.taken = True
        return key.event.key

    async def menu(
        self, prompt: Prompt | Sequence[Prompt], choices: Mapping[str, T], *, tries: int = 3, invalid: str = ""
    ) -> T | None:
        """Ask for one of the keys; None after so many times without one. `invalid` is played after a wrong key."""
        for _ in range(tries):
            got = await self.gather(prompt, digits=(1, 1), end="")
            if got and got.digits in choices:
                return choices[got.digits]
            if got and invalid:
                await self.play(invalid)
        return None

    def send_digits(self, keys: str, *, duration_ms: int = 200) -> None:
        """Send keys to the peer."""
        self.tell("send_digits", {"keys": keys, "duration_ms": duration_ms})

    # ---------------------------------------------------------------------------------------------------------------- rooms
    def join(self, room: str, *, mute: bool = False) -> Room:
        """Go into a room, out of any other."""
        return Room(self, room, self.ask("join", {"room": room, "mute": mute}, _nothing))

    def leave(self) -> None:
        """Leave the room."""
        self.tell("leave")

    # ----------------------------------------------------------------------------------------------------------- second leg
    async def connect(
        self, *targets: str, timeout_s: float = 0, headers: Sequence[str] = (), caller: str = "", in_turn: bool = False,
        relay_early: bool = False, next_hop: str = "", user: str = "", password: str = "", apart: bool = False,
    ) -> Leg:  # fmt: skip
        """Call a second leg and be connected with it; several targets ring at once, or in turn. Raises CallFailed when nobody answers.

        `caller`: From of the second leg, by default this caller's. `apart`: they hear each other when `bridge` says so. What happens to
        the leg is queued from here on.
        """
        values: Message = {
            "targets": list(targets), "ring_ms": round(timeout_s * 1000), "headers": list(headers), "from": caller, "in_turn": in_turn,
            "relay_early": relay_early, "next_hop": next_hop, "user": user, "password": password, "apart": apart,
        }  # fmt: skip
        self._left = None
        id = str(await self.ask("connect", values))
        return self._legs.get(id) or self._gone_leg(id)

    async def dial(
        self, *targets: str, confirm: Callable[[Leg], Awaitable[object]] | None = None, timeout_s: float = 0,
        headers: Sequence[str] = (), caller: str = "", in_turn: bool = False, next_hop: str = "", user: str = "", password: str = "",
    ) -> Leg:  # fmt: skip
        """As `connect`, and who answers is asked first: `confirm` gets the leg, may play to it and gather its keys, and says whether.

        Who declines, or hangs up meanwhile, is let go, and the other targets are called. Raises CallFailed (603) when nobody is left.
        """
        left = list(targets)
        while True:
            leg = await self.connect(
                *left, timeout_s=timeout_s, headers=headers, caller=caller, in_turn=in_turn, next_hop=next_hop, user=user,
                password=password, apart=confirm is not None,
            )  # fmt: skip
            if confirm is None or await self._confirmed(leg, confirm):
                return leg
            leg.hangup()
            tried = left.index(leg.request_uri) if leg.request_uri in left else len(left) - 1
            left = left[tried + 1 :] if in_turn else [*left[:tried], *left[tried + 1 :]]
            if not left:
                raise CallFailed(603, "Declined")

    async def _confirmed(self, leg: Leg, confirm: Callable[[Leg], Awaitable[object]]) -> bool:
        try:
            taken = await confirm(leg)
        except CallEnded:
            if self.over is not None:
                raise
            return False
        if not taken or leg.over is not None:
            return False
        self.bridge()
        return True

    def leg(self, id: str, told: Mapping[str, object]) -> Leg:
        """A second leg is being called. The worker calls this."""
        self._legs[id] = leg = Leg(self, id, told)
        return leg

    def forget_leg(self, id: str) -> None:
        """It has ended. Likewise."""
        leg = self._legs.pop(id, None)
        if leg is not None and leg.was_up:
            self._left = leg

    def _gone_leg(self, id: str) -> Leg:
        """One that was there, and has ended before we could look."""
        if self._left is not None and id in ("", self._left.id):
            return self._left
        leg = Leg(self, id, {})
        if not id:
            leg.end(CallEnded(200, "BYE", "remote"))
        return leg

    def unbridge(self) -> None:
        """Stop hearing the second leg, and being heard; both stay up."""
        self.tell("unbridge")

    def bridge(self, to: Call | None = None) -> Action[None]:
        """Hear the second leg again, or from now on; `to`: another call of this program, which becomes the second leg."""
        return self.ask("bridge", {"to": to.id if to is not None else ""}, _nothing)

    def end_other(self) -> None:
        """Hang up the second leg."""
        self.tell("end_other")

    def transfer(self, target: str, headers: Sequence[str] = ()) -> Action[int]:
        """REFER the peer to somebody else; the result is the code of the reply."""
        return self.ask("transfer", {"target": target, "headers": list(headers)}, _number)

    def hold(self, on: bool = True) -> None:
        """Offer `sendonly`, or `sendrecv` again."""
        self.tell("hold", {"on": on})

    # -------------------------------------------------------------------------------------------------------------- requests
    def request(self, method: str, *, headers: Sequence[str] = (), content_type: str = "", body: bytes = b"") -> Action[int]:
        """Send a request in the dialog; the result is the code of its reply."""
        return self.ask(
            "request", {"method": method, "headers": list(headers), "content_type": content_type, "body": body}, _number
        )

    def reply(
        self,
        request: Request,
        code: int,
        reason: str = "",
        *,
        headers: Sequence[str] = (),
        content_type: str = "",
        body: bytes = b"",
    ) -> None:
        """Answer a request that came as an event."""
        values: Message = {
            "token": request.token,
            "code": code,
            "reason": reason,
            "headers": list(headers),
            "content_type": content_type,
            "body": body,
        }
        self.tell("reply", values)

    # ---------------------------------------------------------------------------------------------------------------- others
    def log(self, **attributes: object) -> None:
        """Set attributes of the call's record: the monitoring store, its events and its call record have them."""
        self.tell(
            "log",
            {name: value if isinstance(value, (str, int, float, bool)) else str(value) for name, value in attributes.items()},
        )

    def limit(self, seconds: float) -> None:
        """Let the call end after so many seconds from now; 0: no limit of ours."""
        self.tell("limit", {"ms": round(seconds * 1000)})

    def timer(self, seconds: float, name: str = "") -> CallTimer:
        """An event `timer` after so many seconds. May be awaited: True when it ran out, False when it was stopped; raises CallEnded."""
        return CallTimer(self, seconds, name)

    async def sleep(self, seconds: float) -> None:
        """Wait so long. Raises CallEnded when the call ends meanwhile."""
        await self._key_or_end(seconds)

    async def _key_or_end(self, seconds: float) -> None:
        await asyncio.wait((self.end_of_call,), timeout=seconds)
        if self.over is not None:
            raise self.over

    async def events(self) -> AsyncIterator[Event]:
        """What happens, from the beginning of the call on. Ends with the call. A key that `gather` has taken is not told again, and the reverse."""
        while (one := await self._events.get()) is not None:
            if isinstance(one, Event):
                yield one
            elif not one.taken:
                one.taken = True
                yield one.event

    async def ended(self) -> CallEnded:
        """Wait for the end; returns it."""
        return await asyncio.shield(self.end_of_call)


class Room:
    """A stay in a room."""

    def __init__(self, call: Call, name: str, joined: Action[None]) -> None:
        self.call, self.name, self._joined = call, name, joined

    async def left(self) -> None:
        """Wait until the call is kicked, moved or leaves. Raises CallEnded."""
        await self._joined


class Leg(Call):
    """The second leg of a call: a call itself, which may be played to, asked, recorded."""

    def __init__(self, call: Call, id: str, told: Mapping[str, object]) -> None:
        super().__init__(call.worker, id, told)
        self.call = call

    def hangup(self, headers: Sequence[str] = ()) -> None:
        """End it; the first one goes on."""
        del headers
        self.call.end_other()

    async def ended(self) -> CallEnded:
        """Wait until it has gone. Raises CallEnded when the first one ends before."""
        await self.call.ask("other_ended", {"leg": self.id})
        return self.over or CallEnded(200, "BYE", "remote")


class CallTimer:
    """A timer of a call: an event `timer` with its name, and whoever awaits it goes on."""

    def __init__(self, call: Call, seconds: float, name: str) -> None:
        self._call, self.name = call, name
        self._over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._handle = asyncio.get_running_loop().call_later(max(0.0, seconds), self._due)

    def _due(self) -> None:
        if not self._over.done():
            self._over.set_result(True)
            if self._call.over is None:
                self._call.happened(Event("timer", {"name": self.name}))

    def stop(self) -> None:
        """It will not run out; who awaits it gets False."""
        self._handle.cancel()
        if not self._over.done():
            self._over.set_result(False)

    def __await__(self) -> Generator[object, None, bool]:
        return self._wait().__await__()

    async def _wait(self) -> bool:
        await asyncio.wait((self._over, self._call.end_of_call), return_when=asyncio.FIRST_COMPLETED)
        if self._call.over is not None:
            raise self._call.over
        return self._over.result()


def _seen(done: asyncio.Future[object]) -> None:
    """An operation that nobody awaits may fail in silence: the server's log has its line."""
    if not done.cancelled():
        done.exception()


def _nothing(value: object) -> None:
    del value


def _recording(value: object) -> Recording:
    told = value if isinstance(value, dict) else {}
    return Recording(str(told.get("path", "")), _number(told.get("length_ms")), str(told.get("why", "")))


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _scalars(value: object) -> dict[str, str]:
    return (
        {str(name): str(text) for name, text in value.items() if isinstance(text, (str, int, float))}
        if isinstance(value, dict)
        else {}
    )


def _texts(value: object) -> dict[str, str]:
    return {str(name): str(text) for name, text in value.items()} if isinstance(value, dict) else {}


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    return tuple((str(one[0]), str(one[1])) for one in value) if isinstance(value, list) else ()
