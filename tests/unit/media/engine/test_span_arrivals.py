# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tick of another process is heard in which of ours: on time, late, lost, begun anew."""

from __future__ import annotations

import numpy as np

from media.engine.span_arrivals import LIVE_TICKS, MOST_EXTRA_TICKS, WINDOW_TICKS, SpanArrivals
from media.engine.span_sums import HEADER_WORDS, Words, read_header, write_header


def said(tick: int, epoch: int = 1, last: bool = True, part: int = 0) -> Words:
    words = np.zeros(HEADER_WORDS + 1, np.int32)
    write_header(words, epoch, tick, last, 0)
    words[HEADER_WORDS] = part
    return words


def ticks(heard: list[Words]) -> list[int]:
    return [header[1] for words in heard if (header := read_header(words)) is not None]


def test_the_header_survives_large_ticks() -> None:
    for tick in (0, 1, 2**31 - 1, 2**31, 2**32 + 5, 2**40):
        assert read_header(said(tick, last=False)) == (1, tick, False)


def test_what_was_said_is_heard_one_tick_later() -> None:
    arrivals = SpanArrivals()
    for tick in range(100, 110):
        arrivals.put(said(tick))
        assert ticks(arrivals.take(tick + 1)) == [tick]
    assert (arrivals.missed, arrivals.dropped, arrivals.delay_ticks) == (0, 0, 0)


def test_what_comes_in_the_same_tick_waits_for_the_next() -> None:
    arrivals = SpanArrivals()
    arrivals.put(said(100))
    arrivals.put(said(101))
    assert ticks(arrivals.take(101)) == [100]
    arrivals.put(said(102))
    assert ticks(arrivals.take(102)) == [101]


def test_a_late_tick_is_heard_later_and_nothing_of_it_is_lost() -> None:
    arrivals, heard = SpanArrivals(), []
    for now in range(101, 120):
        for tick in {105: [], 106: []}.get(now, [104, 105, 106] if now == 107 else [now - 1]):
            arrivals.put(said(tick))
        heard += ticks(arrivals.take(now))
    assert heard == list(range(100, 117))
    assert (arrivals.missed, arrivals.delay_ticks) == (2, 2)


def test_delay_that_is_not_needed_is_given_back() -> None:
    arrivals, heard = SpanArrivals(), []
    arrivals.put(said(100))
    arrivals.take(101)
    for now in range(102, 105):
        arrivals.take(now)
    arrivals.put(said(101))
    for now in range(105, 105 + 2 * WINDOW_TICKS):
        for tick in range(now - 3, now) if now == 105 else [now - 1]:
            arrivals.put(said(tick))
        heard += ticks(arrivals.take(now))
    assert heard[:3] == [101, 102, 103]
    assert heard[-1] == 105 + 2 * WINDOW_TICKS - 2
    assert arrivals.delay_ticks == 0
    assert heard == sorted(set(heard))


def test_a_lost_tick_is_a_gap_and_moves_nothing() -> None:
    arrivals, heard = SpanArrivals(), []
    for now in range(101, 112):
        if now != 106:
            arrivals.put(said(now - 1))
        heard.append(ticks(arrivals.take(now)))
    assert heard[3:8] == [[103], [104], [], [106], [107]]
    assert (arrivals.missed, arrivals.delay_ticks) == (1, 0)


def test_a_process_that_is_gone_is_waited_for_within_bounds_and_not_missed_for_ever() -> None:
    arrivals = SpanArrivals()
    arrivals.put(said(100))
    for now in range(101, 600):
        arrivals.take(now)
    assert arrivals.missed == LIVE_TICKS - 1
    assert arrivals.delay_ticks == MOST_EXTRA_TICKS
    arrivals.put(said(600))
    assert ticks(arrivals.take(601)) == [600]


def test_a_process_that_took_the_others_place_begins_anew() -> None:
    arrivals = SpanArrivals()
    for tick in (100, 101):
        arrivals.put(said(tick))
    arrivals.put(said(102, epoch=2))
    assert ticks(arrivals.take(103)) == [102]
    arrivals.put(said(103, epoch=2))
    assert ticks(arrivals.take(104)) == [103]


def test_a_tick_of_several_datagrams_is_heard_whole() -> None:
    arrivals = SpanArrivals()
    arrivals.put(said(100, last=False, part=1))
    assert arrivals.take(101) == []
    arrivals.put(said(100, part=2))
    assert [int(words[HEADER_WORDS]) for words in arrivals.take(102)] == [1, 2]


def test_what_is_kept_is_bounded() -> None:
    arrivals = SpanArrivals()
    for tick in range(1000):
        arrivals.put(said(tick))
    assert len(arrivals._ticks) <= 33
    arrivals.put(np.zeros(2, np.int32))
    arrivals.put(said(3))
    assert arrivals.dropped >= 968
