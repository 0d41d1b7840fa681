# SPDX-License-Identifier: GPL-2.0-or-later
"""Verdicts on calls: loss by time and by number, both ways, late ticks, slow set-ups; the last step that held; cores shared out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.quality import Heard, Served, Step, last_held, shared_out

SECOND_NS = 10**9
BEGUN = Heard(5 * SECOND_NS, calls=100, sent=1000, received=900, missing=3, gaps=2, late=0, most_late_us=100)
ENDED = Heard(65 * SECOND_NS, calls=100, sent=301_000, received=300_900, missing=3, gaps=2, late=4, most_late_us=900)
SERVED = (Served(1, 500, 7, 2, 4000, 1), Served(1, 3500, 7, 2, 304_000, 1))


def step(heard: Heard = ENDED, served: Served = SERVED[1], **changes: object) -> Step:
    """A minute of a hundred calls, good in all but what is said."""
    good = Step(100, 100, [8] * 99 + [200], 0, (BEGUN, heard), (SERVED[0], served))
    return replace(good, **changes)  # type: ignore[arg-type]


def test_totals_are_read_from_the_phones_line() -> None:
    line = "total ns=65000000000 calls=100 sent=301000 received=300900 missing=3 gaps=2 late=4 most_late_us=900\n"
    assert Heard.read(line) == ENDED


@pytest.mark.parametrize("line", ["", "calls=3 sent=1 received=1 silent=0 a second", "total ns=1 calls=2", "total ns=1"])
def test_another_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a line of totals"):
        Heard.read(line)


def test_figures_of_several_media_processes_are_added() -> None:
    row = {"ticks": 10, "ticks_late": 1, "ticks_skipped": 2, "packets_received": 30, "packets_late": 4, "cpu": 0.5}
    assert Served.of([row, row]) == Served(2, 20, 2, 4, 60, 8)


def test_a_good_step_holds() -> None:
    good = step()
    assert good.broken() == []
    assert (good.seconds, good.loss, good.loss_up, good.late_ticks, good.sent) == (60, 0, 0, 0, 1)
    assert (good.setup(0.5), good.setup(0.99), good.setup(1.0)) == (8, 200, 200)
    assert good.row(163.4) == "| 100 | 8 / 200 / 200 | 0.000%, 0 gaps | 0.000% | 0.000% | 163 | held |"


def test_loss_that_leaves_no_gap_is_found_by_time() -> None:
    """A server whose ticks are skipped numbers its packets on as if nothing had been."""
    silent = step(replace(ENDED, received=300_900 - 6100))
    assert silent.loss == pytest.approx(0.02)
    assert silent.broken() == ["loss to the callers 2.00% (limit 1%)"]


def test_loss_is_found_by_number_where_more_is_sent_than_expected() -> None:
    lost = step(replace(ENDED, missing=3 + 6000, gaps=5002))
    assert lost.loss == pytest.approx(6000 / 306_000)
    assert lost.gaps == 5000
    assert step(replace(ENDED, missing=3 + 3000)).broken() == []


def test_what_is_on_its_way_at_either_end_is_not_lost() -> None:
    assert step(replace(ENDED, received=300_900 - 100)).loss == 0
    assert step(served=replace(SERVED[1], received=304_000 - 100)).loss_up == 0


def test_loss_up_counts_packets_that_came_too_late_and_goes_by_the_servers_own_clock() -> None:
    late = step(served=replace(SERVED[1], too_late=1 + 6100))
    assert late.loss_up == pytest.approx(0.02)
    assert late.broken() == ["loss from them 2.00% (limit 1%; too late 2.03%)"]
    asked_later = replace(SERVED[1], ticks=3500 + 50, received=304_000 + 5000)
    assert step(served=asked_later).loss_up == 0
    by_two = Served(2, 6500, 7, 2, 304_000, 1)
    assert step(served=by_two).loss_up == 0


def test_one_late_tick_in_a_thousand_is_allowed_and_a_skipped_one_counts() -> None:
    assert step(served=replace(SERVED[1], late=7 + 3)).broken() == []
    (why,) = step(served=replace(SERVED[1], late=7 + 3, ticks=3499, skipped=2 + 1)).broken()
    assert why == "0.13% of ticks over 2 ms late (limit 0.1%)"


def test_a_slow_an_unanswered_and_an_ended_call_break_a_step() -> None:
    assert step(setup_ms=[8] * 98 + [204, 1500]).broken() == ["2 set-ups took over 200 ms, the longest 1500"]
    assert step(answered=98).broken() == ["2 calls were not answered"]
    assert step(ended=1).broken() == ["1 calls ended by themselves"]
    assert step(setup_ms=[]).setup(0.5) == 0


def test_callers_that_cannot_keep_up_are_told_from_a_server_that_cannot() -> None:
    (why,) = step(replace(ENDED, sent=1000 + 270_000, most_late_us=40_000), replace(SERVED[1], received=4000 + 270_000)).broken()
    assert why == "the callers themselves sent only 90.0% of their packets (latest turn 40 ms)"


def test_nothing_that_was_counted_is_no_division_by_nothing() -> None:
    nothing = Step(10, 0, [], 0, (BEGUN, BEGUN), (SERVED[0], SERVED[0]))
    assert "10 calls were not answered" in nothing.broken()


def test_the_last_step_that_held_and_what_broke_at_others() -> None:
    good, bad = step(), step(calls=200, ended=1, answered=200)
    assert last_held([good]) == "last step that held: 100 calls, the last that was tried"
    broke = "at 200 broke: 1 calls ended by themselves"
    assert last_held([good, bad, replace(good, calls=300, answered=300)]) == f"last step that held: 300 calls; {broke}"
    assert last_held([good, bad]) == f"last step that held: 100 calls; {broke}"
    assert last_held([bad]) == f"last step that held: none; {broke}"


@pytest.mark.parametrize(
    ("cpus", "shares"),
    [
        ([0], None),
        ([0, 1], None),
        ([2, 0, 1], ([0, 1], [2])),
        ([4, 5, 6, 7], ([4, 5], [6, 7])),
        (range(8), ([*range(4)], [*range(4, 8)])),
    ],
)
def test_cores_are_shared_out_where_there_are_more_than_two(cpus: list[int], shares: object) -> None:
    assert shared_out(cpus) == shares
