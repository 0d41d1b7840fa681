# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage without a server: the application runs in the worker's own code, what a server would say to it is said from here.

test ── `SimulatedCaller` ── `SimulatedCall` ── link in memory ── `Serving` ── the application        one loop, with a clock that jumps
"""

from __future__ import annotations

import asyncio
import itertools
import wave
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgpack

from clients.app.arrows import Arrows
from clients.app.link import packed
from clients.app.testing import virtual_time
from clients.app.testing.simulated_call import CannotDo, SimulatedCall, Values
from clients.app.testing.simulated_legs import Leg, SimulatedCallee
from clients.app.testing.stage import Application, Caller, Who, app_of, has_come, name_of, take_oldest
from clients.app.testing.waiting import Waiting
from clients.app.worker import Serving

if TYPE_CHECKING:
    from clients.app.link import Message
    from clients.app.testing.stage import Callee


class AppBroken(AssertionError):
    """An application cannot be run: what its file or its `setup` raised."""


class MemoryLink:
    """The worker's end of a connection. What passes is packed and unpacked, so that what a real one could not carry fails here too."""

    def __init__(self, take: Callable[[Message], None]) -> None:
        self._take = take
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue()

    async def receive(self) -> Message | None:
        """As `Link.receive`."""
        return await self._queue.get()

    def send(self, message: Message) -> None:
        """As `Link.send`."""
        self._take(_through_the_wire(message))

    def deliver(self, message: Message) -> None:
        """The server says something."""
        self._queue.put_nowait(_through_the_wire(message))

    def close(self) -> None:
        """The server closes it."""
        self._queue.put_nowait(None)


def _through_the_wire(message: Message) -> Message:
    unpacked: Message = msgpack.unpackb(packed(message), raw=False, unicode_errors="surrogateescape")
    return unpacked


class SimulatedCaller:
    """A `Caller`."""

    def __init__(self, call: SimulatedCall, arrows: Arrows) -> None:
        self.call = call
        self.pressed = ""
        self._arrows = arrows
        self._heard = 0

    @property
    def id(self) -> str:
        """See `Caller`."""
        return self.call.id

    async def _until(self, condition: Callable[[], object], within_s: float, complaint: str | Callable[[], str]) -> None:
        def told() -> str:
            first = complaint if isinstance(complaint, str) else complaint()
            return "\n".join([first, *self._arrows.of(self.id), ""])

        await self.call.waiting.until(condition, within_s, told)

    async def answered(self, within_s: float = 10) -> int:
        """See `Caller`."""
        await self._until(lambda: self.call.up or self.call.ended_by is not None, within_s, "the call was not answered")
        return self.call.code

    async def hears(self, sound: str, within_s: float = 10) -> None:
        """See `Caller`."""
        heard = self.call.audio.heard

        def complaint() -> str:
            return f"{sound} was not heard, but {', '.join(heard[self._heard :]) or 'nothing'}"

        await self._until(lambda: sound in heard[self._heard :] or self.call.ended_by is not None, within_s, complaint)
        if sound not in heard[self._heard :]:
            raise AssertionError("\n".join([f"{complaint()}, and the call has ended", *self._arrows.of(self.id)]))
        self._heard = heard.index(sound, self._heard) + 1

    def press(self, keys: str) -> None:
        """See `Caller`."""
        for key in keys:
            assert key in "0123456789*#ABCD", f"there is no key {key!r}"
            self.pressed += key
            self.call.peer_presses(key)

    def hangs_up(self) -> None:
        """See `Caller`."""
        self.call.peer_hangs_up()

    async def ended(self, within_s: float = 10) -> Who:
        """See `Caller`."""
        await self._until(lambda: self.call.ended_by is not None, within_s, "the call goes on")
        assert self.call.ended_by is not None
        return self.call.ended_by

    async def logged(self, name: str, within_s: float = 10) -> str:
        """See `Caller`."""
        await self._until(lambda: self.call.logged.get(name), within_s, f"{name} was not logged")
        return self.call.logged[name]

    async def talks_with(self, other: Caller | Callee, within_s: float = 10) -> None:
        """See `Caller`."""

        def both() -> bool:
            if isinstance(other, SimulatedCaller):
                there = [one.call.room if one.call.audio.elsewhere else "" for one in (self, other)]
                return there[0] != "" and there[0] == there[1]
            return self.call.hears_other and isinstance(other, SimulatedCallee) and other.leg is self.call.leg

        await self._until(both, within_s, "the other one is not heard")

    async def gets_keys(self, keys: str, within_s: float = 10) -> None:
        """See `Caller`."""
        await self._until(lambda: self.call.sent_keys == keys, within_s, f"the keys {keys} have not come")

    async def held(self, on: bool = True, within_s: float = 10) -> None:
        """See `Caller`."""
        await self._until(lambda: self.call.held is on, within_s, f"the call is {'not ' if on else ''}held")

    async def sends(self, method: str, body: str = "", headers: Sequence[str] = ()) -> int:
        """See `Caller`."""
        return await self.call.peer_sends(method, [_pair(line) for line in headers], body.encode())

    def replies(self, method: str, code: int) -> None:
        """See `Caller`."""
        self.call.answers[method] = code

    async def asked(self, method: str, within_s: float = 10) -> dict[str, str]:
        """See `Caller`."""
        asked = self.call.asked
        await self._until(lambda: has_come(asked, method), within_s, f"no {method} has come")
        return take_oldest(asked, method)


class _Company:
    """An application at work."""

    def __init__(self, app: Application, config: Mapping[str, str], take: Callable[[_Company, Message], None]) -> None:
        self.name = name_of(app)
        self.link = MemoryLink(lambda message: take(self, message))
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.config = config
        self.functions: dict[int, asyncio.Future[object]] = {}
        self._task = asyncio.ensure_future(Serving(self.link, app_of(app)).run())

    async def begin(self) -> None:
        """Raises AppBroken."""
        self.link.deliver({"k": "hello", "version": 1, "app": self.name, "config": dict(self.config)})
        await self.ready

    async def end(self) -> None:
        """The connection ends."""
        self.link.close()
        await self._task


class Simulator:
    """A `Stage`. Its clock is virtual when it runs the test (`run`)."""

    real = False

    def __init__(self) -> None:
        self.arrows = Arrows()
        self.calls: dict[str, SimulatedCall] = {}
        self._legs: dict[str, SimulatedCall] = {}
        self._sounds: dict[str, float] = {}
        self._callees: list[SimulatedCallee] = []
        self._functions: dict[str, object] = {}
        self._asked: dict[str, list[list[object]]] = {}
        self._apps: dict[int, _Company] = {}
        self._keep: list[Application] = []
        self._numbers = itertools.count(1)
        self._problems: list[str] = []
        self._faults: list[str] = []
        self._news = Waiting()

    # -------------------------------------------------------------------------------------------------------------- the test
    def run(self, work: Coroutine[object, object, None]) -> None:
        """See `Stage`."""
        virtual_time.run(self._whole(work))

    async def _whole(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        finally:
            await self._end()
        assert not self._faults, "an application failed in a call (ask `sim.faults()` where that is right):\n" + "\n".join(
            self._faults
        )
        assert not self._problems, "\n".join(self._problems)

    async def _end(self) -> None:
        for call in self.calls.values():
            if call.ended_by is None:
                call.peer_hangs_up()
        for company in self._apps.values():
            await company.end()

    def faults(self) -> list[str]:
        """See `Stage`."""
        faults, self._faults = self._faults, []
        return faults

    def sound(self, name: str, seconds: float = 1.0) -> None:
        """See `Stage`."""
        self._sounds[name] = seconds

    def sounds(self, folder: Path) -> None:
        """See `Stage`."""
        for path in folder.glob("*.wav"):
            with wave.open(str(path)) as file:
                self._sounds[path.name] = file.getnframes() / file.getframerate()

    def dials(self, uri: str, *, rejected: int = 0, rings: bool = False) -> SimulatedCallee:
        """See `Stage`."""
        callee = SimulatedCallee(uri, rejected, rings)
        self._callees.insert(0, callee)
        return callee

    def di(self, function: str, answer: object) -> None:
        """See `Stage`."""
        assert "." in function, f"{function!r} is not module.function"
        self._functions[function] = answer

    def asked(self, function: str) -> list[list[object]]:
        """See `Stage`."""
        return self._asked.get(function, [])

    async def call(
        self,
        app: Application,
        to: str = "sip:app@here.example",
        *,
        caller: str = "sip:caller@there.example",
        headers: Sequence[str] = (),
        config: Mapping[str, str] | None = None,
    ) -> SimulatedCaller:
        """See `Stage`."""
        company = await self._company(app, config or {})
        id = f"call-{next(self._numbers)}"
        call = self.calls[id] = SimulatedCall(id, self, lambda message: self._tell(company, message), company.name)
        pairs = [_pair(line) for line in headers]
        params = next((value for name, value in pairs if name.lower() == "p-app-param"), "")
        user = to.partition(":")[2].partition("@")[0] if "@" in to else ""
        self._tell(
            company,
            {
                "k": "call", "call": id, "direction": "in", "ruri": to, "from": f"<{caller}>;tag={id}", "to": f"<{to}>", "call_id": f"{id}@sim",
                "user": user, "headers": pairs, "params": None,
                "app_params": dict(part.strip().split("=", 1) for part in params.split(";") if "=" in part),
            },
        )  # fmt: skip
        return SimulatedCaller(call, self.arrows)

    async def _company(self, app: Application, config: Mapping[str, str]) -> _Company:
        company = self._apps.get(id(app))
        if company is None:
            company = self._apps[id(app)] = _Company(app, config, self._take)
            self._keep.append(app)
            await company.begin()
        return company

    async def invoke(self, app: Application, function: str, *arguments: object) -> object:
        """See `Stage`."""
        company = self._apps[id(app)]
        number = next(self._numbers)
        done = company.functions[number] = asyncio.get_running_loop().create_future()
        company.link.deliver({"k": "di_call", "n": number, "function": function, "args": list(arguments)})
        return await done

    async def post(self, caller: Caller, params: Mapping[str, str]) -> None:
        """See `Stage`."""
        self.calls[caller.id].event("posted", params=dict(params), kind="dsm")

    async def kick(self, caller: Caller) -> None:
        """See `Stage`."""
        self.calls[caller.id].kick()

    async def room(self, name: str) -> list[str]:
        """See `Stage`."""
        return [call.id for call in self.calls.values() if call.room == name]

    async def wait(self, seconds: float) -> None:
        """See `Stage`."""
        await asyncio.sleep(seconds)

    # ------------------------------------------------------------------------------------------------------------ the server
    def _tell(self, company: _Company, message: Message) -> None:
        self.arrows.told(message, asyncio.get_running_loop().time())
        company.link.deliver(message)

    def _take(self, company: _Company, message: Message) -> None:
        self.arrows.said(message, asyncio.get_running_loop().time())
        kind = message["k"]
        if kind == "op":
            self._operation(message)
        elif kind == "ready":
            company.ready.set_result(None)
        elif kind == "broken":
            company.ready.set_exception(AppBroken(f"application {company.name}: {message.get('why')}"))
        elif kind == "di":
            self._di(company, message)
        elif kind == "di_result":
            self._function_done(company, message)

    def _operation(self, message: Message) -> None:
        id = str(message.get("call"))
        call = self.calls.get(id) or self._legs.get(id)
        op, values = message.get("op"), message.get("with")
        if call is None or not isinstance(op, int):
            return
        if message.get("do") == "fault" and isinstance(values, dict):
            self._faults.append(f"call {call.id}: {values.get('why')}")
        call.perform(op, str(message.get("do")), values if isinstance(values, dict) else {})

    def _di(self, company: _Company, message: Message) -> None:
        name, arguments = f"{message.get('module')}.{message.get('function')}", message.get("args")
        answer: Message = {"k": "di_done", "n": message.get("n")}
        given = list(arguments) if isinstance(arguments, list) else []
        try:
            if name in self._functions:
                self._asked.setdefault(name, []).append(given)
                known = self._functions[name]
                answer["result"] = known(*given) if callable(known) else known
            else:
                answer["result"] = self.of_every_server(name, given)
        except Exception as error:  # noqa: BLE001 - the application hears of it
            answer["error"] = f"{type(error).__name__}: {error}"
        company.link.deliver(answer)

    def of_every_server(self, name: str, given: Sequence[object]) -> object:
        """A function that nobody has named: of those about calls there are some, which every server has."""
        function = _BUILT_IN.get(name)
        if function is None:
            self._problems.append(f"{name} was called, and there is no `sim.di({name!r}, …)`")
            raise NotImplementedError(name)
        return function(self, given)

    def _function_done(self, company: _Company, message: Message) -> None:
        number = message.get("n")
        done = company.functions.pop(number, None) if isinstance(number, int) else None
        if done is None:
            return
        if "error" in message:
            done.set_exception(RuntimeError(str(message["error"])))
        else:
            done.set_result(message.get("result"))

    # ---------------------------------------------------------------------------------------------------- what calls need
    def length_s(self, path: str) -> float:
        """How long a sound is. Raises CannotDo."""
        for name, seconds in self._sounds.items():
            if path == name or path.endswith(f"/{name}"):
                return seconds
        raise CannotDo(f"there is no {path!r} in {', '.join(self._sounds) or 'the sounds: sim.sound(…) makes one'}")

    def callee_of(self, target: str, who: str) -> SimulatedCallee:
        """Who is called there; where nobody was named somebody who is not found, and a test that fails."""
        callee = next((one for one in self._callees if one.matches(target)), None)
        if callee is None:
            self._problems.append(f"{who} dials {target}, and there is no `sim.dials({target!r}, …)`")
            callee = SimulatedCallee(target, 404, False)
        return callee

    def place(
        self,
        target: str,
        values: Values,
        call: SimulatedCall,
        on_reply: Callable[[Leg, int], None],
        on_over: Callable[[Leg], None],
    ) -> Leg:
        """Call a target."""
        lines = values.get("headers")
        headers = {name.lower(): value for name, value in map(_pair, map(str, lines if isinstance(lines, list) else []))}
        headers["request-uri"] = target
        callee = self.callee_of(target, f"call {call.id}")

        def replied(leg: Leg, code: int) -> None:
            side.leg_replied(code)
            on_reply(leg, code)

        leg = Leg(callee, headers, replied, on_over)
        leg.side = side = self._legs[leg.id] = SimulatedCall(leg.id, self, call.tell_program, call.app)
        leg.on_end = side.leg_over
        call.tell_program(
            {
                "k": "call", "call": leg.id, "leg_of": call.id, "direction": "out", "ruri": target, "from": str(values.get("from", "")),
                "to": f"<{target}>", "call_id": f"{leg.id}@sim", "user": "", "headers": [], "params": None, "app_params": {},
            }
        )  # fmt: skip
        callee.take(leg)
        return leg


def _monitoring_log(sim: Simulator, given: Sequence[object]) -> object:
    """id, name, value, name, value …"""
    call = sim.calls.get(str(given[0])) if given else None
    if call is not None:
        call.logged |= {str(name): str(value) for name, value in zip(given[1::2], given[2::2], strict=False)}
        call.waiting.changed()
    return [0, "OK"]


def _post_event(sim: Simulator, given: Sequence[object]) -> object:
    """id, params."""
    id, params = (*given, None, None)[:2]
    call = sim.calls.get(str(id))
    if call is None or call.ended_by is not None or not isinstance(params, dict):
        return [404, "call does not exist"]
    call.event("posted", params=params, kind="dsm")
    return [200, "OK"]


_BUILT_IN: Mapping[str, Callable[[Simulator, Sequence[object]], object]] = {
    "monitoring.log": _monitoring_log, "monitoring.set": _monitoring_log, "core.post_event": _post_event,
}  # fmt: skip
"""Functions of every server about calls, which nobody has to name."""


def _pair(line: str) -> list[str]:
    name, _, value = line.partition(":")
    return [name.strip(), value.strip()]
