# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is shown the SIP messages of which call, byte for byte, until a while after its end: its last replies come then."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from di.kernel.ports import Clock
from di.sip.port import SipPort
from di.sip.records import LogMessages, MessageSeen

if TYPE_CHECKING:
    from di.calls.session import Session

MessageSink = Callable[[MessageSeen], None]
_AFTER_NS = 40_000_000_000
"""Longer than the SIP process goes on telling."""


class SinksHost(Protocol):
    """What this needs of `di.calls.sessions.Sessions`."""

    @property
    def sip(self) -> SipPort:
        """The way to the SIP process."""

    @property
    def clock(self) -> Clock:
        """Time."""


class MessageSinks:
    """By the SIP process's number of the call."""

    def __init__(self, host: SinksHost) -> None:
        self._host = host
        self._sinks: dict[int, MessageSink] = {}

    def follow(self, session: Session, sink: MessageSink) -> None:
        """Show a call's messages: of one that came in from its INVITE on, and of one that is not dialled yet, else from now on."""
        self._sinks[session.call] = sink
        session.dialog.plan.log_messages = True
        self._host.sip.send(LogMessages(session.call))

    def seen(self, record: MessageSeen) -> None:
        """A message came or left."""
        sink = self._sinks.get(record.call)
        if sink is not None:
            sink(record)

    def renumbered(self, before: int, now: int) -> None:
        """A call out is sent anew."""
        if before in self._sinks:
            self._sinks[now] = self._sinks[before]
            self.ended(before)

    def ended(self, call: int) -> None:
        """A call is over."""
        if call in self._sinks:
            self._host.clock.call_later(_AFTER_NS, partial(self._forget, call))

    def _forget(self, call: int) -> None:
        self._sinks.pop(call, None)
