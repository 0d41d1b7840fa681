# SPDX-License-Identifier: GPL-2.0-or-later
"""What a WebSocket client listens to: its subscriptions and watches, turned into JSON-RPC notifications. Pure.

events.event     {subscription, sequence, type, time, call, room, attributes}
events.snapshot  {subscription, sequence, state}          events.gap      {subscription, first, last, reason}
events.changed   {watch, entered, left}                   events.dropped  {subscription | watch, reason}
"""

from __future__ import annotations

from collections.abc import Callable

from di.kernel.event_log import Dropped, EventFilter, EventLog, Gap, Item, LoggedEvent, Snapshot, Subscriber
from di.kernel.ports import MakeQuery, StandingQuery
from di.kernel.value import Value
from interfaces.jsonrpc.methods import JsonRpcError
from interfaces.jsonrpc.strict import dumps

_TURN = 64
"""Notifications of one subscription before the next one has its turn."""


class Encoder:
    """Encodes an event once for all subscribers that get it in the same moment."""

    def __init__(self) -> None:
        self._last: LoggedEvent | None = None
        self._text = b""

    def event(self, number: int, event: LoggedEvent) -> bytes:
        """The notification of an event for one subscription."""
        if event is not self._last:
            body: dict[str, Value] = {
                "sequence": event.sequence,
                "type": event.type,
                "time": event.time_s,
                "call": event.call,
                "room": event.room,
                "attributes": event.attributes,
            }
            self._last, self._text = event, dumps(body)[1:]
        return b'{"jsonrpc":"2.0","method":"events.event","params":{"subscription":%d,%s}' % (number, self._text)


def notification(method: str, params: dict[str, Value]) -> bytes:
    """Any other notification."""
    return dumps({"jsonrpc": "2.0", "method": method, "params": params})


class Feed:
    """The subscriptions of one connection. `wake` is called when there is something to take; `limit` is each one's queue."""

    def __init__(
        self, events: EventLog, encoder: Encoder, wake: Callable[[], None], limit: int, most: int, make_watch: MakeQuery | None
    ) -> None:
        self._events, self._encoder, self._wake = events, encoder, wake
        self._limit, self._most, self._make_watch = limit, most, make_watch
        self._subscriptions: dict[int, Subscriber] = {}
        self._watches: dict[int, StandingQuery] = {}
        self._number = 0

    def subscribe(self, wanted: Value, from_sequence: int, snapshot: bool, stream: str) -> Value:
        """Begin a subscription. Raises JsonRpcError when there are too many, TypeMismatch or OutOfBounds for a bad filter."""
        number = self._next_number()
        subscriber = self._events.subscribe(
            EventFilter.parse(wanted),
            from_sequence if from_sequence >= 0 else None,
            snapshot,
            stream=stream,
            limit=self._limit,
            on_ready=self._wake,
        )
        self._subscriptions[number] = subscriber
        self._wake()
        return {"subscription": number, "sequence": self._events.last_sequence, "stream": self._events.stream}

    def unsubscribe(self, number: int) -> Value:
        """End a subscription."""
        subscriber = self._subscriptions.pop(number, None)
        if subscriber is not None:
            self._events.unsubscribe(subscriber)
        return subscriber is not None

    def watch(self, filters: list[Value]) -> Value:
        """Begin a watch. Raises as `subscribe`."""
        if self._make_watch is None:
            raise JsonRpcError(-32601, "Method not found", "module not loaded")
        number = self._next_number()
        watch = self._watches[number] = self._make_watch(filters, self._wake)
        return {"watch": number, "ids": list(watch.members())}

    def unwatch(self, number: int) -> Value:
        """End a watch."""
        watch = self._watches.pop(number, None)
        if watch is not None:
            watch.close()
        return watch is not None

    def _next_number(self) -> int:
        if len(self._subscriptions) + len(self._watches) >= self._most:
            raise JsonRpcError(-32000, "Server error", f"one connection has at most {self._most} subscriptions and watches")
        self._number += 1
        return self._number

    def in_use(self) -> list[str]:
        """The functions of `events` that what is delivered here was asked by."""
        return ["subscribe"] * bool(self._subscriptions) + ["watch"] * bool(self._watches)

    def take(self) -> list[bytes]:
        """Some notifications that are due, each subscription's in order; empty when there are none."""
        texts: list[bytes] = []
        for number, subscriber in list(self._subscriptions.items()):
            for _ in range(_TURN):
                item = subscriber.take()
                if item is None:
                    break
                texts.append(self._encode(number, item))
                if isinstance(item, Dropped):
                    del self._subscriptions[number]
                    break
        for number, watch in list(self._watches.items()):
            change = watch.take()
            if isinstance(change, Dropped):
                texts.append(notification("events.dropped", {"watch": number, "reason": change.reason}))
                del self._watches[number]
            elif change is not None:
                params: dict[str, Value] = {"watch": number, "entered": [*change.entered], "left": [*change.left]}
                texts.append(notification("events.changed", params))
        return texts

    def _encode(self, number: int, item: Item) -> bytes:
        match item:
            case LoggedEvent():
                return self._encoder.event(number, item)
            case Snapshot():
                return notification("events.snapshot", {"subscription": number, "sequence": item.sequence, "state": item.state})
            case Gap():
                params: dict[str, Value] = {"subscription": number, "first": item.first, "last": item.last, "reason": item.reason}
                return notification("events.gap", params)
            case Dropped():
                return notification("events.dropped", {"subscription": number, "reason": item.reason})

    def close(self) -> None:
        """End everything."""
        for number in list(self._subscriptions):
            self.unsubscribe(number)
        for number in list(self._watches):
            self.unwatch(number)
