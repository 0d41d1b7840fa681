# SPDX-License-Identifier: GPL-2.0-or-later
"""Law: a subscriber gets every matching event in order, or a Gap that names it, or Dropped as the last item.

No hole without a word.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from di.kernel.event_log import Dropped, EventFilter, EventLog, Gap, LoggedEvent, Snapshot, Subscriber

TYPES = ["call.started", "call.ended", "dtmf", "room.joined"]
FILTERS = st.builds(
    EventFilter,
    types=st.sets(st.sampled_from([*TYPES, "call.*", "room.*"]), max_size=2).map(frozenset),
    calls=st.sets(st.sampled_from(["a", "b"]), max_size=1).map(frozenset),
    rooms=st.sets(st.sampled_from(["r"]), max_size=1).map(frozenset),
    attributes=st.sampled_from([(), (("n", 1),), (("n", "1"),), (("n", 1), ("m", 2))]),
)


@dataclass
class Reader:
    subscriber: Subscriber
    expected_from: int
    """The lowest event number that this reader has neither got nor been told to be lost."""
    wakes: int = 0
    got: list[int] = field(default_factory=list)
    idle: bool = False


def wants(wanted: EventFilter, event: LoggedEvent) -> bool:
    """The filter's meaning, written a second time."""
    by_type = not wanted.types or any(
        event.type == t or (t.endswith(".*") and event.type.startswith(t[:-1])) for t in wanted.types
    )
    by_place = (not wanted.calls or event.call in wanted.calls) and (not wanted.rooms or event.room in wanted.rooms)
    by_attribute = all(
        name in event.attributes and type(event.attributes[name]) is type(value) and event.attributes[name] == value
        for name, value in wanted.attributes
    )
    return by_type and by_place and by_attribute


class NoHoleWithoutGap(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.events = EventLog(capacity=6, stream="now")
        self.events.add_snapshot("head", lambda wanted: self.events.last_sequence)
        self.all: list[LoggedEvent] = []
        self.readers: list[Reader] = []

    @rule(
        type=st.sampled_from(TYPES),
        call=st.sampled_from(["", "a", "b"]),
        room=st.sampled_from(["", "r"]),
        attributes=st.sampled_from([{}, {"n": 1}, {"n": "1"}, {"n": 1, "m": 2}]),
    )
    def publish(self, type: str, call: str, room: str, attributes: dict[str, object]) -> None:
        waiting = {id(r): r.subscriber.waiting for r in self.readers}
        wakes = {id(r): r.wakes for r in self.readers}
        number = self.events.publish(type, call, room, attributes)
        self.all.append(LoggedEvent(number, type, 0.0, call, room, attributes))
        assert number == len(self.all)
        for reader in self.readers:
            if reader.idle and waiting[id(reader)] == 0 and reader.subscriber.waiting:
                assert reader.wakes == wakes[id(reader)] + 1, "an idle reader is woken"
                reader.idle = False

    @precondition(lambda self: len(self.readers) < 5)
    @rule(
        wanted=FILTERS,
        back=st.none() | st.integers(-3, 12),
        snapshot=st.booleans(),
        limit=st.integers(1, 4),
        stream=st.sampled_from(["", "now", "earlier"]),
    )
    def subscribe(self, wanted: EventFilter, back: int | None, snapshot: bool, limit: int, stream: str) -> None:
        start = None if back is None else self.events.last_sequence + 1 - back
        subscriber = self.events.subscribe(wanted, start, snapshot, limit=limit, stream=stream)
        reader = Reader(subscriber, self.events.last_sequence + 1)
        self.readers.append(reader)

        def wake() -> None:
            reader.wakes += 1

        subscriber.on_ready = wake
        if snapshot:
            first = subscriber.take()
            assert first == Snapshot(len(self.all), {"head": len(self.all)})
        elif start is not None:
            restarted = start > len(self.all) + 1 or stream == "earlier"
            if restarted:
                assert isinstance(subscriber.take(), Gap)
            kept = self.events.ring[0].sequence if self.all else 1
            reader.expected_from = kept if restarted else max(start, 1)

    @precondition(lambda self: self.readers)
    @rule(data=st.data(), count=st.integers(1, 8))
    def read(self, data: st.DataObject, count: int) -> None:
        reader = data.draw(st.sampled_from(self.readers))
        for _ in range(count):
            item = reader.subscriber.take()
            if item is None:
                self._nothing_left_out(reader, len(self.all) + 1)
                reader.idle = True
                return
            reader.idle = False
            if isinstance(item, Dropped):
                assert reader.subscriber.reason == item.reason != ""
                assert reader.subscriber.take() is None
                assert reader.subscriber not in self.events.subscribers
                self.readers.remove(reader)
                return
            if isinstance(item, Gap):
                assert item.first == reader.expected_from <= item.last < self.events.ring[0].sequence
                reader.expected_from = item.last + 1
                continue
            assert isinstance(item, LoggedEvent)
            assert item == self.all[item.sequence - 1]
            self._nothing_left_out(reader, item.sequence)
            assert wants(reader.subscriber.filter, item)
            reader.expected_from = item.sequence + 1

    def _nothing_left_out(self, reader: Reader, before: int) -> None:
        skipped = self.all[reader.expected_from - 1 : before - 1]
        assert not [event for event in skipped if wants(reader.subscriber.filter, event)]
        assert before >= reader.expected_from
        reader.expected_from = before

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def unsubscribe(self, data: st.DataObject) -> None:
        reader = data.draw(st.sampled_from(self.readers))
        self.readers.remove(reader)
        self.events.unsubscribe(reader.subscriber)
        assert reader.subscriber not in self.events.subscribers

    @invariant()
    def bounded(self) -> None:
        assert len(self.events.ring) <= 6
        for reader in self.readers:
            assert reader.subscriber.waiting <= reader.subscriber.limit


NoHoleWithoutGap.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestNoHoleWithoutGap = NoHoleWithoutGap.TestCase
