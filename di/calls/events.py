# SPDX-License-Identifier: GPL-2.0-or-later
"""What can stand in a call's queue besides the records of SIP and media process, and what callbacks are handed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from di.kernel.value import Value
from di.sip import records as sip
from media.control import records as media

Outcome: TypeAlias = Awaitable[None] | None
"""What a callback may return: nothing, or something that the call's further events wait for."""
Verdict: TypeAlias = Awaitable[bool | None] | bool | None
"""The same for callbacks that may take something over: True when they have."""


@dataclass(frozen=True, slots=True)
class TimerExpired:
    """A timer of a `di.calls.mailbox.Timers` ran out."""

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
class RunInCall:
    """Run a function as one of the session's own events, e.g. a DI call that steers it."""

    function: Callable[[], Awaitable[None] | None]


@dataclass(frozen=True, slots=True)
class SipReply:
    """A reply to a request that this call sent, provisional ones of an INVITE too. `token`: what `Dialog.send` gave; 0 for the INVITE."""

    method: str
    code: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    token: int = 0


QueueEvent: TypeAlias = EventPosted | SystemEvent
"""What anybody may post to an event queue by its name."""
CallItem: TypeAlias = sip.CallEvent | media.LegEvent | TimerExpired | EventPosted | SystemEvent | RoomChanged | RunInCall
"""Whatever can stand in a call's queue."""
