# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.kernel.errors import OutOfBounds, TypeMismatch
from di.kernel.event_log import Dropped, EventFilter, EventLog, Gap, LoggedEvent, Snapshot, Subscriber
from di.kernel.value import LongLong, Value


def drain(subscriber: Subscriber) -> list[Any]:
    items: list[Any] = []
    while (item := subscriber.take()) is not None:
        items.append(item.sequence if isinstance(item, LoggedEvent) else item)
    return items


def test_an_event_says_what_when_and_where() -> None:
    events = EventLog(epoch_s=lambda: 12.5)
    reader = events.subscribe()
    assert events.publish("dtmf", "c1", "r1", {"key": 5}) == 1
    assert reader.take() == LoggedEvent(1, "dtmf", 12.5, "c1", "r1", {"key": 5})
    assert reader.take() is None


@pytest.mark.parametrize(
    ("wish", "numbers"),
    [
        (None, [1, 2, 3, 4]),
        ({}, [1, 2, 3, 4]),
        ({"types": ["call.*"]}, [1, 4]),
        ({"types": ["call.ended", "dtmf"]}, [3, 4]),
        ({"types": ["call"]}, []),
        ({"calls": ["a"]}, [1, 3]),
        ({"rooms": ["r"]}, [2]),
        ({"calls": ["a"], "types": ["dtmf"]}, [3]),
        ({"attributes": [["key", 5]]}, [3]),
        ({"attributes": [["key", "5"]]}, []),
        ({"attributes": [["key", LongLong(5)]]}, []),
        ({"attributes": [["key", None], ["app", "x"]]}, [1]),
    ],
)
def test_filters(wish: Value, numbers: list[int]) -> None:
    events = EventLog()
    reader = events.subscribe(EventFilter.parse(wish))
    events.publish("call.started", "a", attributes={"app": "x"})
    events.publish("room.joined", "b", "r")
    events.publish("dtmf", "a", attributes={"key": 5})
    events.publish("call.ended", "b")
    assert drain(reader) == numbers
    again = events.subscribe(EventFilter.parse(wish), from_sequence=1)
    assert drain(again) == numbers


@pytest.mark.parametrize(
    "wish",
    [
        *(1, "x", [], {"type": ["x"]}, {"types": "x"}, {"types": [1]}, {"calls": None}, {"rooms": [["x"]]}),
        *({"attributes": "x"}, {"attributes": ["x"]}, {"attributes": [["x"]]}, {"attributes": [[1, 2]]}),
    ],
)
def test_bad_filters_say_what_would_be_right(wish: Value) -> None:
    with pytest.raises((TypeMismatch, OutOfBounds), match="filter"):
        EventFilter.parse(wish)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda v: (
        st.lists(v, max_size=3)
        | st.dictionaries(st.sampled_from(["types", "calls", "rooms", "attributes"]) | st.text(max_size=4), v, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_any_value_is_a_filter_or_refused(wish: Value, attribute: Value) -> None:
    try:
        wanted = EventFilter.parse(wish)
    except (TypeMismatch, OutOfBounds):
        return
    assert wanted.matches(LoggedEvent(1, "dtmf", 0.0, "c", "r", {"k": attribute})) in (True, False)


def test_replay_names_what_is_lost() -> None:
    events = EventLog(capacity=3)
    for _ in range(5):
        events.publish("x")
    assert drain(events.subscribe(from_sequence=4)) == [4, 5]
    assert drain(events.subscribe(from_sequence=2)) == [Gap(2, 2, "these events are no longer kept"), 3, 4, 5]
    assert drain(events.subscribe(from_sequence=6)) == []
    assert drain(events.subscribe(from_sequence=0))[0] == Gap(1, 2, "these events are no longer kept")


def test_a_numbering_that_started_anew_is_a_gap() -> None:
    events = EventLog(stream="b")
    events.publish("x")
    for start, stream in ((99, ""), (1, "a"), (2, "a")):
        gap, first = drain(events.subscribe(from_sequence=start, stream=stream))
        assert isinstance(gap, Gap) and "started anew" in gap.reason
        assert first == 1
    assert drain(events.subscribe(from_sequence=1, stream="b")) == [1]


def test_snapshot_then_stream() -> None:
    events = EventLog()
    events.add_snapshot("calls", lambda wanted: sorted(wanted.calls))
    events.publish("x")
    reader = events.subscribe(EventFilter(calls=frozenset("ab")), snapshot=True)
    events.publish("x", call="a")
    assert drain(reader) == [Snapshot(1, {"calls": ["a", "b"]}), 2]
    events.remove_snapshot("calls")
    assert drain(events.subscribe(snapshot=True)) == [Snapshot(2, {})]


def test_a_reader_that_sleeps_is_dropped_and_costs_nobody_else() -> None:
    events = EventLog()
    woken: list[str] = []
    sleeper = events.subscribe(limit=3, on_ready=lambda: woken.append("sleeper"))
    reader = events.subscribe(limit=3)
    for number in range(1, 6):
        events.publish("x")
        assert drain(reader) == [number]
    assert sleeper.closed and "3 events" in sleeper.reason
    assert sleeper not in events.subscribers and reader in events.subscribers
    assert events.dropped_count == 1
    assert drain(sleeper) == [Dropped(sleeper.reason)]
    assert woken == ["sleeper", "sleeper"], "once for the first event, once to say that it is over"


def test_a_sleeper_in_replay_loses_events_but_is_told() -> None:
    events = EventLog(capacity=2)
    events.publish("x")
    reader = events.subscribe(from_sequence=1, limit=1)
    for _ in range(4):
        events.publish("x")
    assert drain(reader) == [Gap(1, 3, "these events are no longer kept"), 4, 5]


def test_a_wake_up_that_fails_ends_its_own_subscription_only(caplog: pytest.LogCaptureFixture) -> None:
    events = EventLog()

    def fail() -> None:
        raise RuntimeError("no")

    broken = events.subscribe(on_ready=fail)
    reader = events.subscribe()
    assert events.publish("x") == 1
    assert drain(reader) == [1]
    assert isinstance(broken.take(), Dropped)
    assert broken not in events.subscribers


def test_unsubscribe_twice_is_fine() -> None:
    events = EventLog()
    reader = events.subscribe()
    events.unsubscribe(reader)
    events.unsubscribe(reader)
    events.publish("x")
    assert drain(reader) == []


def test_a_replay_that_finds_little_is_looked_through_in_pieces() -> None:
    """Who asks for a thousand events back of which he wants one holds nobody up, and misses none that comes meanwhile."""
    events, woken = EventLog(), []
    for number in range(1000):
        events.publish("dtmf" if number == 900 else "room.left")
    reader = events.subscribe(EventFilter(frozenset({"dtmf"})), from_sequence=1, on_ready=lambda: woken.append(1))
    pieces = 0
    while (item := reader.take()) is None:
        pieces += 1
        assert len(woken) == pieces, "it is told to ask again"
    assert pieces == 4 and isinstance(item, LoggedEvent) and item.sequence == 901
    events.publish("dtmf")
    later = reader.take()
    assert isinstance(later, LoggedEvent) and later.sequence == 1001
    assert reader.take() is None and len(woken) == pieces
    events.publish("dtmf")
    assert len(woken) == pieces + 1 and isinstance(reader.take(), LoggedEvent)
