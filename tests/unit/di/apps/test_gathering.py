# SPDX-License-Identifier: GPL-2.0-or-later
"""What is collected from keys and pauses, as transcripts."""

from __future__ import annotations

import pytest

from di.apps.gathering import Collector, Ended, Gather, Gathered, key_of

MS = 1_000_000
TIMES = {"first_ms": 5000, "between_ms": 2000}


def collect(wanted: Gather, script: str, prompting: bool = False) -> Gathered | None:
    """Run a script: keys, `P` the prompt is over, `.` a second passes (time is told at each)."""
    now_ns = 0
    collector = Collector(wanted, prompting, now_ns)
    for step in script:
        if step == ".":
            now_ns += 1000 * MS
            collector.handle_time(now_ns)
        elif step == "P":
            collector.handle_prompt_over(now_ns)
        else:
            collector.handle_key(step, now_ns)
    return collector.result


@pytest.mark.parametrize(
    ("wanted", "script", "result"),
    [
        (Gather(max_digits=4), "123", None),
        (Gather(max_digits=4), "12345", Gathered("1234", Ended.COMPLETE)),
        (Gather(), "12#3", Gathered("12", Ended.END_KEY, "#")),
        (Gather(end_keys="*#"), "12*", Gathered("12", Ended.END_KEY, "*")),
        (Gather(), "#", Gathered("", Ended.TOO_FEW, "#")),
        (Gather(min_digits=0), "#", Gathered("", Ended.END_KEY, "#")),
        (Gather(min_digits=4), "123#", Gathered("123", Ended.TOO_FEW, "#")),
        (Gather(**TIMES), "....", None),
        (Gather(**TIMES), ".....", Gathered("", Ended.NO_INPUT)),
        (Gather(min_digits=0, **TIMES), ".....", Gathered("", Ended.NO_INPUT)),
        (Gather(**TIMES), "....1.2.3..", Gathered("123", Ended.COMPLETE)),
        (Gather(min_digits=4, **TIMES), "123..", Gathered("123", Ended.TOO_FEW)),
        (Gather(whole_ms=4000), ".1.2.3.", Gathered("123", Ended.COMPLETE)),
        (Gather(whole_ms=4000, **TIMES), "....", Gathered("", Ended.NO_INPUT)),
        (Gather(keys="12"), "3A*1#", Gathered("1", Ended.END_KEY, "#")),
        (Gather(end_keys="*", keys="0123456789#"), "12#3*", Gathered("12#3", Ended.END_KEY, "*")),
        (Gather(max_digits=2, wait_for_end=True), "123", None),
        (Gather(max_digits=2, wait_for_end=True), "123#", Gathered("12", Ended.END_KEY, "#")),
        (Gather(max_digits=1, end_keys="", keys="*#"), "5#", Gathered("#", Ended.COMPLETE)),
    ],
)
def test_without_a_prompt(wanted: Gather, script: str, result: Gathered | None) -> None:
    assert collect(wanted, script) == result


@pytest.mark.parametrize(
    ("wanted", "script", "result"),
    [
        (Gather(**TIMES), "..........", None),
        (Gather(**TIMES), "..........P....", None),
        (Gather(**TIMES), "..........P.....", Gathered("", Ended.NO_INPUT)),
        (Gather(**TIMES), "...1..", Gathered("1", Ended.COMPLETE)),
        (Gather(whole_ms=3000), "......P...", Gathered("", Ended.NO_INPUT)),
        (Gather(whole_ms=3000), "..1..", None),
        (Gather(whole_ms=3000), "..1...", Gathered("1", Ended.COMPLETE)),
        (Gather(in_prompt="ignore"), "12P3#", Gathered("3", Ended.END_KEY, "#")),
        (Gather(in_prompt="ignore"), "#", None),
        (Gather(in_prompt="count"), "12P3#", Gathered("123", Ended.END_KEY, "#")),
    ],
)
def test_with_a_prompt(wanted: Gather, script: str, result: Gathered | None) -> None:
    assert collect(wanted, script, prompting=True) == result


@pytest.mark.parametrize(
    ("in_prompt", "stops"), [("stop", [False, True, False]), ("count", [False] * 3), ("ignore", [False] * 3)]
)
def test_the_first_key_that_counts_stops_the_prompt(in_prompt: str, stops: list[bool]) -> None:
    collector = Collector(Gather(in_prompt=in_prompt), True, 0)  # type: ignore[arg-type]
    assert [collector.handle_key(key, 0) for key in "A12"] == stops


def test_an_end_key_stops_the_prompt() -> None:
    assert Collector(Gather(), True, 0).handle_key("#", 0)


def test_result_is_true_for_an_entry() -> None:
    assert [ended.name for ended in Ended if Gathered("1", ended)] == ["COMPLETE", "END_KEY"]


def test_cancelled_tells_what_came() -> None:
    collector = Collector(Gather(), False, 0)
    collector.handle_key("7", 0)
    collector.cancel()
    assert collector.result == Gathered("7", Ended.CANCELLED)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"min_digits": -1}, "negative"),
        ({"between_ms": -1}, "negative"),
        ({"min_digits": 5, "max_digits": 4}, "max_digits 4 is less than min_digits 5"),
        ({"keys": "12x"}, "'x' are no keys"),
        ({"end_keys": "", "wait_for_end": True, "max_digits": 3}, "wait_for_end needs end_keys"),
        ({"end_keys": ""}, "never end"),
        ({"end_keys": "", "first_ms": 1}, "never end"),
    ],
)
def test_what_contradicts_itself(options: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Gather(**options)  # type: ignore[arg-type]


def test_key_of() -> None:
    assert [key_of(event) for event in (0, 9, 10, 11, 15, 16, -1)] == ["0", "9", "*", "#", "D", "", ""]
