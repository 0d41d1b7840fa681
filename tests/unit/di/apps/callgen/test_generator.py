# SPDX-License-Identifier: GPL-2.0-or-later
"""When which call is due: rates, pauses, targets, refusals. Time is a number."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.apps.callgen.generator import SECOND_NS, STEP_NS, CallPlan, Generator, Series, Standing

PLAN = CallPlan("room", "127.0.0.1", 2)


class Line:
    """Places calls, or refuses them while `refuses`."""

    def __init__(self, most_per_s: int = 1000) -> None:
        self.generator = Generator(self.place, Random(1), most_per_s)
        self.placed_ns: list[int] = []
        self.tried_ns: list[int] = []
        self.now_ns = 0
        self.refuses = False

    def place(self, plan: CallPlan) -> bool:
        self.tried_ns.append(self.now_ns)
        if not self.refuses:
            self.placed_ns.append(self.now_ns)
            self.generator.active += 1
        return not self.refuses

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * SECOND_NS / STEP_NS)):
            self.generator.step(self.now_ns)
            self.now_ns += STEP_NS


def test_calls_one_after_the_other_with_a_pause() -> None:
    line, failed = Line(), []
    line.generator.series.append(Series(PLAN, 4, 0, 2, 0, failed.append))
    line.run(5.9)
    assert [round(ns / SECOND_NS) for ns in line.placed_ns] == [0, 2, 4] and not failed
    line.run(1)
    assert failed == [0] and line.generator.idle and line.generator.total == 4


def test_pauses_have_a_random_part() -> None:
    line = Line()
    line.generator.series.append(Series(PLAN, 50, 0, 1, 2))
    line.run(200)
    waits = [(b - a) / SECOND_NS for a, b in zip(line.placed_ns, line.placed_ns[1:], strict=False)]
    assert len(waits) == 49 and min(waits) >= 1 and max(waits) <= 3 + STEP_NS / SECOND_NS and max(waits) - min(waits) > 1


@pytest.mark.parametrize("per_s", [1, 3, 10, 100])
def test_a_scheduled_order_keeps_its_rate(per_s: int) -> None:
    line = Line()
    line.generator.series.append(Series(PLAN, 10 * per_s, per_s))
    line.run(5)
    assert abs(len(line.placed_ns) - 5 * per_s) <= max(1, per_s // 10)
    line.run(6)
    assert len(line.placed_ns) == 10 * per_s and line.generator.scheduled == 0


def test_several_orders_go_on_side_by_side_below_the_rate_of_all() -> None:
    line = Line(most_per_s=20)
    line.generator.series += [Series(PLAN, 100, 20), Series(PLAN, 100, 20)]
    line.run(5)
    assert abs(len(line.placed_ns) - 100) <= 6


def test_a_target_is_kept_up() -> None:
    line = Line()
    line.generator.standing = Standing(PLAN, 30, 10)
    line.run(2)
    assert 19 <= line.generator.active <= 22
    line.run(2)
    assert line.generator.active == 30
    line.generator.active -= 5
    line.run(1)
    assert line.generator.active == 30 and line.generator.total == 35
    line.generator.standing = None
    line.generator.active -= 5
    line.run(1)
    assert line.generator.active == 25 and line.generator.idle


def test_what_is_refused_is_not_tried_at_full_rate() -> None:
    line = Line()
    line.generator.standing = Standing(PLAN, 1000, 100)
    line.refuses = True
    line.run(60)
    assert [round(ns / SECOND_NS) for ns in line.tried_ns] == [0, 1, 3, 7, 15, 31]
    assert line.generator.refused == 6
    line.refuses = False
    line.run(45)
    assert line.generator.active == 1000, "and goes on when it may"


def test_an_order_hears_what_could_not_be_placed() -> None:
    line, failed = Line(), []
    line.refuses = True
    line.generator.series.append(Series(PLAN, 3, 0, 0, 0, failed.append))
    line.run(10)
    assert failed == [3]
    line.generator.series.append(Series(PLAN, 5, 1, 0, 0, failed.append))
    line.generator.stop()
    assert failed == [3, 5] and line.generator.idle


def test_a_late_look_makes_up_for_nothing_in_a_burst() -> None:
    line = Line()
    line.generator.standing = Standing(PLAN, 1000, 10)
    line.run(1)
    before = len(line.placed_ns)
    line.now_ns += 3600 * SECOND_NS
    line.generator.step(line.now_ns)
    assert len(line.placed_ns) - before <= 10


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 100), st.integers(0, 100), st.integers())
def test_a_plan_says_what_it_is_told(user_digits: int, keys: int, base_s: int, rand_s: int, seed: int) -> None:
    plan, random = CallPlan("room", "h.example", user_digits, keys, base_s, rand_s), Random(seed)
    uri, said, length_s = plan.uri(random), plan.said(random), plan.length_s(random)
    digits = uri.removeprefix("sip:room").removesuffix("@h.example")
    assert len(digits) == user_digits and (not digits or digits.isdigit())
    assert len(said) == (keys + 1 if keys else 0) and said.endswith("#" if keys else "")
    assert base_s <= length_s <= base_s + rand_s
