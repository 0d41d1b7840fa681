# SPDX-License-Identifier: GPL-2.0-or-later
"""DI module `cdr`: how the records stand, and another try for what was laid aside. Not in SEMS."""

from __future__ import annotations

from collections.abc import Sequence

from di.kernel.errors import OutOfBounds
from di.kernel.registry import di_method
from di.kernel.sqlite_thread import SqliteThread
from di.kernel.value import Value
from di.stores.cdr import spool
from di.stores.cdr.delivery import Delivery
from di.stores.cdr.record import as_dict, time_text
from di.stores.cdr.recorder import Recorder
from di.stores.cdr.schema import schema

_MOST = 1000


class CallRecords:
    """Functions `cdr.…`."""

    def __init__(self, recorder: Recorder, deliveries: Sequence[Delivery], database: SqliteThread) -> None:
        self._recorder = recorder
        self._delivery_of = {delivery.sink.name: delivery for delivery in deliveries}
        self._database = database

    @di_method("status", changes=False)
    async def status(self) -> dict[str, Value]:
        """Return open records, and for each sink what is pending, since when, what was laid aside, and what is wrong."""
        sinks: dict[str, Value] = {}
        for name, delivery in self._delivery_of.items():
            backlog = await delivery.backlog()
            sinks[name] = {
                "pending": backlog.pending,
                "oldest": time_text(backlog.oldest_s),
                "dead": backlog.dead,
                "delivered": delivery.delivered,
                "problem": delivery.problem,
            }
        return {
            "open": len(self._recorder.open_ids()),
            "waiting_for_disk": self._recorder.waiting,
            "problem": self._database.problem,
            "sinks": sinks,
        }

    @di_method("open", changes=False)
    def open(self, limit: int = 100) -> list[Value]:
        """Return the records of calls that last, as they are now, at most `limit` of them."""
        if not 0 <= limit <= _MOST:
            raise OutOfBounds(f"limit {limit}; right is 0 to {_MOST}")
        return [as_value(as_dict(record)) for record in list(self._recorder.open_records())[:limit]]

    @di_method("dead", changes=False)
    async def dead(self, sink: str, limit: int = 100) -> list[Value]:
        """Return id, time and cause of records that a sink has refused for good, oldest first."""
        name, most = self._sink(sink).sink.name, min(max(limit, 0), _MOST)
        letters = await self._database.run(lambda connection: spool.dead_letters(connection, name, most))
        return [{"id": id, "at": time_text(at_s), "why": why} for id, at_s, why in letters]

    @di_method("retry", dangerous=True)
    async def retry(self, sink: str) -> int:
        """Try again, now, what a sink has not taken, also what was laid aside; returns how many of those there were."""
        delivery = self._sink(sink)
        count = await self._database.run(lambda connection: spool.revive(connection, delivery.sink.name))
        delivery.hurry()
        return count

    @di_method("schema", changes=False)
    def schema(self) -> Value:
        """Return the JSON Schema of a record."""
        return as_value(schema())

    def _sink(self, name: str) -> Delivery:
        delivery = self._delivery_of.get(name)
        if delivery is None:
            raise OutOfBounds(f"there is no sink {name!r}; configured are {', '.join(self._delivery_of)}")
        return delivery


def as_value(thing: object) -> Value:
    """Plain data as a DI value."""
    if isinstance(thing, dict):
        return {str(name): as_value(one) for name, one in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [as_value(one) for one in thing]
    return thing if isinstance(thing, (str, int, float)) else str(thing)
