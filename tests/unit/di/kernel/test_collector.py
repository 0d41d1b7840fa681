# SPDX-License-Identifier: GPL-2.0-or-later
"""Large data that the collector does not look at; what was up meanwhile is freed later all the same."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest

from di.kernel.collector import MANY, TOO_MANY, OutOfSight


class Ring:
    """In a circle with itself, as a call is."""

    def __init__(self) -> None:
        self.own = self


class Calls:
    """So many are up."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.when_idle: list[Callable[[], None]] = []

    def __call__(self) -> int:
        return self.count


@pytest.fixture(autouse=True)
def nothing_stays_frozen() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def seen(one: object) -> bool:
    """Whether the collector would look at it."""
    return any(found is one for found in gc.get_objects())


def test_what_is_read_is_out_of_sight_and_the_collector_works_on() -> None:
    calls = Calls(0)
    out = OutOfSight(calls, calls.when_idle.append)
    with out.reading():
        assert not gc.isenabled()
        data = [[n] for n in range(1000)]
    assert gc.isenabled()
    assert not seen(data)
    later = [data]
    assert seen(later)


def test_a_failure_leaves_the_collector_on() -> None:
    calls = Calls(0)
    with pytest.raises(ValueError, match="script"), OutOfSight(calls, calls.when_idle.append).reading():
        raise ValueError("script")
    assert gc.isenabled()


def test_while_the_server_starts_nothing_is_done() -> None:
    calls = Calls(3)
    gc.disable()
    out = OutOfSight(calls, calls.when_idle.append)
    with out.reading():
        data = [1, [2]]
    assert not gc.isenabled()
    assert seen(data)
    assert out.kept == 0


def test_few_calls_that_were_up_are_left_alone() -> None:
    calls = Calls(MANY // 2)
    out = OutOfSight(calls, calls.when_idle.append)
    with out.reading():
        pass
    assert not calls.when_idle
    assert out.kept == MANY


@pytest.mark.parametrize("count", [MANY, TOO_MANY])
def test_many_are_freed_once_no_call_is_up_and_too_many_at_once(count: int) -> None:
    calls = Calls(count)
    out = OutOfSight(calls, calls.when_idle.append)
    ring = Ring()
    gone = weakref.ref(ring)
    with out.reading():
        pass
    with out.reading():
        del ring
    if count == MANY:
        gc.collect()
        assert gone() is not None, "frozen: the collector does not see it"
        assert len(calls.when_idle) == 1, "asked for once"
        calls.when_idle.pop()()
    else:
        with out.reading():
            pass
    assert gone() is None
    assert out.kept == 0
