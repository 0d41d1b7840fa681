# SPDX-License-Identifier: GPL-2.0-or-later
"""When a box is told of: changes gathered, retries that grow, what was true last told last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from di.modules.mwi.pending import PendingBoxes, Reception

S = 1_000_000_000


def pending(most: int = 50) -> PendingBoxes[str]:
    return PendingBoxes(gather_ms=1000, retry_ms=5000, attempts=4, most=most)


def test_changes_within_a_moment_are_one() -> None:
    boxes = pending()
    boxes.changed("ann", 0)
    boxes.changed("ann", S // 2)
    assert boxes.deadline_ns() == S and boxes.take_due(S - 1) == []
    assert boxes.take_due(S) == ["ann"] and boxes.take_due(9 * S) == []
    assert boxes.answered("ann", 200, 2 * S) is Reception.TAKEN
    assert len(boxes) == 0 and boxes.deadline_ns() is None


def test_a_change_while_one_is_under_way_is_told_afterwards() -> None:
    boxes = pending()
    boxes.changed("ann", 0)
    boxes.take_due(S)
    boxes.changed("ann", 2 * S)
    assert boxes.deadline_ns() is None, "not two at once: the second could overtake the first"
    assert boxes.answered("ann", 200, 3 * S) is Reception.TAKEN
    assert boxes.deadline_ns() == 4 * S and boxes.take_due(4 * S) == ["ann"]


def test_retries_grow_and_end() -> None:
    boxes = pending()
    boxes.changed("ann", 0)
    now, waits = S, []
    for _ in range(3):
        assert boxes.take_due(now) == ["ann"]
        assert boxes.answered("ann", 503, now) is Reception.AGAIN
        due = boxes.deadline_ns()
        assert due is not None
        waits.append((due - now) // S)
        now = due
    boxes.take_due(now)
    assert waits == [5, 10, 20] and boxes.answered("ann", 408, now) is Reception.GIVEN_UP and len(boxes) == 0


def test_a_change_ends_the_wait_for_a_retry() -> None:
    boxes = pending()
    boxes.changed("ann", 0)
    boxes.take_due(S)
    boxes.answered("ann", 503, S)
    boxes.changed("ann", 2 * S)
    assert boxes.deadline_ns() == 3 * S


def test_what_is_refused_for_good_is_not_sent_again() -> None:
    boxes = pending()
    for code in (400, 403, 404, 481, 489, 603):
        boxes.changed("ann", 0)
        boxes.take_due(S)
        assert boxes.answered("ann", code, S) is Reception.GIVEN_UP and len(boxes) == 0


def test_not_all_go_at_once() -> None:
    boxes = pending(most=2)
    for name in ("a", "b", "c"):
        boxes.changed(name, 0)
    assert boxes.take_due(S) == ["a", "b"] and boxes.deadline_ns() is None
    boxes.answered("a", 200, S)
    assert boxes.deadline_ns() == S and boxes.take_due(S) == ["c"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0, 200, 404, 503]), st.integers(0, 3 * S)), max_size=60))
def test_whatever_comes_each_change_is_told_after_it_was_made(events: list[tuple[str, int, int]]) -> None:
    """Code 0 stands for a change; others answer what is under way. In the end all that was not given up is told."""
    boxes, now = pending(), 0
    untold: set[str] = set()
    under_way: set[str] = set()

    def go_on() -> None:
        for box in boxes.take_due(now):
            assert box not in under_way
            under_way.add(box)
            untold.discard(box)

    for box, code, wait in events:
        now += wait
        go_on()
        if not code:
            boxes.changed(box, now)
            untold.add(box)
        elif box in under_way:
            under_way.discard(box)
            boxes.answered(box, code, now)
    for _ in range(20):
        for box in list(under_way):
            under_way.discard(box)
            boxes.answered(box, 200, now)
        due = boxes.deadline_ns()
        if due is None:
            break
        now = max(now, due)
        go_on()
    assert not untold and not under_way and len(boxes) == 0
