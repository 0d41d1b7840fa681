# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitoring store: id → attributes, with an index, life cycle and standing queries (spec monitoring.md §2–3). Pure: time comes in.

    write ─► record (one of 16 buckets) ─► index (attribute, value) ─► watches that mention the old or new value ─► `on_change`

Records are bare dicts in dicts: a dict of plain values is invisible to Python's cycle collector, so a million records cost memory but no
collection pauses. Enumeration order is SEMS's: bucket, then bytes of the id. Times are whole seconds since 1970, as in SEMS.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from collections.abc import Set as AbstractSet

from di.kernel.filter import Pairs, matches
from di.kernel.value import LongLong, Value
from di.stores.monitoring.index import COMPOUND, AttributeIndex, ManyIds, key_of
from di.stores.monitoring.watches import Notify, Watch, Watches

BUCKETS = 16
_LOOKS = 5000
_RUN = 4000
"""Ids that are sorted at once: about 2 ms."""
_SPARE = 500
"""So many ids of erased records a bucket may remember until somebody asks for the order."""
Attributes = dict[str, Value]
HeldTable = (
    dict[str, Attributes | None] | dict[str, int] | dict[Hashable, str | dict[str, None] | ManyIds] | dict[str, None] | Attributes
)
Held = HeldTable | list[str]
"""A table of the store that is not in use any more."""
_SCALARS = frozenset((str, int, bool, float, bytes, LongLong, type(None)))
OnChange = Callable[[str, str, Attributes], None]
"""Called after a write with what happened (`set added finished removed cleared`), the id and the attributes concerned."""


def bucket_of(id: str) -> int:
    """XOR of the first five bytes, modulo 16 (spec monitoring.md §2)."""
    mixed = int.from_bytes(id[:5].encode("utf-8", "surrogateescape")[:5], "big")
    mixed ^= mixed >> 32  # each step folds one half onto the other
    mixed ^= mixed >> 16
    mixed ^= mixed >> 8
    return mixed % BUCKETS


def order_of(id: str) -> bytes:
    """Sort key of SEMS's enumeration order."""
    return bytes((bucket_of(id),)) + id.encode("utf-8", "surrogateescape")


def copy_value(value: Value) -> Value:
    """Copy containers deeply, as AmArg assignment does; scalars are shared."""
    if type(value) in _SCALARS:  # nearly all
        return value
    if isinstance(value, (list, tuple)):
        return [copy_value(element) for element in value]
    if isinstance(value, dict):
        return {name: copy_value(element) for name, element in value.items()}
    return value


def copied(attributes: Attributes) -> Attributes:
    """A table of attributes of its own, as `copy_value` copies."""
    if _SCALARS.issuperset(map(type, attributes.values())):
        return attributes.copy()
    return {name: copy_value(value) for name, value in attributes.items()}


def _both(some: AbstractSet[str], others: AbstractSet[str]) -> AbstractSet[str]:
    """What stands in both: costs the smaller one."""
    fewer, more = (some, others) if len(some) <= len(others) else (others, some)
    return {id for id in fewer if id in more} if type(more) is ManyIds else more & fewer


class _Bucket(dict[str, "Attributes | None"]):
    """Records by id, of a class of its own: Python's collector keeps in sight whatever holds dicts, so a full collection looked at each of
    half a million records (27 ms). A plain dict comes into its sight with the first record; this one is there before the hub freezes what
    stands after its start, and not looked at after that.
    """

    __slots__ = ()


class _Order:
    """The order of one bucket's ids, made when it is asked for: new ones are merged into what was sorted before.

    Erased ones are left out then; one that was erased and made again meanwhile stands in both parts for a while.
    """

    __slots__ = ("_ascii", "_fresh", "_halves", "_kept", "_looked", "_runs", "_sorted", "_twice", "erased")

    def __init__(self) -> None:
        self._sorted: list[str] = []
        self._fresh: list[str] = []
        self._runs = 0
        """So many of the fresh ones stand in sorted runs already."""
        self._kept: list[str] = []
        self._looked = 0
        """So many of the sorted ones have been looked at since some were erased; `_kept` are those that are left."""
        self._halves = 0
        """How many of the fresh ones' halves are sorted."""
        self._twice = False
        self._ascii = True
        self.erased = False

    def created(self, id: str, bucket: dict[str, Attributes | None]) -> None:
        """There is a new id in `bucket`. Where nobody asks for the order for long, erased ones are left out now and then."""
        self._fresh.append(id)
        if len(self._fresh) > 2 * len(bucket) + _SPARE:
            self._fresh = [id for id in dict.fromkeys(self._fresh) if id in bucket]
            self._runs = self._halves = 0
        self._twice = self._twice or self.erased or self._looked > 0
        self._ascii = self._ascii and id.isascii()

    def held(self) -> list[str]:
        """What it holds, for who gives a large order back in pieces; this one is not used afterwards."""
        return self._sorted

    def prepare(self, bucket: dict[str, Attributes | None]) -> bool:
        """Do some of what `of` would do at once. True when that is little work now."""
        if self._looked or (self.erased and len(self._sorted) > _RUN):
            return self._leave_out_some(bucket)
        start = self._runs
        if len(self._fresh) - start <= _RUN:
            return self._halves_sorted()
        run = self._fresh[start : start + _RUN]
        run.sort(key=None if self._ascii else order_of)
        self._fresh[start : start + _RUN] = run
        self._runs = start + len(run)
        return False

    def _halves_sorted(self) -> bool:
        """Of many sorted runs make two, one after the other; `of` then makes one of them. True when that is done, or not worth while."""
        if len(self._fresh) <= 2 * _RUN or self._halves == 2:
            return True
        middle = len(self._fresh) // 2
        part = slice(middle, None) if self._halves else slice(0, middle)
        half = self._fresh[part]
        half.sort(key=None if self._ascii else order_of)
        self._fresh[part] = half
        self._halves += 1
        return False

    def _leave_out_some(self, bucket: dict[str, Attributes | None]) -> bool:
        """Of the sorted ids, some that are erased. What is erased while that goes on is for the next time."""
        if not self._looked:
            self.erased = False
        some = self._sorted[self._looked : self._looked + _RUN]
        self._kept += [id for id in some if id in bucket]
        self._looked += len(some)
        if self._looked >= len(self._sorted):
            self._sorted, self._kept, self._looked = self._kept, [], 0
            self._fresh = [id for id in self._fresh if id in bucket]
            self._runs = self._halves = 0
        return False

    def of(self, bucket: dict[str, Attributes | None]) -> list[str]:
        """The ids of `bucket`, which is this one's."""
        if self.erased or self._looked:
            self._sorted = [id for id in self._sorted if id in bucket]
            self._fresh = [id for id in self._fresh if id in bucket]
            self._kept, self._looked, self._runs, self._halves, self.erased = [], 0, 0, 0, False
        if self._fresh:
            self._sorted = self._sorted + self._fresh
            self._sorted.sort(key=None if self._ascii else order_of)  # one long run and some more: little more than its length
            self._fresh, self._runs, self._halves = [], 0, 0
        if self._twice:
            self._sorted = list(dict.fromkeys(self._sorted))
            self._twice = False
        return self._sorted


class Store:
    """All records. A record's attributes are None until the first is written (AmArg Undef)."""

    def __init__(self, on_change: OnChange | None = None) -> None:
        self.on_change = on_change
        self.index = AttributeIndex()
        self._buckets = [_Bucket() for _ in range(BUCKETS)]
        self._orders = [_Order() for _ in range(BUCKETS)]
        self._finished: list[dict[str, int]] = [{} for _ in range(BUCKETS)]
        self._timed: set[str] = set()
        """Ids whose time was set by `set_expiration`, and may be still to come."""
        self._watches = Watches(self._matches)

    def __len__(self) -> int:
        return sum(map(len, self._buckets))

    def __contains__(self, id: str) -> bool:
        return id in self._buckets[bucket_of(id)]

    # --- writing ---

    def set(self, id: str, attributes: Attributes) -> None:
        """Create the record if need be and replace attributes. Containers are copied."""
        if not attributes:
            return
        record = self._record(id)
        changes: list[tuple[str, Value, Value]] = []
        for name, value in attributes.items():
            if type(value) is str and name not in record:  # a new call's attributes: most writes
                record[name] = value
                self.index.add_text(name, value, id)
                changes.append((name, None, value))
            else:
                self._put(record, id, name, copy_value(value), changes)
        self._tell("set", id, attributes, changes)

    def add(self, id: str, name: str, value: Value) -> None:
        """Append to an attribute: absent becomes a one-element array, a scalar `[old, value]`."""
        record = self._record(id)
        old = record.get(name)
        new = copy_value(value)
        changes: list[tuple[str, Value, Value]] = []
        if isinstance(old, list):
            old.append(new)
            changes.append((name, old, old))  # one key for all arrays, so the index stays as it is
        else:
            self._put(record, id, name, [new] if old is None else [old, new], changes)
        self._tell("added", id, {name: value}, changes)

    def add_count(self, id: str, name: str, amount: int) -> None:
        """Add to an Int attribute; any other type restarts from 0. Wraps at 64 bits like a C long."""
        record = self._record(id)
        old = record.get(name)
        total = (old if type(old) is int else 0) + amount
        total = (total + 2**63) % 2**64 - 2**63
        changes: list[tuple[str, Value, Value]] = []
        self._put(record, id, name, total, changes)
        self._tell("set", id, {name: total}, changes)

    def _record(self, id: str) -> Attributes:
        number = bucket_of(id)
        bucket = self._buckets[number]
        record = bucket.get(id)
        if record is None:
            new = id not in bucket
            record = bucket[id] = {}
            if new:
                self._created(id, number)
        return record

    def _created(self, id: str, number: int) -> None:
        self._orders[number].created(id, self._buckets[number])
        if self._watches:
            self._watches.created(id)

    def _put(self, record: Attributes, id: str, name: str, value: Value, changes: list[tuple[str, Value, Value]]) -> None:
        old = record.get(name)
        record[name] = value
        if self.index.replace(name, old, value, id):
            changes.append((name, old, value))

    def _tell(self, what: str, id: str, attributes: Attributes, changes: list[tuple[str, Value, Value]]) -> None:
        if not changes and what == "set":
            return
        if self._watches:
            self._watches.touched(id, changes)
        if self.on_change is not None:
            self.on_change(what, id, attributes)

    # --- life cycle ---

    def mark_finished(self, id: str, now_s: int) -> None:
        """Mark a record finished now, creating it if need be; a time set earlier stays."""
        number = self._touch(id)
        finished = self._finished[number]
        if id not in finished:
            finished[id] = now_s
            if self._watches:
                self._watches.removed(id, self.get(id))
            self._tell("finished", id, {}, [])

    def set_expiration(self, id: str, epoch_s: int) -> None:
        """Set the time from which a record counts as finished; 0 makes it active."""
        self._touch(id)
        if epoch_s:
            self._finished[bucket_of(id)][id] = epoch_s
            self._timed.add(id)
        else:
            self._finished[bucket_of(id)].pop(id, None)
            self._timed.discard(id)
        if self._watches:
            self._watches.touched(id, [(name, None, value) for name, value in (self.get(id) or {}).items()])
            self._watches.created(id)

    def _touch(self, id: str) -> int:
        """Make the record if need be; the number of its bucket."""
        number = bucket_of(id)
        if id not in self._buckets[number]:
            self._buckets[number][id] = None
            self._created(id, number)
        return number

    def erase(self, id: str) -> bool:
        """Remove one record; False when there was none."""
        number = bucket_of(id)
        bucket = self._buckets[number]
        if id not in bucket:
            return False
        attributes = bucket.pop(id)
        self._orders[number].erased = True
        self._finished[number].pop(id, None)
        self._timed.discard(id)
        for name, value in (attributes or {}).items():
            self.index.remove(name, value, id)
        if self._watches:
            self._watches.removed(id, attributes)
        if self.on_change is not None:
            self.on_change("removed", id, {})
        return True

    def ended(self, number: int) -> list[str]:
        """Ids of one bucket's records with a time at which they are finished, come or not, in no order."""
        return list(self._finished[number])

    def ended_count(self) -> int:
        """How many records have such a time."""
        return sum(map(len, self._finished))

    def clear(self) -> list[Held]:
        """Remove all records. Returns what held them: emptying that takes time, which the caller may take in pieces."""
        held: list[Held] = [*self._buckets, *self._finished, *self.index.clear(), *(order.held() for order in self._orders)]
        self._buckets = [_Bucket() for _ in range(BUCKETS)]
        self._orders = [_Order() for _ in range(BUCKETS)]
        self._finished = [{} for _ in range(BUCKETS)]
        self._timed = set()
        self._watches.cleared()
        if self.on_change is not None:
            self.on_change("cleared", "", {})
        return held

    # --- reading ---

    def get(self, id: str) -> Attributes | None:
        """A record's attributes, to be read only; None when it has none or does not exist (see `in`)."""
        return self._buckets[bucket_of(id)].get(id)

    def ids(self) -> list[str]:
        """All ids in order, as a new list."""
        everything: list[str] = []
        for number in range(BUCKETS):
            everything += self.bucket_ids(number)
        return everything

    def prepare(self, number: int) -> bool:
        """Do a part of what `bucket_ids` would do. True when nothing worth mentioning is left; else call it again."""
        return self._orders[number].prepare(self._buckets[number])

    def preparations(self, number: int) -> int:
        """How often that is worth while: somebody who goes on writing and erasing must not keep who reads from ever coming to an end."""
        return 2 + 3 * len(self._buckets[number]) // _RUN

    def bucket_ids(self, number: int) -> list[str]:
        """The ids of one bucket in order. The list is never changed, so that it can be read on later; do not change it."""
        return self._orders[number].of(self._buckets[number])

    def items(self) -> Iterator[tuple[str, Attributes | None]]:
        """Id and attributes of all records in order."""
        for number in range(BUCKETS):
            bucket = self._buckets[number]
            for id in self.bucket_ids(number):
                yield id, bucket[id]

    def is_finished(self, id: str, now_s: int) -> bool:
        """Whether a record was marked finished, at a time that has come."""
        return self._finished[bucket_of(id)].get(id, now_s + 1) <= now_s

    def finished_ids(self, now_s: int) -> list[str]:
        """Ids of finished records in order."""
        return sorted(self._over(now_s), key=order_of)

    def active_ids(self, now_s: int) -> list[str]:
        """Ids of records that are not finished, in order."""
        finished = {*self._over(now_s)}
        return [id for id in self.ids() if id not in finished] if finished else self.ids()

    def _over(self, now_s: int) -> Iterator[str]:
        return (id for finished in self._finished for id, time_s in finished.items() if time_s <= now_s)

    def unfinished_ids(self, now_s: int) -> Iterator[str]:
        """Ids of records that are not finished, in no order, one by one."""
        return (id for bucket in self._buckets for id in bucket if not self.is_finished(id, now_s))

    def finished_count(self, now_s: int) -> int:
        """How many records are finished. Costs the number of those with an expiration time only."""
        return self.ended_count() - sum(self._finished[bucket_of(id)][id] > now_s for id in self._timed)

    def has_match(self, pairs: Pairs) -> bool:
        """Whether some record matches every pair. Looks at some thousands only, and says yes when there are more."""
        narrowest = min((self.index.find(name, value) for name, value in pairs if value is not None), key=len, default=None)
        ids: Iterable[str] = (id for bucket in self._buckets for id in bucket) if narrowest is None else narrowest
        return any(number >= _LOOKS or matches(self.get(id), pairs) for number, id in enumerate(ids))

    def candidates(self, pairs: Pairs) -> int:
        """How many records `find` looks at; at most so many match."""
        return min((len(self.index.find(name, value)) for name, value in pairs if value is not None), default=len(self))

    def matches(self, id: str, pairs: Pairs) -> bool:
        """Whether a record exists and matches."""
        return id in self and matches(self.get(id), pairs)

    def find(self, pairs: Pairs) -> list[str]:
        """Ids of records that match every pair, in order."""
        return self.in_order(self._find(pairs))

    def _find(self, pairs: Pairs) -> Iterable[str]:
        found: AbstractSet[str] | None = None
        compare: list[tuple[str, Value]] = []
        for name, value in sorted(pairs, key=lambda pair: pair[1] is None):
            if value is None or key_of(value) is COMPOUND:
                compare.append((name, value))
            if value is not None:
                ids = self.index.find(name, value)
                found = ids if found is None else _both(found, ids)
                if not found:
                    return ()
        if not compare:
            return self.ids() if found is None else found
        candidates: Iterable[str] = self.ids() if found is None else found
        rest = tuple(compare)
        return [id for id in candidates if matches(self.get(id), rest)]

    def in_order(self, ids: Iterable[str]) -> list[str]:
        """Sort ids of existing records into enumeration order."""
        wanted = ids if isinstance(ids, AbstractSet) else set(ids)
        if len(wanted) * 8 > len(self) > 1000:
            return [id for id in self.ids() if id in wanted]
        return sorted(wanted, key=order_of)

    def _matches(self, id: str, pairs: Pairs) -> bool:
        """Whether a watch holds the record: one whose end is known does not count, also when it is written to once more."""
        return id in self and not self._is_over(id) and matches(self.get(id), pairs)

    def _is_over(self, id: str) -> bool:
        """Whether a record was marked finished. One whose time was set beforehand is shown until it is erased."""
        return id in self._finished[bucket_of(id)] and id not in self._timed

    # --- standing queries ---

    def watch(self, pairs: Pairs, notify: Notify) -> Watch:
        """Start a standing query.

        Its `members` are the result now; `notify(id, came)` is called for every change after that.
        """
        watch = Watch(pairs, {id for id in self._find(pairs) if not self._is_over(id)}, notify)
        self._watches.add(watch)
        return watch

    def unwatch(self, watch: Watch) -> None:
        """End a standing query."""
        self._watches.remove(watch)

    @property
    def watch_count(self) -> int:
        """How many standing queries there are."""
        return len(self._watches)
