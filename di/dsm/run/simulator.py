# SPDX-License-Identifier: GPL-2.0-or-later
"""`cordboard dsm run`: a diagram on the terminal, without a server. Its scripts are tests of a diagram.

invite · key 1 · event action=take roomname=x · timer 1 · hangup · any other event name · set name=value · select user=bob
vars · state · time SECONDS · expect state NAME · expect $name=VALUE · expect did TEXT · # comment · quit
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from di.dsm.language.errors import RunawayScript
from di.dsm.language.event import Event, Kind
from di.dsm.language.model import Call, Diagram, Steps, Transition
from di.dsm.run.drivers import deliver
from di.dsm.run.engine import Machine
from di.dsm.run.simulated import SimulatedSession

HELP = __doc__.split("\n\n", 1)[1] if __doc__ else ""


class ExpectationFailed(Exception):
    """An `expect` line of a script does not hold."""


class Simulator:
    """Commands in, lines out. `write` takes every line."""

    def __init__(self, diagrams: Mapping[str, Diagram], start: str, write: Callable[[str], None]) -> None:
        self.session = SimulatedSession()
        self.machine = Machine(diagrams, self.session, self)
        self.machine.trace = True
        self.start_name = start
        self.write = write
        self.ended = False
        self.did: list[str] = []
        self._shown: dict[str, str] = {}

    # ------------------------------------------------------------------------------------------------------------- Watcher
    def position_changed(self, diagram: str, state: str) -> None:
        """The machine moved."""
        self.write(f"  state {diagram}/{state}")

    def transition_taken(self, transition: Transition) -> None:
        """A transition is about to run."""
        self.write(f"  transition {transition.name!r} ({transition.position})")

    def action_called(self, call: Call) -> None:
        """An action is about to run."""
        self.write(f"    {call.text}")

    # ------------------------------------------------------------------------------------------------------------ commands
    async def begin(self) -> None:
        """Run the start."""
        await self._deliver(lambda: self.machine.start(self.start_name, Kind.START))

    async def command(self, line: str) -> None:
        """Do one line. Raises ExpectationFailed, or ValueError for a line that is no command."""
        words = shlex.split(line, comments=True)
        if not words:
            return
        name, rest = words[0], words[1:]
        if name == "quit":
            self.ended = True
        elif name == "help":
            self.write(HELP)
        elif name == "vars":
            for key, value in sorted(self.machine.vars.items()):
                self.write(f"  ${key} = {value!r}")
        elif name == "state":
            self.write(f"  {self.position}")
        elif name in ("set", "select"):
            table = self.machine.vars if name == "set" else self.session.selects
            table.update(_pairs(rest))
            self._shown = dict(self.machine.vars)
        elif name == "time":
            if len(rest) != 1 or not (rest[0].isascii() and rest[0].isdecimal()):
                raise ValueError("time SECONDS, a whole number")
            await self._advance(int(rest[0]))
        elif name == "expect":
            self._expect(rest)
        else:
            await self._event(name, rest)

    @property
    def position(self) -> str:
        """diagram/state."""
        diagram, state = self.machine.diagram, self.machine.state
        return f"{diagram.name}/{state.name}" if diagram and state else "(nowhere)"

    async def _event(self, name: str, rest: list[str]) -> None:
        try:
            kind = Kind(name)
        except ValueError:
            known = " ".join(sorted(kind.value for kind in Kind))
            raise ValueError(f"no command and no event: {name}; events: {known}") from None
        params = _pairs([word for word in rest if "=" in word])
        first = next((word for word in rest if "=" not in word), None)
        if first is not None:
            params.setdefault("key" if kind is Kind.KEY else "type" if kind is Kind.NO_AUDIO else "id", first)
        if kind is Kind.KEY and params.get("key") in ("*", "#"):
            params["key"] = "10" if params["key"] == "*" else "11"
        await self._deliver(lambda: self.machine.run(Event(kind, params)))

    async def _advance(self, seconds: int) -> None:
        """Let timers run out, in order."""
        while due := [(left, id) for id, left in self.session.timers.items() if left <= seconds]:
            left, id = min(due)
            del self.session.timers[id]
            seconds -= left
            for other in self.session.timers:
                self.session.timers[other] -= left
            await self._deliver(lambda id=id: self.machine.run(Event(Kind.TIMER, {"id": str(id)})))  # type: ignore[misc]
        for other in self.session.timers:
            self.session.timers[other] -= seconds

    async def _deliver(self, make: Callable[[], Steps]) -> None:
        """Run an event and those that it queued."""
        try:
            waiting = deliver(make())
            if waiting is not None:
                await waiting
        except RunawayScript as error:
            self.write(f"  the call would be ended: {error}")
        self._show()
        while self.session.queue:
            event = self.session.queue.pop(0)
            self.write(f"  queued event {event.kind.value} {event.params or ''}")
            waiting = deliver(self.machine.run(event))
            if waiting is not None:
                await waiting
            self._show()

    def _show(self) -> None:
        done = self.session.take()
        self.did = done if done else self.did
        for line in done:
            self.write(f"  → {line}")
        self._show_changes()

    def _show_changes(self) -> None:
        """Variables that the event has changed."""
        now = self.machine.vars
        for name in sorted(self._shown.keys() | now.keys()):
            if name not in now:
                self.write(f"  ${name} is gone")
            elif self._shown.get(name) != now[name]:
                self.write(f"  ${name} = {now[name]!r}")
        self._shown = dict(now)

    def _expect(self, words: list[str]) -> None:
        what = words[0] if words else ""
        if what == "state" and len(words) == 2:
            state = self.machine.state.name if self.machine.state else ""
            if words[1] not in (state, self.position):
                raise ExpectationFailed(f"expected state {words[1]}, the call is in {self.position}")
        elif what == "did" and len(words) >= 2:
            wanted = " ".join(words[1:])
            if not any(wanted in line for line in self.did):
                raise ExpectationFailed(f"expected {wanted!r}; done last: {'; '.join(self.did) or 'nothing'}")
        elif what.startswith("$") and "=" in what:
            name, _, value = what[1:].partition("=")
            if self.machine.vars.get(name, "") != value:
                raise ExpectationFailed(f"expected ${name} to be {value!r}, it is {self.machine.vars.get(name, '')!r}")
        else:
            raise ValueError("expect state NAME, expect $name=VALUE or expect did TEXT")


def _pairs(words: list[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ValueError(f"{word!r} must be name=value")
        pairs[name] = value
    return pairs
