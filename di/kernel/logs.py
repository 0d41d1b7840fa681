# SPDX-License-Identifier: GPL-2.0-or-later
"""The hub's log: SEMS's four levels, and the layout that all processes share (`media.control.log_lines`)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from media.control import log_lines
from media.control.log_lines import Layout, current_call

__all__ = ["LEVELS", "Layout", "child_arguments", "child_level", "current_call", "level", "set_level", "set_up"]


LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)


@dataclass
class _Style:
    name: str = "text"


_style = _Style()


def set_up(level: int, style: str = "text") -> logging.Handler:
    """Log to stderr with a level of 0–3, as `text` or `json`; returns the handler. Once, before plug-ins listen to the log, too."""
    _style.name = style
    handler = log_lines.set_up("hub", logging.WARNING, style)
    set_level(level)
    return handler


def set_level(level: int) -> None:
    """Change the level, 0–3; beyond means the nearest."""
    logging.getLogger().setLevel(LEVELS[min(max(level, 0), 3)])


def level() -> int:
    """The present level, 0–3."""
    threshold = logging.getLogger().level
    return next((index for index, known in enumerate(LEVELS) if known <= threshold), 3)


def child_level() -> str:
    """What a child process is to log. Not more than `info`: the stack's debug lines are for whoever develops it."""
    return logging.getLevelName(max(logging.getLogger().level, logging.INFO))


def child_arguments() -> list[str]:
    """How a child process is to log that is started now."""
    return ["--log-format", _style.name, "--log-level", child_level()]
