# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import itertools

from di.kernel.registry import Caller
from di.modules.recordings.tickets import LIFETIME_NS, MOST, ListenTickets


def tickets() -> ListenTickets:
    numbers = itertools.count()
    return ListenTickets(lambda: f"secret{next(numbers)}")


def test_a_ticket_is_good_for_one_recording_and_a_while() -> None:
    caller, given = Caller("alice"), tickets()
    secret = given.give("r1", caller, 5)
    assert given.owner(secret, "r1", 5 + LIFETIME_NS - 1) is caller
    assert given.owner(secret, "r2", 6) is None
    assert given.owner("secret1", "r1", 6) is None
    assert given.owner(secret, "r1", 5 + LIFETIME_NS) is None


def test_there_are_never_more_than_so_many() -> None:
    given = tickets()
    secrets = [given.give("r", Caller(), 0) for _ in range(MOST + 2)]
    assert [given.owner(secret, "r", 1) is not None for secret in secrets[:3]] == [False, False, True]
    given.give("r", Caller(), 2 * LIFETIME_NS)
    assert len(given._tickets) == 1, "those that are over go"
