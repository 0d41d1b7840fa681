# SPDX-License-Identifier: GPL-2.0-or-later
"""Options that every application with rooms has: one wording, one reading; only the defaults are each application's own."""

from __future__ import annotations

from typing import Any

from di.kernel.options import option


def playout(text: str) -> str:
    """The playout buffer. SEMS takes anything else for adaptive (spec applications.md, head). Raises ValueError."""
    if text not in ("adaptive", "adaptive_jb", "simple", ""):
        raise ValueError("right is adaptive, adaptive_jb or simple")
    return text if text in ("simple", "adaptive_jb") else "adaptive"


def playout_type() -> Any:
    """`playout_type`."""
    return option("adaptive", help="Playout buffer: adaptive, adaptive_jb or simple.", parse=playout)


def join_sound(default: str) -> Any:
    """`join_sound`."""
    return option(default, help="Played to all when somebody comes; empty: nothing.")


def drop_sound(default: str) -> Any:
    """`drop_sound`."""
    return option(default, help="Played to all when somebody leaves; empty: nothing.")
