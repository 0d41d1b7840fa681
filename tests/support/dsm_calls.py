# SPDX-License-Identifier: GPL-2.0-or-later
"""Simulated calls whose scripts wait for real servers: like `dsm_scripts.Scene`, in an event loop."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from di.dsm.language.event import Event, Kind
from di.dsm.language.model import Diagram
from di.dsm.run.drivers import deliver
from di.dsm.run.engine import Machine, Run
from di.dsm.run.simulated import SimulatedSession
from tests.support.dsm_scripts import load


class Calls:
    """Several calls of one server: they share what modules share. Closes it at the end."""

    def __init__(self, settings: Mapping[str, dict[str, str]] | None = None) -> None:
        self.shared: dict[str, object] = {}
        self.settings = dict(settings or {})
        self.calls: list[Call] = []

    def call(self, script: str, /, **variables: str) -> Call:
        """A call that has not begun."""
        session = SimulatedSession(f"call-{len(self.calls) + 1}")
        session._shared = self.shared
        session.module_settings = self.settings
        call = Call(load(script), session, variables)
        self.calls.append(call)
        return call

    async def run(self, module: str, body: str, /, **variables: str) -> dict[str, str]:
        """Statements of a new call, its variables afterwards. What is thrown is in `thrown` and `cause`; the call ends."""
        call = self.call(
            f"import({module}); initial state A enter {{ {body} }}; state THROWN; "
            "transition x A - exception / { set($thrown=#type); set($cause=#cause); set($text=#text); } -> THROWN;", **variables,
        )  # fmt: skip
        await call.start()
        await call.end()
        return call.vars

    async def __aenter__(self) -> Calls:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for call in self.calls:
            await call.end()
        for shared in self.shared.values():
            closing: Any = getattr(shared, "close", None)
            waiting = closing() if callable(closing) else None
            if inspect.isawaitable(waiting):
                await waiting


class Call:
    """One machine on a simulated session."""

    def __init__(self, diagram: Diagram, session: SimulatedSession, variables: Mapping[str, str]) -> None:
        self.session, self.diagram = session, diagram
        self.machine = Machine({diagram.name: diagram}, session)
        self.machine.vars.update(variables)
        self._over = False

    async def start(self) -> None:
        """Enter the diagram."""
        await self._drive(self.machine.start(self.diagram.name, Kind.START))

    async def event(self, kind: Kind, **params: str) -> None:
        """Deliver one event and wait until the script is done with it."""
        await self._drive(self.machine.run(Event(kind, params)))

    @staticmethod
    async def _drive(steps: Any) -> None:
        waiting = deliver(steps)
        if waiting is not None:
            await waiting

    async def end(self) -> None:
        """The call is over: the modules' hooks run."""
        if not self._over:
            self._over = True
            for library in self.diagram.libraries:
                hook: Any = getattr(library, "hooks", {}).get("on_destroy")
                waiting = hook(Run(self.machine, Event(Kind.BEFORE_DESTROY))) if hook is not None else None
                if inspect.isawaitable(waiting):
                    await waiting

    @property
    def state(self) -> str:
        """Where it is."""
        return self.machine.state.name if self.machine.state else ""

    @property
    def vars(self) -> dict[str, str]:
        """`$name`."""
        return self.machine.vars
