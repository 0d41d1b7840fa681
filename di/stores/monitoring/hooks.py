# SPDX-License-Identifier: GPL-2.0-or-later
"""What core and modules write into the store, and what the store writes into the event log (spec monitoring.md §4)."""

from __future__ import annotations

from collections.abc import Callable

from di.kernel.event_log import EventLog
from di.kernel.filter import parse_pairs
from di.kernel.value import Value
from di.stores.monitoring.samples import Samples
from di.stores.monitoring.standing_queries import Query
from di.stores.monitoring.store import OnChange, Store, copied

CHANGE = "monitoring_change"
"""Attribute of a monitoring.changed event that says what happened, unless attributes were simply set."""


class StoreHooks:
    """`di.kernel.ports.MonitoringHooks` over the store, with the rest that in-process modules need."""

    def __init__(self, store: Store, samples: Samples, epoch_s: Callable[[], float]) -> None:
        self.store, self.samples = store, samples
        self._epoch_s = epoch_s

    def log(self, id: str, **attributes: Value) -> None:
        """Set attributes of a record."""
        self.store.set(id, attributes)

    def log_add(self, id: str, name: str, value: Value) -> None:
        """Append a value to an attribute."""
        self.store.add(id, name, value)

    def mark_finished(self, id: str) -> None:
        """The record's call is over."""
        self.store.mark_finished(id, int(self._epoch_s()))

    def watch(self, filters: list[Value], on_ready: Callable[[], None]) -> Query:
        """Begin a standing query for a gateway; `on_ready` is called when its result has changed. Raises as `parse_pairs`."""
        return Query(self.store, parse_pairs(filters), on_ready=on_ready)


def publisher(events: EventLog) -> OnChange:
    """Return a function that turns each change of the store into a monitoring.changed event."""

    def publish(what: str, id: str, attributes: dict[str, Value]) -> None:
        shown = copied(attributes)
        if what != "set":
            shown[CHANGE] = what
        events.publish("monitoring.changed", call=id, attributes=shown)

    return publish
