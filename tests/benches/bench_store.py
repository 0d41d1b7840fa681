# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitoring store and the event log: what a query, a write and a fan-out cost, and memory per record.

    python -m tests.benches.bench_store [records …]      default: 1000 100000 1000000

Budget (design): listByFilter, 100 000 records, 100 matches: ≤ 0.5 ms.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import resource
import sys
import time
from collections.abc import Awaitable, Callable

from di.kernel.event_log import Dropped, EventFilter, EventLog
from di.kernel.registry import Registry
from di.kernel.value import Value
from di.stores.monitoring.interface import Monitoring
from di.stores.monitoring.samples import Samples
from di.stores.monitoring.store import Store

MATCHES = 100


def measure(call: Callable[[], object], seconds: float = 0.3) -> float:
    """Microseconds a call, the best of several rounds."""
    call()
    start = time.perf_counter()
    call()
    rounds = max(1, int(seconds / 5 / max(time.perf_counter() - start, 1e-7)))
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(rounds):
            call()
        best = min(best, (time.perf_counter() - start) / rounds)
    return best * 1e6


def rss_bytes() -> int:
    """Resident memory of this process now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def session_id(number: int) -> str:
    """An id in the shape of a session's."""
    return f"{number * 2654435761 % 2**32:08X}-{number:08X}{number * 40503 % 2**16:04x}-{number % 65536:08X}"


def fill(store: Store, records: int) -> float:
    """Write what the core logs for a call; returns microseconds a record."""
    rooms = max(1, records // MATCHES)
    start = time.perf_counter()
    for number in range(records):
        store.set(
            session_id(number),
            {
                "app": "webconference",
                "dir": "in",
                "from": f"<sip:user{number}@example.net>;tag={number:x}",
                "to": "<sip:room@example.org>",
                "ruri": f"sip:room{number % rooms}@192.0.2.1",
                "callid": f"{number:x}@192.0.2.7",
                "room": f"room{number % rooms}",
            },
        )
    return (time.perf_counter() - start) / records * 1e6


def bench_store(records: int) -> None:
    """Print one table row a measurement."""
    gc.collect()
    before = rss_bytes()
    store = Store()
    write_us = fill(store, records)
    per_record = (rss_bytes() - before) / records
    registry = Registry()
    registry.register("monitoring", Monitoring(store, Samples(10), time.time))

    def di(method: str, *args: Value) -> Callable[[], object]:
        return lambda: registry.invoke("monitoring", method, list(args))

    some = session_id(records // 2)
    found = registry.invoke("monitoring", "listByFilter", [["room", "room5"]])
    assert isinstance(found, list)
    start = time.perf_counter()
    gc.collect()
    collection_ms = (time.perf_counter() - start) * 1e3
    print(f"\n{records} records of 7 attributes: {write_us:.1f} us to write one, {per_record:.0f} bytes each,")
    print(f"  a full cycle collection takes {collection_ms:.1f} ms")
    rows = [
        (f"listByFilter, {len(found)} matches", di("listByFilter", ["room", "room5"])),
        ("listByFilter, 2 pairs, the other matches all", di("listByFilter", ["app", "webconference"], ["room", "room5"])),
        ("listByFilter, 1 match (callid)", di("listByFilter", ["callid", "1f4@192.0.2.7"])),
        ("listByFilter, no match", di("listByFilter", ["room", "none"])),
        ("get", di("get", some)),
        ("log one attribute, changing", _toggler(registry, some)),
        ("inc", di("inc", some, "n")),
    ]
    for name, call in rows:
        print(f"  {name:<46} {measure(call):>12.1f} us")
    for name, call in (("list", di("list")), ("list after a new record", _grower(registry)), ("listActive", di("listActive"))):
        whole_us, held_us = min(asyncio.run(_held(call)) for _ in range(5))
        print(f"  {name:<46} {whole_us:>12.1f} us, the loop is held for {held_us:.1f} us")


async def _held(call: Callable[[], object]) -> tuple[float, float]:
    """CPU microseconds a call takes, and the longest time in which nothing else had its turn."""
    longest = 0.0
    last = start = time.thread_time()
    answer = call()
    if isinstance(answer, Awaitable):
        task = asyncio.ensure_future(answer)
        while not task.done():
            now = time.thread_time()
            longest, last = max(longest, now - last), now
            await asyncio.sleep(0)
    end = time.thread_time()
    return (end - start) * 1e6, max(longest, end - last) * 1e6


def _grower(registry: Registry) -> Callable[[], object]:
    numbers = itertools.count(10**7)

    def write_and_list() -> object:
        registry.invoke("monitoring", "log", [session_id(next(numbers)), "app", "x"])
        return registry.invoke("monitoring", "list", [])

    return write_and_list


def _toggler(registry: Registry, id: str) -> Callable[[], object]:
    state = [0]

    def write() -> object:
        state[0] ^= 1
        return registry.invoke("monitoring", "log", [id, "dsm_state", f"S{state[0]}"])

    return write


def bench_fan_out(subscribers: int = 100, per_s: int = 200, seconds: int = 10) -> None:
    """Publish as many events as a loaded server does in some seconds; one subscriber never reads."""
    gc.collect()
    events = EventLog()
    readers = [events.subscribe(EventFilter(), limit=1000) for _ in range(subscribers)]
    sleeper, *awake = readers
    worst_us = busy_s = 0.0
    taken = 0
    for number in range(per_s * seconds):
        start = time.perf_counter()
        events.publish("dsm.state", call=f"call{number % 50}", attributes={"state": "S1", "diagram": "main"})
        took = time.perf_counter() - start
        busy_s += took
        worst_us = max(worst_us, took * 1e6)
        for reader in awake:
            while reader.take() is not None:
                taken += 1
    assert taken == (subscribers - 1) * per_s * seconds
    assert isinstance(sleeper.take(), Dropped)
    total = per_s * seconds
    print(f"\nfan-out, {per_s} events/s to {subscribers} subscribers, one never reads (dropped after 1000 events)")
    print(f"  publish                                        {busy_s / total * 1e6:>12.1f} us an event, worst {worst_us:.0f} us")
    print(f"  share of one core at that rate                 {busy_s / seconds * 100:>12.2f} %")


def main(sizes: list[int]) -> None:
    """Run everything."""
    for records in sizes:
        bench_store(records)
    bench_fan_out()


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [1000, 100_000, 1_000_000])
