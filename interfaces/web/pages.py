# SPDX-License-Identifier: GPL-2.0-or-later
"""What the web port shows of other modules: metrics, health, standing queries.

Modules are asked for by what they offer, not by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from di.services import Services
    from interfaces.web.feed import MakeWatch
    from interfaces.web.server import Page


def watches(services: Services) -> MakeWatch | None:
    """The factory of standing queries over the monitoring store, or None when that module is not loaded."""
    make: MakeWatch | None = getattr(services.monitoring, "watch", None)
    return make


def pages(services: Services) -> dict[str, Page]:
    """Path → content."""

    def healthz() -> tuple[int, str, bytes]:
        return 200, "text/plain; charset=utf-8", b"ok\n"

    return {"/healthz": healthz}
