# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever keys and pauses come: a collection ends once, holds only keys that count, and never more than wanted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from di.apps.gathering import KEYS, Collector, Ended, Gather

MS = 1_000_000
WANTED = st.builds(
    Gather,
    min_digits=st.integers(0, 3),
    max_digits=st.integers(3, 6),
    end_keys=st.sampled_from(["", "#", "*#"]),
    keys=st.sampled_from(["0123456789", KEYS, "12#"]),
    first_ms=st.integers(0, 50),
    between_ms=st.integers(0, 50),
    whole_ms=st.integers(0, 100),
    in_prompt=st.sampled_from(["stop", "count", "ignore"]),
)
STEPS = st.lists(st.one_of(st.sampled_from(KEYS), st.just("prompt over"), st.integers(0, 40)), max_size=30)


@given(WANTED, st.booleans(), STEPS)
def test_any_order(wanted: Gather, prompting: bool, steps: list[str | int]) -> None:
    now_ns, stopped, pressed = 0, 0, ""
    collector = Collector(wanted, prompting, now_ns)
    for step in steps:
        before = collector.result
        if isinstance(step, int):
            now_ns += step * MS
            due_ns = collector.deadline_ns()
            collector.handle_time(now_ns)
            assert (due_ns is None or now_ns < due_ns) == (collector.result is before), (
                "it ends when it is due, not sooner or later"
            )
        elif step == "prompt over":
            collector.handle_prompt_over(now_ns)
        else:
            pressed += step
            stopped += collector.handle_key(step, now_ns)
        result = collector.result
        assert before is None or result is before, "a result stays"
        assert (result is not None) <= (collector.deadline_ns() is None), "nothing runs after the end"
    assert stopped <= (prompting and wanted.in_prompt == "stop")
    digits = iter(pressed)
    assert all(key in digits for key in collector.digits), "keys come in their order"
    assert set(collector.digits) <= set(wanted.keys) - set(wanted.end_keys)
    assert len(collector.digits) <= wanted.max_digits
    result = collector.result
    if result is not None:
        assert result.digits == collector.digits
        assert bool(result) == (result.ended in (Ended.COMPLETE, Ended.END_KEY))
        assert not result or len(result.digits) >= wanted.min_digits
        assert (result.ended is Ended.NO_INPUT) <= (result.digits == "")


@given(WANTED.filter(lambda w: bool(w.first_ms and w.between_ms)), st.booleans(), STEPS)
def test_with_times_it_always_ends(wanted: Gather, prompting: bool, steps: list[str | int]) -> None:
    collector = Collector(wanted, prompting, 0)
    for step in steps:
        if isinstance(step, str) and step != "prompt over":
            collector.handle_key(step, 0)
    collector.handle_prompt_over(0)
    due_ns = collector.deadline_ns()
    assert (due_ns is None) == (collector.result is not None)
    if due_ns is not None:
        collector.handle_time(due_ns)
    assert collector.result is not None
