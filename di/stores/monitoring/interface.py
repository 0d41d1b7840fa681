# SPDX-License-Identifier: GPL-2.0-or-later
"""DI module `monitoring`: SEMS's functions over the store, with their exact answers (spec monitoring.md §3)."""

from __future__ import annotations

import logging
import struct
from collections.abc import Awaitable, Callable

from di.kernel.errors import CallFailed, OutOfBounds, TypeMismatch
from di.kernel.filter import Pairs, parse_pair
from di.kernel.registry import Caller, RawArgs, di_method
from di.kernel.value import LongLong, Value
from di.stores.monitoring import scan
from di.stores.monitoring.regex import BadPattern, compile_basic
from di.stores.monitoring.samples import SECOND_US, Samples, Window, last_seconds
from di.stores.monitoring.store import Store, copy_value

log = logging.getLogger(__name__)
_TIMEVAL = struct.Struct("@ll")


def _ok() -> list[Value]:
    return [0, "OK"]


class Monitoring:
    """Attributes, life cycle and samples of calls, by id. `epoch_s` is the wall clock."""

    def __init__(self, store: Store, samples: Samples, epoch_s: Callable[[], float], max_records: int = 1_000_000) -> None:
        self._store, self._samples, self._epoch_s, self._max_records = store, samples, epoch_s, max_records

    def _room_for(self, id: str) -> None:
        """Refuse one more record when there are `max_records`. What the core writes about calls has its place in any case."""
        if id not in self._store and len(self._store) >= self._max_records:
            raise CallFailed(
                f"monitoring holds {len(self._store)} records, and max_records={self._max_records}: clearFinished, erase or "
                "run_garbage_collector=yes make room"
            )

    def _now_s(self) -> int:
        return int(self._epoch_s())

    def _now_us(self) -> int:
        return int(self._epoch_s() * SECOND_US)

    # --- attributes (§3.1) ---

    @di_method("log", "set")
    def log(self, id: str, *pairs: Value) -> list[Value]:
        """Set attributes of a record: id, key, value, key, value … The record is created."""
        attributes: dict[str, Value] = {}
        problem: Exception | None = None
        for at in range(0, len(pairs), 2):
            name = pairs[at]
            if type(name) is not str:
                problem = TypeMismatch(f"monitoring.log: key {at // 2} must be a string, not {type(name).__name__}")
                break
            if at + 1 >= len(pairs):
                problem = OutOfBounds(f"monitoring.log: the value of {name!r} is missing")
                break
            attributes[name] = pairs[at + 1]
        self._room_for(id)
        self._store.set(id, attributes)  # the pairs before a faulty one are stored, as in SEMS
        if problem is not None:
            raise problem
        return _ok()

    @di_method("logAdd", "add")
    def add(self, id: str, key: str, value: Value) -> list[Value]:
        """Append a value to an attribute, which becomes an array. The record is created."""
        self._room_for(id)
        self._store.add(id, key, value)
        return _ok()

    @di_method("inc")
    def inc(self, id: str, key: str) -> list[Value]:
        """Add 1 to an integer attribute; anything that is no integer counts as 0. The record is created."""
        self._room_for(id)
        self._store.add_count(id, key, 1)
        return _ok()

    @di_method("dec")
    def dec(self, id: str, key: str) -> list[Value]:
        """Subtract 1 from an integer attribute; anything that is no integer counts as 0. The record is created."""
        self._room_for(id)
        self._store.add_count(id, key, -1)
        return _ok()

    @di_method("addCount", listed=False)
    def add_count(self, id: str, key: str, amount: int) -> list[Value]:
        """Add an amount to an integer attribute; anything that is no integer counts as 0. The record is created."""
        self._room_for(id)
        self._store.add_count(id, key, amount)
        return _ok()

    # --- samples (§3.4) ---

    @di_method("addSample")
    def add_sample(self, id: str, name: str, *rest: Value) -> list[Value]:
        """Add a sample: id, name, count = 1, time = now (a native struct timeval); or id, name, time."""
        count, time_us = 1, None
        if rest and type(rest[0]) is bytes:
            time_us = _timeval_us(rest[0])
        elif rest and type(rest[0]) is int:
            count = rest[0]
            if len(rest) > 1 and type(rest[1]) is bytes:
                time_us = _timeval_us(rest[1])
        if not self._samples.room_for(id, name, self._now_us(), self._max_records):
            raise CallFailed(f"there are samples of {self._max_records} names (max_records); erase some")
        self._samples.add(id, name, count, self._now_us() if time_us is None else time_us)
        return _ok()

    # --- life cycle (§3.2) ---

    @di_method("markFinished")
    def mark_finished(self, id: str) -> list[Value]:
        """Mark a record finished now, unless it is already. The record is created."""
        self._room_for(id)
        self._store.mark_finished(id, self._now_s())
        return _ok()

    @di_method("setExpiration")
    def set_expiration(self, id: str, epoch: int) -> list[Value]:
        """Set the time (seconds since 1970) from which a record counts as finished; 0 makes it active again.

        The record is created.
        """
        self._room_for(id)
        self._store.set_expiration(id, epoch)
        return _ok()

    @di_method("erase")
    def erase(self, id: str) -> list[Value]:
        """Remove one record and its samples."""
        self._store.erase(id)
        self._samples.erase(id)
        return _ok()

    @di_method("eraseByFilter")
    def erase_by_filter(self, filters: RawArgs) -> list[str] | Awaitable[list[str]]:
        """Remove the records that match every filter, finished or not, and return their ids: [attribute, value], …"""
        pairs = self._pairs(filters)
        if pairs is None:
            return []
        store, found = self._store, scan.find(self._store, pairs)

        def still(id: str) -> bool:
            return store.matches(id, pairs)

        return scan.erase(store, found, still) if isinstance(found, list) else _erase_found(store, found, still)

    @di_method("clear")
    def clear(self) -> list[Value] | Awaitable[list[Value]]:
        """Remove all records and samples."""
        large = len(self._store) > scan.IDS
        held = self._store.clear()
        self._samples.clear()
        return _after(scan.give_back(held)) if large else _ok()

    @di_method("clearFinished")
    def clear_finished(self) -> list[Value] | Awaitable[list[Value]]:
        """Remove all finished records with their samples."""
        now_s, store = self._now_s(), self._store

        def over(id: str) -> bool:
            if not store.is_finished(id, now_s):
                return False
            self._samples.erase(id)
            return True

        erased = scan.erase_ended(store, over)
        return _ok() if isinstance(erased, list) else _after(_let_go(erased))

    # --- reading (§3.3) ---

    @di_method("get", changes=False)
    def get(self, id: str) -> list[Value]:
        """A record's attributes as [struct], or [] when there is no such record."""
        return [copy_value(self._store.get(id))] if id in self._store else []

    @di_method("getSingle", listed=False, changes=False)
    def get_single(self, id: str, key: str) -> list[Value]:
        """One attribute as [value], or [] when record or attribute is missing."""
        attributes = self._store.get(id) or {}
        return [copy_value(attributes[key])] if key in attributes else []

    @di_method("getAttribute", changes=False)
    def get_attribute(self, attr: str) -> list[Value] | Awaitable[list[Value]] | None:
        """[[id, value], …] of all records; a missing attribute is Undef. Undef when the store is empty."""
        return scan.attribute(self._store, attr) if self._store else None

    @di_method("getAttributeActive", changes=False)
    def get_attribute_active(self, attr: str) -> list[Value] | Awaitable[list[Value]]:
        """[[id, value], …] of the active records; a missing attribute is Undef."""
        now_s = self._now_s()
        return scan.attribute(self._store, attr, lambda id: not self._store.is_finished(id, now_s))

    @di_method("getAttributeFinished", changes=False)
    def get_attribute_finished(self, attr: str) -> list[Value] | Awaitable[list[Value]]:
        """[[id, value], …] of the finished records; a missing attribute is Undef."""
        now_s = self._now_s()
        return scan.attribute(self._store, attr, lambda id: self._store.is_finished(id, now_s))

    @di_method("getCount", changes=False)
    def get_count(self, caller: Caller, id: str, name: str, *window: Value) -> list[Value]:
        """Sum the samples of the last seconds: id, name, seconds = 1; or id, name, now, from, to (native struct timevals)."""
        return [self._samples.count(id, name, self._window(window), _may_drop(caller))]

    @di_method("getAllCounts", listed=False, changes=False)
    def get_all_counts(self, caller: Caller, id: str, *window: Value) -> dict[str, LongLong]:
        """Sum the samples of every name of an id: id, seconds = 1, now; or id, now, from, to (native struct timevals)."""
        seconds_first = len(window) > 1 and type(window[0]) is int and type(window[1]) is bytes
        if seconds_first:
            now_us = _timeval_us(window[1]) or self._now_us()
            assert isinstance(window[0], int)
            return self._samples.counts(id, last_seconds(now_us, window[0]), _may_drop(caller))
        return self._samples.counts(id, self._window(window), _may_drop(caller))

    def _window(self, args: tuple[Value, ...]) -> Window:
        if args and type(args[0]) is int:
            return last_seconds(self._now_us(), args[0])
        times_us = [_timeval_us(arg) for arg in args[:3] if type(arg) is bytes]
        if not times_us:
            return last_seconds(self._now_us(), 1)
        now_us = times_us[0] or self._now_us()
        from_us = times_us[1] if len(times_us) > 1 else now_us - SECOND_US
        to_us = times_us[2] if len(times_us) > 2 and times_us[0] else now_us
        return Window(now_us, from_us, to_us)

    @di_method("countAttribute", listed=False, changes=False)
    def count_attribute(self, attr: str) -> list[Value]:
        """[number of records that have the attribute]; not in SEMS."""
        return [self._store.index.count(attr)]

    @di_method("sampleRates", listed=False, changes=False)
    def sample_rates(self) -> dict[str, int]:
        """Sample name → counts of the last whole second, over all ids; not in SEMS."""
        return self._samples.rates(self._now_us())

    @di_method("list", changes=False)
    def list_all(self) -> list[str] | Awaitable[list[str]]:
        """The ids of all records."""
        return scan.ids(self._store)

    @di_method("listByFilter", changes=False)
    def list_by_filter(self, filters: RawArgs) -> list[str] | Awaitable[list[str]]:
        """The ids of active records that match every filter, by value and type: [attribute, value], … Without a filter: all active ones.

        A call that has ended is in no room any more, though its record stays until the collector comes: `list`, `listFinished`,
        `get` and `getAttribute` still show it.
        """
        pairs, now_s = self._pairs(filters), self._now_s()
        return [] if pairs is None else scan.find(self._store, pairs, lambda id: not self._store.is_finished(id, now_s))

    def _pairs(self, filters: Value) -> Pairs | None:
        """The filter, None when it cannot match. Raises TypeMismatch, OutOfBounds."""
        if not self._store:
            return None
        if not isinstance(filters, list):
            raise TypeMismatch("a filter is an array of [attribute, value] pairs")
        pairs: Pairs = ()
        for pair in filters:
            try:
                pairs += (parse_pair(pair),)
            except (TypeMismatch, OutOfBounds):
                if self._store.has_match(pairs):  # SEMS looks at a pair only when some record matches those before it
                    raise
                return None
        return pairs

    @di_method("listByRegex", changes=False)
    def list_by_regex(self, attr: str, regex: str) -> list[str] | Awaitable[list[str]]:
        """The ids of records whose attribute is a string that matches a POSIX basic regular expression somewhere."""
        try:
            matches = compile_basic(regex)
        except BadPattern as error:
            log.error("listByRegex: pattern %.80r: %s", regex, error)
            return []
        return scan.by_text(self._store, attr, matches)

    @di_method("listFinished", changes=False)
    def list_finished(self) -> list[str] | Awaitable[list[str]]:
        """The ids of the finished records."""
        now_s = self._now_s()
        if self._store.finished_count(now_s) <= scan.IDS:
            return self._store.finished_ids(now_s)
        return scan.ids(self._store, lambda id: self._store.is_finished(id, now_s))

    @di_method("listActive", changes=False)
    def list_active(self) -> list[str] | Awaitable[list[str]]:
        """The ids of the records that are not finished."""
        now_s = self._now_s()
        return scan.ids(self._store, lambda id: not self._store.is_finished(id, now_s))


def _may_drop(caller: Caller) -> bool:
    """As in SEMS a query drops what is too old at the time it names, for good; of a caller who may only read it drops nothing."""
    return caller.would_allow("monitoring", "addSample")


async def _erase_found(store: Store, finding: Awaitable[list[str]], still: Callable[[str], bool]) -> list[str]:
    erased = scan.erase(store, await finding, still)
    return erased if isinstance(erased, list) else await erased


async def _let_go(erasing: Awaitable[list[str]]) -> None:
    await scan.give_back([await erasing])


async def _after(work: Awaitable[object]) -> list[Value]:
    await work
    return _ok()


def _timeval_us(blob: Value) -> int:
    """Read a native `struct timeval`. Raises TypeMismatch for another length."""
    if not isinstance(blob, bytes) or len(blob) != _TIMEVAL.size:
        raise TypeMismatch(f"a time must be a struct timeval of {_TIMEVAL.size} bytes")
    seconds, microseconds = _TIMEVAL.unpack(blob)
    return int(seconds) * SECOND_US + int(microseconds)
