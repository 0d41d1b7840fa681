# SPDX-License-Identifier: GPL-2.0-or-later
"""The DI interface `status`: which processes run, how the media processes fare, whether a new call would be taken. Looking changes nothing.

Counters of calls are in `core.statistics`; /metrics has what a collector wants. Not in SEMS.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from di.kernel.registry import di_method
from di.kernel.value import LongLong, Value
from di.server import health

if TYPE_CHECKING:
    from di.server.services import Services

_CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process of the server. `pid` 0: it is down now. `uptime_s`: since it came into service; `restarts`: how often it came again."""

    role: str
    pid: int
    uptime_s: float
    restarts: int = 0


class StatusInterface:
    """How the server fares. `processes` gives all of them, the hub first."""

    def __init__(self, services: Services, processes: Callable[[], Iterable[ProcessState]]) -> None:
        self._services, self._processes = services, processes

    @di_method("overview", changes=False)
    def overview(self) -> dict[str, Value]:
        """Return name, wall-clock time, plug-ins, and by part what keeps new calls out (nothing: they are taken)."""
        services = self._services
        return {
            "signature": services.core.signature or "cordboard",
            "now": services.clock.epoch_s(),
            "plugins": [*services.loaded],
            "problems": dict(health.problems(services)),
            "login": services.access.restricted,
        }

    @di_method("processes", changes=False)
    def processes(self) -> list[Value]:
        """Return the processes: role, pid (0: down), uptime_s, restarts, cpu_s (so far), memory_bytes (resident)."""
        rows: list[Value] = []
        for process in self._processes():
            cpu_s, memory_bytes = usage(process.pid)
            rows.append(
                {
                    "role": process.role, "pid": process.pid, "uptime_s": round(process.uptime_s, 1), "restarts": process.restarts,
                    "cpu_s": cpu_s, "memory_bytes": LongLong(memory_bytes),
                }
            )  # fmt: skip
        return rows

    @di_method("media", changes=False)
    def media(self) -> list[Value]:
        """Return what each media process last reported: number, legs, cpu (share of one), packets, lateness of its tick in us, …"""
        return [
            {"number": number, **{name: _number(value) for name, value in figures.items()}}
            for number, figures in self._services.media_figures().items()
        ]


def _number(value: float) -> Value:
    return LongLong(int(value)) if float(value).is_integer() else float(value)


def usage(pid: int, proc: Path = Path("/proc")) -> tuple[float, int]:
    """CPU seconds and resident bytes of a process, from Linux's /proc; zeros for one that is gone."""
    try:
        stat = (proc / str(pid) / "stat").read_text(errors="replace")
        pages = int((proc / str(pid) / "statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0, 0
    fields = stat.rpartition(")")[2].split()  # proc(5): utime and stime are fields 14 and 15, the name in brackets is the second
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS_PER_S, pages * _PAGE_BYTES
