# SPDX-License-Identifier: GPL-2.0-or-later
"""What one connection listens to: each subscription's events in order and no others, in turn; what is dropped is said once and is gone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from di.kernel.errors import TypeMismatch
from di.kernel.event_log import Dropped, EventLog
from di.kernel.value import Value
from interfaces.jsonrpc.methods import JsonRpcError
from interfaces.web.feed import Encoder, Feed


class Change:
    def __init__(self, entered: list[str], left: list[str]) -> None:
        self.entered, self.left = entered, left


class Watch:
    """A standing query whose news the test makes."""

    def __init__(self, filters: list[Value]) -> None:
        self.filters = filters
        self.news: list[Change | Dropped] = []
        self.closed = False

    def members(self) -> list[str]:
        return ["one", "two"]

    def take(self) -> Change | Dropped | None:
        return self.news.pop(0) if self.news else None

    def close(self) -> None:
        self.closed = True


class Desk:
    """A feed with a log, and what it is to send."""

    def __init__(self, limit: int = 1000, most: int = 4, watches: bool = True) -> None:
        self.events = EventLog(capacity=8, epoch_s=lambda: 1.5, stream="run")
        self.watches: list[Watch] = []
        self.woken = 0
        self.feed = Feed(self.events, Encoder(), self._wake, limit, most, self._watch if watches else None)  # type: ignore[arg-type]

    def _wake(self) -> None:
        self.woken += 1

    def _watch(self, filters: list[Value], wake: object) -> Watch:
        assert wake == self._wake
        self.watches.append(Watch(filters))
        return self.watches[-1]

    def subscribe(self, wanted: Value = None, from_sequence: int = -1, snapshot: bool = False) -> int:
        told: Any = self.feed.subscribe(wanted, from_sequence, snapshot, "run")
        assert told["stream"] == "run"
        return int(told["subscription"])

    def took(self) -> list[tuple[str, dict[str, Any]]]:
        messages = [json.loads(text) for text in self.feed.take()]
        assert all(message["jsonrpc"] == "2.0" and "id" not in message for message in messages)
        return [(message["method"], message["params"]) for message in messages]


def test_each_subscription_has_its_events_with_all_that_is_known_of_them() -> None:
    desk = Desk()
    all_, calls = desk.subscribe(), desk.subscribe({"types": ["call.*"]})
    desk.events.publish("room.joined", room="r", attributes={"n": 1})
    desk.events.publish("call.started", call="c", attributes={"from": "Müller", "quote": '"'})
    one = {"sequence": 1, "type": "room.joined", "time": 1.5, "call": "", "room": "r", "attributes": {"n": 1}}
    two = {
        "sequence": 2,
        "type": "call.started",
        "time": 1.5,
        "call": "c",
        "room": "",
        "attributes": {"from": "Müller", "quote": '"'},
    }
    assert desk.took() == [
        ("events.event", {"subscription": number, **event}) for number, event in ((all_, one), (all_, two), (calls, two))
    ]
    assert desk.took() == [] and desk.woken == 4, "twice for what began, and once for each that had nothing before"


def test_one_that_has_much_to_tell_does_not_keep_the_others_waiting() -> None:
    desk = Desk()
    much, little = desk.subscribe(), desk.subscribe({"types": ["last"]})
    for _ in range(100):
        desk.events.publish("much")
    desk.events.publish("last")
    first = [params["subscription"] for _, params in desk.took()]
    assert first == [much] * 64 + [little]
    assert [params["sequence"] for _, params in desk.took()] == list(range(65, 102)), "and none is lost by that"


def test_what_was_before_comes_first_and_what_is_lost_is_named() -> None:
    desk = Desk()
    desk.events.add_snapshot("calls", lambda wanted: ["c"])
    for _ in range(10):
        desk.events.publish("x")
    present, again = desk.subscribe(snapshot=True), desk.subscribe(from_sequence=1)
    told = desk.took()
    assert told[0] == ("events.snapshot", {"subscription": present, "sequence": 10, "state": {"calls": ["c"]}})
    gap = {"subscription": again, "first": 1, "last": 2, "reason": "these events are no longer kept"}
    assert told[1] == ("events.gap", gap)
    assert [params["sequence"] for _, params in told[2:]] == list(range(3, 11))


def test_who_is_too_slow_is_told_so_once_and_is_heard_of_no_more() -> None:
    desk = Desk(limit=2)
    number = desk.subscribe()
    for _ in range(3):
        desk.events.publish("x")
    assert desk.took() == [("events.dropped", {"subscription": number, "reason": "too slow: 2 events were waiting"})]
    desk.events.publish("x")
    assert desk.took() == [] and desk.feed.unsubscribe(number) is False


def test_a_watch_tells_who_came_and_who_left_and_ends_when_it_is_dropped() -> None:
    desk = Desk()
    assert desk.feed.watch([["app", "echo"]]) == {"watch": 1, "ids": ["one", "two"]}
    (watch,) = desk.watches
    assert watch.filters == [["app", "echo"]] and desk.took() == []
    watch.news = [Change(["three"], []), Change([], ["one"]), Dropped("too slow")]
    assert desk.took() == [("events.changed", {"watch": 1, "entered": ["three"], "left": []})]
    assert desk.took() == [("events.changed", {"watch": 1, "entered": [], "left": ["one"]})]
    assert desk.took() == [("events.dropped", {"watch": 1, "reason": "too slow"})]
    watch.news = [Change(["four"], [])]
    assert desk.took() == [] and desk.feed.unwatch(1) is False


def test_without_the_store_there_is_no_watch() -> None:
    with pytest.raises(JsonRpcError, match="Method not found"):
        Desk(watches=False).feed.watch([])


def test_there_are_so_many_and_no_more_and_one_that_ends_makes_room() -> None:
    desk = Desk(most=2)
    number = desk.subscribe()
    desk.feed.watch([])
    for begin in (desk.subscribe, lambda: desk.feed.watch([])):
        with pytest.raises(JsonRpcError):
            begin()
    assert desk.feed.unsubscribe(number) is True and not desk.events.subscribers
    assert desk.subscribe() == 3, "a number is not used again"


def test_a_filter_that_is_none_begins_nothing() -> None:
    desk = Desk()
    with pytest.raises(TypeMismatch):
        desk.subscribe({"typo": []})
    assert not desk.events.subscribers and desk.feed.in_use() == []


def test_what_it_was_asked_by_and_that_nothing_stays_when_the_connection_ends() -> None:
    desk = Desk()
    desk.subscribe()
    assert desk.feed.in_use() == ["subscribe"]
    desk.feed.watch([])
    assert desk.feed.in_use() == ["subscribe", "watch"]
    desk.feed.close()
    assert desk.feed.in_use() == [] and not desk.events.subscribers and desk.watches[0].closed
