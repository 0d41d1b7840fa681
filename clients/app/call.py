# SPDX-License-Identifier: GPL-2.0-or-later
"""A call as a program sees it. Operations begin when they are called; what they return can be awaited, stopped, or left alone.

    await call.play("a.wav")            wait for its end
    music = call.play("m.wav", loop=True)   it plays
    music.stop()                        it ends

When the call ends, whatever waits for something of it raises `CallEnded`. Commands to a call that has ended do nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from clients.app.call_timer import CallTimer
from clients.app.known_call import Action, KnownCall, number
from clients.app.results import CallEnded, CallFailed, Digits, Recording
from clients.app.said import As, Say, Sayable
from clients.app.stream import Stream

if TYPE_CHECKING:
    from clients.app.home import Worker
    from clients.app.link import Message

T = TypeVar("T")
Prompt: TypeAlias = "str | Say"


class Call(KnownCall):
    """One call. `headers`: of the INVITE; `app_params`: of its P-App-Param where the caller is trusted; `state` is the program's own."""

    def __init__(self, worker: Worker, id: str, told: Mapping[str, object]) -> None:
        super().__init__(worker, id, told)
        self._legs: dict[str, Leg] = {}
        self._left: Leg | None = None
        """The last leg that was up and has gone."""

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
        the leg is queued from here on. Whoever rings is let go when the waiting is given up (`asyncio.wait_for`, a task's `cancel`).
        """
        values: Message = {
            "targets": list(targets), "ring_ms": round(timeout_s * 1000), "headers": list(headers), "from": caller, "in_turn": in_turn,
            "relay_early": relay_early, "next_hop": next_hop, "user": user, "password": password, "apart": apart,
        }  # fmt: skip
        self._left = None
        try:
            id = str(await self.ask("connect", values))
        except asyncio.CancelledError:
            self.end_other()  # nobody waits any more for who picks up
            raise
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
            if confirm is None:
                return leg
            taken = False
            try:
                taken = await self._confirmed(leg, confirm)
            finally:  # whatever `confirm` raises, who was asked does not stay behind, heard by nobody
                if not taken:
                    leg.hangup()
            if taken:
                return leg
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
        return self.ask("transfer", {"target": target, "headers": list(headers)}, number)

    def hold(self, on: bool = True) -> None:
        """Offer `sendonly`, or `sendrecv` again."""
        self.tell("hold", {"on": on})

    # -------------------------------------------------------------------------------------------------------------- requests
    def request(self, method: str, *, headers: Sequence[str] = (), content_type: str = "", body: bytes = b"") -> Action[int]:
        """Send a request in the dialog; the result is the code of its reply."""
        return self.ask(
            "request", {"method": method, "headers": list(headers), "content_type": content_type, "body": body}, number
        )

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
        await asyncio.wait((self.end_of_call,), timeout=seconds)
        if self.over is not None:
            raise self.over


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


def _nothing(value: object) -> None:
    del value


def _recording(value: object) -> Recording:
    told = value if isinstance(value, dict) else {}
    return Recording(str(told.get("path", "")), number(told.get("length_ms")), str(told.get("why", "")))
