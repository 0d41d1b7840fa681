# SPDX-License-Identifier: GPL-2.0-or-later
"""Balances in seconds, and what calls have reserved of them. Pure; `journal` is told of every change, for whoever keeps them on disk.

credit 100 ─ reserve(60) ─► free 40 ─ second call: reserve(60) ─► 40 ─ third: nothing is free
                                      first ends after 10 s: 10 are charged, 50 are free again
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Reservation:
    """What one call holds of its account. `used_s` of an earlier life of the server counts as used."""

    account: str
    seconds: int


class Balances:
    """Credit by account, reservations by charge. Credits are whole seconds, and never below 0."""

    def __init__(self, journal: Callable[[str, int], None] | None = None) -> None:
        self._credit: dict[str, int] = {}
        self._held: dict[str, Reservation] = {}
        self._held_of: dict[str, int] = {}
        self._journal = journal or (lambda account, credit: None)

    def load(self, credits: dict[str, int]) -> None:
        """Take over what was kept."""
        self._credit.update(credits)

    def credit(self, account: str) -> int | None:
        """Its credit, reserved seconds included; None for an unknown account."""
        return self._credit.get(account)

    def set(self, account: str, seconds: int) -> int:
        """Set it; returns it."""
        self._credit[account] = max(0, seconds)
        self._journal(account, self._credit[account])
        return self._credit[account]

    def add(self, account: str, seconds: int) -> int:
        """Add to it, making an unknown account; returns it."""
        return self.set(account, self._credit.get(account, 0) + seconds)

    def free(self, account: str) -> int:
        """What no call has reserved."""
        return max(0, self._credit.get(account, 0) - self._held_of.get(account, 0))

    def reserve(self, charge: str, account: str, most_s: int) -> int:
        """Hold up to `most_s` more seconds for a charge; returns how many there were."""
        seconds = min(most_s, self.free(account))
        if seconds > 0:
            held = self._held.setdefault(charge, Reservation(account, 0))
            held.seconds += seconds
            self._held_of[account] = self._held_of.get(account, 0) + seconds
        return seconds

    def settle(self, charge: str, used_s: int) -> int:
        """The charge ends: what was used is taken, at most what it held; the rest is free. Returns what was taken. Once."""
        held = self._held.pop(charge, None)
        if held is None:
            return 0
        left = self._held_of[held.account] - held.seconds
        if left:
            self._held_of[held.account] = left
        else:
            del self._held_of[held.account]
        taken = min(max(0, used_s), held.seconds)
        if taken:
            self.set(held.account, self._credit.get(held.account, 0) - taken)
        return taken
