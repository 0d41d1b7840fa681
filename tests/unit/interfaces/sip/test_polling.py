# SPDX-License-Identifier: GPL-2.0-or-later
"""When pjsip's descriptor is waited for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.sip.polling import BURST, CALM_A_SECOND, EVERY_NS, IN_VAIN, Polling

MS = 1_000_000
SECOND = 1000 * MS


def looks(polling: Polling, times_ms: list[int], took_ms: int = 0) -> Iterator[int]:
    """Pauses after looks that ended at these times and brought something."""
    for time_ms in times_ms:
        yield polling.pause_ns(1, (time_ms - took_ms) * MS, time_ms * MS)


def test_a_call_by_itself_is_never_held() -> None:
    polling = Polling()
    for call_s in range(100):  # INVITE, ACK, BYE, an INVITE sent again, a 200 for our own BYE
        assert not any(looks(polling, [call_s * 1000 + ms for ms in (0, 3, 8, 500, 510)]))
    assert not polling.rests


def test_twenty_calls_a_second_are_not_held_and_fifty_are() -> None:
    every_ms = 1000 // CALM_A_SECOND + 1
    assert not any(looks(Polling(), list(range(0, 5000, every_ms))))
    polling = Polling()
    pauses = list(looks(polling, list(range(0, 1000, 7))))
    assert pauses[:BURST] == [0] * BURST and set(pauses[-100:]) == {EVERY_NS} and polling.rests


def busy() -> Polling:
    polling = Polling()
    for _ in range(2 * BURST):
        polling.pause_ns(1, SECOND, SECOND)
    assert polling.rests
    return polling


def test_looked_at_every_so_often_it_stays_busy_as_long_as_most_looks_bring_something() -> None:
    polling = busy()
    assert all(looks(polling, list(range(1000, 9000, EVERY_NS // MS))))


def test_what_a_turn_took_is_taken_off_the_pause() -> None:
    assert list(looks(busy(), [1000], took_ms=4)) == [EVERY_NS - 4 * MS]


@pytest.mark.parametrize("took_ms", [EVERY_NS // MS, EVERY_NS // MS + 1, 50])
def test_who_has_more_to_do_than_there_is_time_for_does_not_rest(took_ms: int) -> None:
    polling = busy()
    assert list(looks(polling, [1000], took_ms)) == [0] and not polling.rests


def test_an_empty_look_ends_the_rest_and_quiet_makes_it_forget() -> None:
    polling = busy()
    assert polling.pause_ns(0, SECOND, SECOND) == 0 and not polling.rests
    assert list(looks(polling, [1000, 2000])) == [EVERY_NS, 0]


def test_after_a_storm_a_single_call_is_not_held() -> None:
    polling = busy()
    for time_ms in range(1020, 5000, 20):
        assert polling.pause_ns(1, time_ms * MS, time_ms * MS), "as long as each look brings something"
    assert not polling.pause_ns(0, 5 * SECOND, 5 * SECOND)
    later_ms = 5000 + 1000 * BURST // CALM_A_SECOND + EVERY_NS // MS
    assert not any(looks(polling, [later_ms + ms for ms in (0, 30, 60, 500, 510)]))


def test_a_descriptor_that_is_readable_for_nothing_is_left_alone_for_a_while() -> None:
    polling = Polling()
    pauses = [polling.pause_ns(0, SECOND, SECOND) for _ in range(2 * IN_VAIN)]
    assert pauses == [0, 0, EVERY_NS] * 2 and not polling.rests
    assert polling.pause_ns(0, SECOND, SECOND) == 0 and polling.pause_ns(1, SECOND, SECOND) == 0
    assert [polling.pause_ns(0, SECOND, SECOND) for _ in range(IN_VAIN)] == [0, 0, EVERY_NS]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 50), st.integers(0, 30))))
def test_nothing_is_ever_held_for_longer_than_that(turns: list[tuple[int, int, int]]) -> None:
    polling, now_ms = Polling(), 0
    for handled, later_ms, took_ms in turns:
        begun_ms = now_ms + later_ms
        now_ms = begun_ms + took_ms
        pause_ns = polling.pause_ns(handled, begun_ms * MS, now_ms * MS)
        assert 0 <= pause_ns <= EVERY_NS
        assert not polling.rests or pause_ns > 0, "who rests looks again"
