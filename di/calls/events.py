# SPDX-License-Identifier: GPL-2.0-or-later
"""What can stand in a session's queue besides the records of SIP and media process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum

from di.kernel.value import Value


class DialogState(IntEnum):
    """State of a call's dialog (spec core.md §7.3)."""

    DISCONNECTED = 0
    TRYING = 1
    PROCEEDING = 2
    CANCELLING = 3
    EARLY = 4
    CONNECTED = 5
    DISCONNECTING = 6


@dataclass(frozen=True, slots=True)
class TimerExpired:
    """A timer set by `Session.set_timer` ran out."""

    id: int


@dataclass(frozen=True, slots=True)
class EventPosted:
    """A named set of values from outside: postDSMEvent, another session, a module. `kind` tells who it is meant for."""

    params: dict[str, str] = field(default_factory=dict)
    kind: str = "dsm"
    data: Value = None


@dataclass(frozen=True, slots=True)
class SystemEvent:
    """For every queue: `shutdown`, `user1` or `user2` (spec core.md §6.6)."""

    kind: str


@dataclass(frozen=True, slots=True)
class RoomChanged:
    """Membership of a room that the session is in. `kind`: `first` (it is alone), `joined` (somebody came) or `left`; `tag` is who."""

    room: str
    kind: str
    participants: int
    tag: str


@dataclass(frozen=True, slots=True)
class Run:
    """Run a function as one of the session's own events, e.g. a DI call that steers it."""

    function: Callable[[], Awaitable[None] | None]
