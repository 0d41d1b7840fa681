# SPDX-License-Identifier: GPL-2.0-or-later
"""Services without processes and sockets, on a clock that is moved by hand: enough for modules that only register functions."""

from __future__ import annotations

import heapq
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

from di.access import Access
from di.calls.applications import Applications
from di.calls.selection import Selection
from di.calls.sessions import Sessions
from di.kernel.event_log import EventLog
from di.kernel.event_queues import EventQueues
from di.kernel.registry import INTERNAL, Caller, Registry
from di.kernel.server_options import CoreOptions
from di.kernel.value import Value
from di.server.core_interface import CoreInterface
from di.server.rooms_interface import RoomsInterface
from di.server.services import Services
from di.server.status import ProcessState, StatusInterface

EPOCH_S = 1_700_000_000


class _Timer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class HandClock:
    """`di.kernel.ports.Clock`; `advance` runs what falls due."""

    def __init__(self) -> None:
        self.random = Random(1)
        self._now_ns = 0
        self._timers: list[tuple[int, int, _Timer]] = []
        self._order = itertools.count()

    def now_ns(self) -> int:
        return self._now_ns

    def epoch_s(self) -> float:
        return EPOCH_S + self._now_ns / 1e9

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.call_later(0, callback)

    def call_later(self, delay_ns: int, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(callback)
        heapq.heappush(self._timers, (self._now_ns + delay_ns, next(self._order), timer))
        return timer

    @property
    def waited_for(self) -> bool:
        """Whether somebody waits for time to pass."""
        return any(timer.callback is not None for _, _, timer in self._timers)

    def advance(self, seconds: float) -> None:
        until_ns = self._now_ns + int(seconds * 1e9)
        while self._timers and self._timers[0][0] <= until_ns:
            self._now_ns, _, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                timer.callback()
        self._now_ns = until_ns


def bare_services(access: Access | None = None, core: CoreOptions | None = None) -> tuple[Services, HandClock]:
    """Services with an empty registry but for what the hub itself registers, and their clock."""
    clock, registry = HandClock(), Registry()
    services = Services(  # type: ignore[call-arg]
        registry=registry,
        clock=clock,
        applications=Applications(),
        queues=EventQueues(),
        events=EventLog(epoch_s=clock.epoch_s, stream="test"),
        access=access or Access(),
        core=core or CoreOptions(),
        conf_dir=Path("."),
    )
    services.sessions = Sessions(services, Selection(""), 1)
    registry.register("core", CoreInterface(services.sessions))
    registry.register("rooms", RoomsInterface(services.sessions))
    registry.register("status", StatusInterface(services, lambda: [ProcessState("hub", os.getpid(), 1.0)]))
    return services, clock


def invoke(services: Services, module: str, method: str, *args: Value, caller: Caller = INTERNAL) -> Value:
    """Call a DI function with positional arguments."""
    return services.registry.invoke(module, method, list(args), caller)
