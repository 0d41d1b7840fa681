# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program knows of a call, and how both speak over the link: what came with it, what has happened, what is waited for, its end.

took ─► done, failed ─► who awaits that operation        ask  ─► an operation with a number, an `Action`
     ├► event        ─► `events`; a key: `gather`, too    tell ─► one without
     └► ended        ─► everybody who waits
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from clients.app.results import CallEnded, CallFailed, Event, Request, request_of

if TYPE_CHECKING:
    from clients.app.home import Worker
    from clients.app.link import Message
    from clients.app.stream import Stream

T = TypeVar("T")
_MOST_EVENTS = 10_000


class _Key:
    """A key that was pressed; one part of a program takes it."""

    __slots__ = ("event", "taken")

    def __init__(self, event: Event) -> None:
        self.event, self.taken = event, False


class Action(Generic[T]):
    """Something that the server does. Await it for its result."""

    def __init__(self, call: KnownCall, number: int, done: asyncio.Future[object], read: Callable[[object], T]) -> None:
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


class KnownCall:
    """A call without its operations (`clients.app.call.Call`)."""

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
            self._settle(message, CallFailed(number(message.get("code")), str(message.get("reason", ""))))
        elif kind == "event":
            self._happened(message)
        elif kind == "ended":
            self.end(CallEnded(number(message.get("code")), str(message.get("reason", "")), str(message.get("by", ""))))

    def _settle(self, message: Message, failed: CallFailed | None) -> None:
        done = self._waiting.pop(number(message.get("op")), None)
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

    # ---------------------------------------------------------------------------------------------------------- what is told
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


def _seen(done: asyncio.Future[object]) -> None:
    """An operation that nobody awaits may fail in silence: the server's log has its line."""
    if not done.cancelled():
        done.exception()


def number(value: object) -> int:
    """A number of a message; 0 for anything else."""
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
