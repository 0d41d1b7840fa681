# SPDX-License-Identifier: GPL-2.0-or-later
"""Who does something a thousand times a second fills no disk with lines about it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from di.kernel.seldom import Seldom

SECOND = 1_000_000_000


def test_some_a_second_and_then_how_many_more() -> None:
    seldom = Seldom(3)
    lines = [seldom.line(5 * SECOND + n * SECOND // 1000) for n in range(1000)]
    assert lines[:3] == ["", "", ""] and set(lines[3:]) == {None}
    assert seldom.line(6 * SECOND) == " (and 997 such lines before it were left out)"
    assert seldom.line(6 * SECOND + 1) == ""


@given(st.lists(st.integers(0, 3 * SECOND), max_size=200), st.integers(1, 5))
def test_each_is_written_or_counted_once(pauses_ns: list[int], a_second: int) -> None:
    seldom, now_ns, written, counted = Seldom(a_second), 0, 0, 0
    for pause_ns in pauses_ns:
        now_ns += pause_ns
        said = seldom.line(now_ns)
        if said is not None:
            written += 1
            counted += int(said.split()[1]) if said else 0
    last = seldom.line(now_ns + 2 * SECOND)
    assert last is not None
    counted += int(last.split()[1]) if last else 0
    assert written + counted == len(pauses_ns) and written <= (now_ns // SECOND + 1) * a_second
