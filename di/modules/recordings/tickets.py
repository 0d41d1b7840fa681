# SPDX-License-Identifier: GPL-2.0-or-later
"""Tickets: a browser's player cannot send an Authorization header, so who may listen gets an address that lets one file be heard.

A ticket is 256 random bits, is good for one recording and a while, and no longer than its owner's role includes listening. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from di.kernel.registry import Caller

LIFETIME_NS = 3600 * 10**9
MOST = 10_000


@dataclass(frozen=True, slots=True)
class ListenTicket:
    """One ticket."""

    recording: str
    caller: Caller
    ends_ns: int


class ListenTickets:
    """All that are good; the oldest make room. `new_secret` gives 256 random bits as text."""

    def __init__(self, new_secret: Callable[[], str]) -> None:
        self._new_secret = new_secret
        self._tickets: OrderedDict[str, ListenTicket] = OrderedDict()

    def give(self, recording: str, caller: Caller, now_ns: int) -> str:
        """A new ticket's secret."""
        while self._tickets and (len(self._tickets) >= MOST or next(iter(self._tickets.values())).ends_ns <= now_ns):
            self._tickets.popitem(last=False)
        secret = self._new_secret()
        self._tickets[secret] = ListenTicket(recording, caller, now_ns + LIFETIME_NS)
        return secret

    def owner(self, secret: str, recording: str, now_ns: int) -> Caller | None:
        """Whose ticket this is; None when it is not good for that recording now."""
        ticket = self._tickets.get(secret)
        if ticket is None or ticket.ends_ns <= now_ns or ticket.recording != recording:
            return None
        return ticket.caller
