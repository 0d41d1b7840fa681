# SPDX-License-Identifier: GPL-2.0-or-later
"""The event log: what happened, numbered without holes, kept in a bounded ring, delivered to any number of subscribers. Pure.

    publish ─► ring (last `capacity` events) ──replay──┐
           └─► each subscriber whose filter matches ───┴─► bounded queue ─► take(): Snapshot, Gap, Event …, Dropped

A subscriber gets every matching event, in order, or is told what it did not get: `Gap` names the numbers that left the ring before they
could be delivered; `Dropped` ends a subscription whose reader was too slow. Publishing never waits and costs one comparison a
subscriber. Replay is read from the ring as the reader takes it, so it needs no queue.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from di.kernel.errors import TypeMismatch
from di.kernel.filter import Pairs, matches, parse_pairs
from di.kernel.value import Value
from media.control.quick_records import record

log = logging.getLogger(__name__)

_LOOKS = 200
"""Events that are looked at in one piece for who wants to have them again: some tenths of a millisecond."""
TYPES = (
    *("call.started", "call.answered", "call.muted", "call.ended", "dtmf", "room.joined", "room.left", "room.speaking"),
    *("room.announce_failed", "dsm.state", "monitoring.changed", "message.changed"),
    *("recording.started", "recording.stopped", "recording.deleted"),
)


@record(frozen=True, slots=True)
class LoggedEvent:
    """One thing that happened. `time_s` is wall-clock time; attributes are read only."""

    sequence: int
    type: str
    time_s: float = 0.0
    call: str = ""
    room: str = ""
    attributes: dict[str, Value] = field(default_factory=dict)


_Kept: TypeAlias = tuple[int, str, float, str, str, dict[str, Value]]


@dataclass(frozen=True, slots=True)
class Gap:
    """Events `first` to `last` are lost for this subscriber; whether any matched its filter is not known."""

    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after event `sequence`, by source (`calls`, `rooms` …). The next event has a higher number."""

    sequence: int
    state: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Dropped:
    """The subscription was ended by the server; nothing follows."""

    reason: str


Item: TypeAlias = LoggedEvent | Gap | Snapshot | Dropped


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a subscriber wants; an empty part lets everything pass. `types` may end in `.*`."""

    types: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()
    rooms: frozenset[str] = frozenset()
    attributes: Pairs = ()

    @classmethod
    def parse(cls, spec: Value) -> EventFilter:
        """Read `{"types": […], "calls": […], "rooms": […], "attributes": [[name, value], …]}`; None is everything.

        Raises TypeMismatch or OutOfBounds with what would be right.
        """
        if spec is None:
            return cls()
        if not isinstance(spec, dict):
            raise TypeMismatch("an event filter is a struct with any of: types, calls, rooms, attributes")
        for name in spec:
            if name not in ("types", "calls", "rooms", "attributes"):
                raise TypeMismatch(f"an event filter has no {name!r:.40}; it has: types, calls, rooms, attributes")
        pairs = spec.get("attributes", [])
        if not isinstance(pairs, list):
            raise TypeMismatch("attributes of an event filter must be an array of [name, value] pairs")
        return cls(_names(spec, "types"), _names(spec, "calls"), _names(spec, "rooms"), parse_pairs(pairs))

    def matches(self, event: LoggedEvent) -> bool:
        """Whether the subscriber wants this event."""
        if self.types and event.type not in self.types and event.type.partition(".")[0] + ".*" not in self.types:
            return False
        if self.calls and event.call not in self.calls:
            return False
        if self.rooms and event.room not in self.rooms:
            return False
        return not self.attributes or matches(event.attributes, self.attributes)


def _names(spec: dict[str, Value], part: str) -> frozenset[str]:
    names = spec.get(part, [])
    texts = [name for name in names if isinstance(name, str)] if isinstance(names, list) else None
    if texts is None or not isinstance(names, list) or len(texts) < len(names):
        raise TypeMismatch(f"{part} of an event filter must be an array of strings")
    return frozenset(texts)


class Subscriber:
    """One reader of the log.

    Made by `EventLog.subscribe`; read with `take` until it gives None, then wait for `on_ready`.
    """

    def __init__(self, events: EventLog, wanted: EventFilter, limit: int, on_ready: Callable[[], None] | None) -> None:
        self.filter, self.limit, self.on_ready = wanted, limit, on_ready
        self._events = events
        self._queue: deque[Item] = deque()
        self._cursor = events.last_sequence + 1
        self._live = True
        self.reason = ""
        """Why the server ended this subscription; empty while it runs."""

    @property
    def closed(self) -> bool:
        """Whether the subscription has ended; `take` may still have items."""
        return bool(self.reason)

    @property
    def waiting(self) -> int:
        """How many items are queued (replay not counted)."""
        return len(self._queue)

    def begin(self, first: Item | None, cursor: int) -> None:
        """Start with an item, if any, and then with what the ring has from number `cursor` on."""
        if first is not None:
            self._queue.append(first)
        self._cursor = cursor
        self._live = False

    def take(self) -> Item | None:
        """The next item, or None when there is none now, or none among the next `_LOOKS` that are replayed: then `on_ready` has been called."""
        if self._queue:
            return self._queue.popleft()
        return None if self._live or self.closed else self._replay()

    def _replay(self) -> Item | None:
        for _ in range(_LOOKS):
            if self._cursor > self._events.last_sequence:
                self._live = True
                return None
            oldest = self._events.oldest_sequence
            if self._cursor < oldest:
                gap = Gap(self._cursor, oldest - 1, "these events are no longer kept")
                self._cursor = oldest
                return gap
            event = self._events.kept(self._cursor)
            self._cursor += 1
            if self.filter.matches(event):
                return event
        self._wake()
        return None

    def offer(self, event: LoggedEvent) -> None:
        """Called by the log for each new event."""
        if self._live and self.filter.matches(event):
            if len(self._queue) >= self.limit:
                self.drop(f"too slow: {self.limit} events were waiting")
                return
            self._put(event)

    def drop(self, reason: str) -> None:
        """End the subscription: what waits is discarded and `Dropped` is the last item."""
        if self.closed:
            return
        self.reason = reason
        self._queue.clear()
        self._events.unsubscribe(self)
        self._events.dropped_count += 1
        self._put(Dropped(reason))

    def _put(self, item: Item) -> None:
        self._queue.append(item)
        if len(self._queue) == 1:
            self._wake()

    def _wake(self) -> None:
        if self.on_ready is None:
            return
        try:
            self.on_ready()
        except Exception:
            log.exception("an event subscriber's wake-up failed; it is dropped")
            self.on_ready = None
            self.drop("its reader failed")


SnapshotSource = Callable[[EventFilter], Value]


class EventLog:
    """The numbered log.

    `capacity`: events kept for replay; `epoch_s`: the wall clock; `stream` names this run's numbering.
    """

    def __init__(self, capacity: int = 16384, epoch_s: Callable[[], float] = lambda: 0.0, stream: str = "") -> None:
        self._ring: deque[_Kept] = deque(maxlen=capacity)
        """Fields of a `LoggedEvent` each, which is made for who reads it: mostly nobody does."""
        self.last_sequence = 0
        self.stream = stream
        self.dropped_count = 0
        self._epoch_s = epoch_s
        self._subscribers: dict[Subscriber, None] = {}
        self._sources: dict[str, SnapshotSource] = {}

    @property
    def subscribers(self) -> tuple[Subscriber, ...]:
        """Everybody who listens now."""
        return tuple(self._subscribers)

    @property
    def ring(self) -> list[LoggedEvent]:
        """Every event that is kept, the oldest first."""
        return [LoggedEvent(*kept) for kept in self._ring]

    def kept(self, sequence: int) -> LoggedEvent:
        """The event of that number, which is kept."""
        return LoggedEvent(*self._ring[sequence - self._ring[0][0]])

    @property
    def oldest_sequence(self) -> int:
        """Number of the oldest event that is kept; 1 before the first one."""
        return self._ring[0][0] if self._ring else 1

    def publish(self, type: str, call: str = "", room: str = "", attributes: dict[str, Value] | None = None) -> int:
        """Append an event and return its number.

        The attributes belong to the log from here on. Never waits, never raises.
        """
        sequence = self.last_sequence = self.last_sequence + 1
        kept = sequence, type, self._epoch_s(), call, room, {} if attributes is None else attributes
        self._ring.append(kept)
        if self._subscribers:
            event = LoggedEvent(*kept)
            for subscriber in tuple(self._subscribers):
                subscriber.offer(event)
        return sequence

    def subscribe(
        self,
        filter: EventFilter | None = None,
        from_sequence: int | None = None,
        snapshot: bool = False,
        *,
        stream: str = "",
        limit: int = 1000,
        on_ready: Callable[[], None] | None = None,
    ) -> Subscriber:
        """Start listening.

        Without more: events from now on. `snapshot`: the present state first. `from_sequence`: replay from that
        number on; what is no longer kept is named by a Gap. `stream`: the numbering that `from_sequence` belongs to;
        another one than this log's (the server was restarted) gives a Gap and everything that is kept. `limit`: so
        many events may wait before the subscriber is dropped. `on_ready` is called when there is something to take
        and there was nothing before; it must not block.
        """
        subscriber = Subscriber(self, filter or EventFilter(), max(limit, 1), on_ready)
        if snapshot:
            state = {name: source(subscriber.filter) for name, source in self._sources.items()}
            subscriber.begin(Snapshot(self.last_sequence, state), self.last_sequence + 1)
        elif from_sequence is not None:
            self._resume(subscriber, from_sequence, stream)
        self._subscribers[subscriber] = None
        return subscriber

    def _resume(self, subscriber: Subscriber, from_sequence: int, stream: str) -> None:
        if from_sequence > self.last_sequence + 1 or (stream and stream != self.stream):
            gap = Gap(from_sequence, from_sequence, "the numbering has started anew; events of the earlier run are lost")
            subscriber.begin(gap, self.oldest_sequence)
        else:
            subscriber.begin(None, max(from_sequence, 1))

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Stop listening; without effect when it has stopped."""
        self._subscribers.pop(subscriber, None)

    def add_snapshot(self, name: str, source: SnapshotSource) -> None:
        """Let a module contribute to snapshots under a name.

        `source(filter)` returns what a subscriber with that filter should start from.
        """
        self._sources[name] = source

    def remove_snapshot(self, name: str) -> None:
        """Undo `add_snapshot`."""
        self._sources.pop(name, None)
