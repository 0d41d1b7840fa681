# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is called by a simulated application, and the search for somebody who answers (`connect`)."""

from __future__ import annotations

import asyncio
import fnmatch
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from clients.app.testing.stage import Requests, Who, has_come, take_oldest
from clients.app.testing.waiting import Waiting

_NUMBERS = itertools.count(1)
_REASONS = {
    200: "OK", 180: "Ringing", 404: "Not Found", 408: "Request Timeout", 480: "Temporarily Unavailable", 486: "Busy Here",
    487: "Request Terminated", 503: "Service Unavailable", 603: "Decline",
}  # fmt: skip


def reason_of(code: int) -> str:
    """The usual words for a code (RFC 3261 §21)."""
    return _REASONS.get(code, "Reply")


class Ear(Protocol):
    """What a leg hears."""

    @property
    def heard(self) -> list[str]:
        """The names of the sounds so far."""


class LegSide(Protocol):
    """A leg as the application steers it."""

    waiting: Waiting

    @property
    def audio(self) -> Ear:
        """What it hears."""

    def peer_presses(self, key: str) -> None:
        """A key of the callee."""


class SimulatedCallee:
    """A `Callee`. `uri` is what `dials` was given; one call at a time."""

    def __init__(self, uri: str, rejected: int, rings: bool) -> None:
        self.uri, self.rejected, self.rings = uri, rejected, rings
        self.leg: Leg | None = None
        """The last call to it."""
        self.waiting = Waiting()
        self._seen = 0
        self._calls: list[Leg] = []

    def matches(self, uri: str) -> bool:
        """Whether a call to this URI is its."""
        return fnmatch.fnmatchcase(uri, self.uri)

    def take(self, leg: Leg) -> None:
        """A call comes."""
        self.leg = leg
        self._calls.append(leg)
        self.waiting.changed()
        if self.rejected:
            leg.final(self.rejected)
        else:
            leg.progress(180)
            if not self.rings:
                leg.final(200)

    async def called(self, within_s: float = 10) -> dict[str, str]:
        """See `Callee`."""
        await self.waiting.until(lambda: len(self._calls) > self._seen, within_s, lambda: f"{self.uri} was not called")
        self._seen += 1
        return self._calls[self._seen - 1].headers

    async def asked(self, method: str, within_s: float = 10) -> dict[str, str]:
        """See `Callee`."""
        asked = self._current().asked
        await self.waiting.until(lambda: has_come(asked, method), within_s, lambda: f"no {method} has come")
        return take_oldest(asked, method)

    def _current(self) -> Leg:
        assert self.leg is not None, f"nobody calls {self.uri}"
        return self.leg

    async def hears(self, sound: str, within_s: float = 10) -> None:
        """See `Callee`."""
        leg = self._current()
        assert leg.side is not None
        heard = leg.side.audio.heard

        def complaint() -> str:
            return f"{sound} was not heard by {self.uri}, but {', '.join(heard[leg.listened :]) or 'nothing'}"

        await leg.side.waiting.until(lambda: sound in heard[leg.listened :], within_s, complaint)
        leg.listened = heard.index(sound, leg.listened) + 1

    def press(self, keys: str) -> None:
        """See `Callee`."""
        side = self._current().side
        assert side is not None
        for key in keys:
            side.peer_presses(key)

    def answers(self) -> None:
        """See `Callee`."""
        self._current().final(200)

    def rejects(self, code: int = 486) -> None:
        """See `Callee`."""
        self._current().final(code)

    def hangs_up(self) -> None:
        """See `Callee`."""
        self._current().over("callee")

    async def ended(self, within_s: float = 10) -> Who:
        """See `Callee`."""
        leg = self._current()
        await self.waiting.until(lambda: leg.ended_by is not None, within_s, lambda: f"the call to {self.uri} goes on")
        assert leg.ended_by is not None
        return leg.ended_by


@dataclass(eq=False)
class Leg:
    """One call to a callee. What happens to it is told to `on_reply` and `on_over`, each from the loop, in order."""

    callee: SimulatedCallee
    headers: dict[str, str]
    on_reply: Callable[[Leg, int], None]
    on_over: Callable[[Leg], None]
    id: str = field(default_factory=lambda: f"leg-{next(_NUMBERS)}")
    code: int = 0
    """Of the final reply."""
    ended_by: Who | None = None
    side: LegSide | None = None
    listened: int = 0
    """How many of the sounds that were heard have been waited for."""
    on_end: Callable[[Who], None] = lambda by: None
    """Told of its end by either side, once it was answered or while it rang."""
    asked: Requests = field(default_factory=list)
    """Requests to the callee: method, headers with `body`."""

    def request(self, method: str, headers: dict[str, str], body: bytes) -> int:
        """A request comes; the code of its reply."""
        self.asked.append((method, {**headers, "body": body.decode("utf-8", "replace")}))
        self.callee.waiting.changed()
        return 200

    def progress(self, code: int) -> None:
        """A provisional reply."""
        asyncio.get_running_loop().call_soon(self._reply, code)

    def final(self, code: int) -> None:
        """A final reply."""
        asyncio.get_running_loop().call_soon(self._reply, code)

    def _reply(self, code: int) -> None:
        if self.code or self.ended_by:
            return
        if code >= 200:
            self.code = code
        if code >= 300:
            self.ended_by = "callee"
            self.callee.waiting.changed()
        self.on_reply(self, code)

    def over(self, by: Who) -> None:
        """It ends."""
        if self.ended_by is None:
            self.ended_by = by
            self.callee.waiting.changed()
            self.on_end(by)
            if by == "callee":
                asyncio.get_running_loop().call_soon(self.on_over, self)


class Search:
    """Calls targets, all at once or in turn, until one answers; tells provisional replies, and how it ended."""

    def __init__(
        self,
        place: Callable[[str, Callable[[Leg, int], None]], Leg],
        targets: Sequence[str],
        in_turn: bool,
        ring_s: float,
        progressed: Callable[[int], None],
        ended: Callable[[Leg | None, int], None],
    ) -> None:
        self._place, self._in_turn, self._ring_s = place, in_turn, ring_s
        self._progressed, self._ended = progressed, ended
        self._targets = list(targets)
        self._trying: list[Leg] = []
        self._failures: list[int] = []
        self._timers: list[asyncio.TimerHandle] = []
        self._next()

    def _next(self) -> None:
        count = 1 if self._in_turn else len(self._targets)
        batch, self._targets = self._targets[:count], self._targets[count:]
        for target in batch:
            leg = self._place(target, self._replied)
            self._trying.append(leg)
            if self._ring_s:
                self._timers.append(asyncio.get_running_loop().call_later(self._ring_s, self._rung_out, leg))

    def _rung_out(self, leg: Leg) -> None:
        if leg in self._trying:
            leg.over("app")
            self._failed(leg, 408)

    def _replied(self, leg: Leg, code: int) -> None:
        if leg not in self._trying:
            return
        if code < 200:
            self._progressed(code)
        elif code < 300:
            self._trying.remove(leg)
            self.stop()
            self._ended(leg, code)
        else:
            self._failed(leg, code)

    def _failed(self, leg: Leg, code: int) -> None:
        self._trying.remove(leg)
        self._failures.append(code)
        if self._trying:
            return
        if self._targets:
            self._next()
            return
        self.stop()
        sixes = [one for one in self._failures if one >= 600]
        self._ended(None, sixes[0] if sixes else min(self._failures, key=lambda one: one // 100))

    def stop(self) -> None:
        """Call nobody any more."""
        for timer in self._timers:
            timer.cancel()
        self._targets.clear()
        trying, self._trying = self._trying, []
        for leg in trying:
            leg.over("app")
