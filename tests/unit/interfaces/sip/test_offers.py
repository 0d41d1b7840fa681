# SPDX-License-Identifier: GPL-2.0-or-later
"""When a re-INVITE goes out, and that each is answered exactly once. Time is a number."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.sip.records import Reinvite
from interfaces.sip.message import parse
from interfaces.sip.offers import MOST_ATTEMPTS, Offers

MS = 1_000_000


def offers(owner: bool = True) -> Offers:
    return Offers(1, owner, Random(1))


def test_one_at_a_time_in_order() -> None:
    queue = offers()
    queue.add(Reinvite(1, token=1))
    queue.add(Reinvite(1, token=2))
    first = queue.due(0)
    assert first is not None and first.token == 1
    queue.sent()
    assert queue.due(10**12) is None
    reply = queue.answered(200, "OK", parse("SIP/2.0 200 Fine\r\nX-A: y\r\n\r\nbody"), 0)
    assert reply is not None
    assert (reply.token, reply.code, reply.reason, reply.headers, reply.body) == (1, 200, "Fine", (("X-A", "y"),), b"body")
    second = queue.due(0)
    assert second is not None and second.token == 2


@pytest.mark.parametrize(("owner", "least_ms", "most_ms"), [(True, 2100, 4000), (False, 0, 2000)])
def test_wait_after_491(owner: bool, least_ms: int, most_ms: int) -> None:
    """RFC 3261 §14.1: units of 10 ms, and the two sides' ranges do not meet."""
    waits = set()
    for seed in range(300):
        queue = Offers(1, owner, Random(seed))
        queue.add(Reinvite(1, token=1))
        queue.sent()
        assert queue.answered(491, "", None, 0) is None
        waits.add(next(ms for ms in range(0, 4001, 10) if queue.due(ms * MS) is not None))
    assert least_ms <= min(waits) < least_ms + 100 and most_ms - 100 < max(waits) <= most_ms


def test_491_is_told_in_the_end() -> None:
    queue = offers()
    queue.add(Reinvite(1, token=1))
    for _ in range(MOST_ATTEMPTS - 1):
        queue.sent()
        assert queue.answered(491, "Pending", None, 0) is None
    queue.sent()
    reply = queue.answered(491, "Pending", None, 0)
    assert reply is not None and (reply.token, reply.code) == (1, 491) and not queue


def test_busy_is_tried_again_and_told_in_the_end() -> None:
    queue = offers()
    queue.add(Reinvite(1, token=1))
    now_ns = tries = 0
    while True:
        if queue.due(now_ns) is not None:
            tries += 1
            queue.sent()
            reply = queue.busy(now_ns)
            if reply is not None:
                break
        now_ns += 10 * MS
    assert (reply.token, reply.code) == (1, 491) and now_ns == 32_000 * MS and tries == 641


def test_without_a_token_nobody_is_told() -> None:
    queue = offers()
    queue.add(Reinvite(1))
    queue.sent()
    assert queue.answered(200, "OK", None, 0) is None and not queue and queue.abandon(481, "") == []


@given(st.lists(st.sampled_from(["add", "answer", "491", "busy", "wait"]), max_size=60))
def test_each_is_answered_exactly_once(steps: list[str]) -> None:
    queue, now_ns, token, told = offers(), 0, 0, []
    for step in steps:
        if step == "add":
            token += 1
            queue.add(Reinvite(1, token=token))
        elif step == "wait":
            now_ns += 500 * MS
        elif queue.due(now_ns) is not None:
            queue.sent()
            reply = queue.busy(now_ns) if step == "busy" else queue.answered(491 if step == "491" else 200, "", None, now_ns)
            told += [reply] if reply is not None else []
    told += queue.abandon(481, "over")
    assert [reply.token for reply in told] == list(range(1, token + 1))
