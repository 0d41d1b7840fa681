# SPDX-License-Identifier: GPL-2.0-or-later
"""Alive and ready: what /healthz and /readyz say.

Alive is a loop that answers. Ready is a server that would take a new call now: it is not draining, not at its limits, and its SIP and
media processes are up. A load balancer asks for the second; a service manager that restarts asks for the first only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from di.server.services import Services


def problems(services: Services) -> dict[str, str]:
    """Why a new call would not be taken now, by the part concerned; empty when it would be."""
    sessions, limits = services.sessions, services.sessions.limits
    problem_of = sessions.out_of_order()
    for source in services.problem_sources:
        problem_of.update(source())
    if limits.shutdown_mode:
        problem_of["shutdown"] = f"shutdown mode: new calls are refused, {limits.active} are left"
    elif limits.session_limit.count and limits.active >= limits.session_limit.count:
        problem_of["session_limit"] = f"{limits.active} calls of {limits.session_limit.count}"
    elif limits.soft_cps and limits.rate(services.clock.now_ns()) > limits.soft_cps:
        problem_of["cps_limit"] = f"more than {limits.soft_cps} calls per second"
    return problem_of


def healthz() -> tuple[int, str]:
    """Status and text of /healthz."""
    return 200, "ok\n"


def readyz(services: Services) -> tuple[int, str]:
    """Status and text of /readyz: 200 `ready`, or 503 with a line for each problem."""
    keeps_out = problems(services)
    if not keeps_out:
        return 200, "ready\n"
    return 503, "".join(f"{part}: {text}\n" for part, text in keeps_out.items())
