# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages whose content other parts make: metrics and health. Health is open to everybody, metrics to who may read the counters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from di.server import health, metrics

if TYPE_CHECKING:
    from di.server.services import Services

_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Page:
    """Something to be shown at a path: `content` gives status, content type and body; `permission` is the function that shows as much,
    as (module, function), or None for a page that needs no login.
    """

    content: Callable[[], tuple[int, str, bytes]]
    permission: tuple[str, str] | None = None


def pages(services: Services) -> dict[str, Page]:
    """Path → page."""
    numbers = metrics.Metrics(services)

    def healthz() -> tuple[int, str, bytes]:
        status, text = health.healthz()
        return status, _TEXT, text.encode()

    def readyz() -> tuple[int, str, bytes]:
        status, text = health.readyz(services)
        return status, _TEXT, text.encode()

    return {
        "/healthz": Page(healthz),
        "/readyz": Page(readyz),
        "/metrics": Page(lambda: (200, metrics.CONTENT_TYPE, numbers.render()), ("core", "statistics")),
    }
