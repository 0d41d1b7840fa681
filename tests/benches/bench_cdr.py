# SPDX-License-Identifier: GPL-2.0-or-later
"""What call records cost: the spool at so many calls a second with one file as way out.

    python tests/benches/bench_cdr.py [calls a second] [seconds]

Three changes a call (open, answered, closed), each as the hub makes it. CPU of the process beside that of the same changes without a
disk (`:memory:` has no sync), and how long a call waits for its record.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

from di.kernel.sqlite_thread import SqliteThread
from di.stores.cdr import record as cdr
from di.stores.cdr import spool
from di.stores.cdr.delivery import Delivery
from di.stores.cdr.sinks.files import LineFile
from di.stores.cdr.start import GATHER_S
from tests.support.bare_hub import bare_services

SINKS = ("jsonl",)


async def one(database: SqliteThread, delivery: Delivery, random: Random, waits: list[float]) -> None:
    """A call's three changes."""
    now_s = time.time()
    record = cdr.CallRecord(
        id=cdr.new_id(now_s, random), call="1A2B3C4D-65F0A1B2000C3500-00010001", linked="1A2B3C4D-65F0A1B2000C3500-00010001",
        direction="in", app="announcement", from_='"Alice" <sip:alice@example.org>;tag=1', to="<sip:announce@127.0.0.1>",
        ruri="sip:announce@127.0.0.1", start=cdr.time_text(now_s),
    )  # fmt: skip
    began = time.perf_counter()
    await database.run(partial(spool.keep_open, record=record, now_s=now_s))
    waits.append(time.perf_counter() - began)
    record = replace(record, answer=cdr.time_text(now_s))
    await database.run(partial(spool.keep_open, record=record, now_s=now_s))
    await database.run(partial(spool.close, record=cdr.closed(record, now_s), sinks=SINKS, now_s=now_s))
    delivery.wake()


async def measure(folder: Path, rate: int, seconds: int) -> tuple[float, list[float], int]:
    """CPU seconds of the process, each call's wait, commits."""
    database = SqliteThread(folder / "cdr.db", spool.SCHEMA, GATHER_S)
    await database.open()
    delivery = Delivery(
        LineFile("jsonl", str(folder / "cdr.jsonl"), lambda entry: entry.text), database, bare_services()[1], 3600
    )
    delivery.start()
    waits: list[float] = []
    random, began, calls = Random(1), time.perf_counter(), []
    spent = time.process_time()
    for number in range(rate * seconds):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        calls.append(asyncio.ensure_future(one(database, delivery, random, waits)))
    await asyncio.gather(*calls)
    await delivery.finish(10)
    spent = time.process_time() - spent
    await database.close()
    lines = len((folder / "cdr.jsonl").read_text().splitlines())
    assert lines == rate * seconds, f"{lines} of {rate * seconds} records arrived"
    return spent, waits, database.commits


def main() -> None:
    """Measure and print."""
    rate, seconds = (int(text) for text in (*sys.argv[1:], "300", "10")[:2])
    with tempfile.TemporaryDirectory() as folder:
        spent, waits, commits = asyncio.run(measure(Path(folder), rate, seconds))
    calls = rate * seconds
    quantiles = statistics.quantiles(waits, n=1000)
    print(f"{rate} calls/s, {calls} calls: {spent / calls * 1e6:.0f} us of CPU a call, {commits / seconds:.0f} commits/s")
    print(
        f"a call waits for its record: median {quantiles[499] * 1e3:.1f} ms, p99 {quantiles[989] * 1e3:.1f} ms, most {max(waits) * 1e3:.1f} ms"
    )


if __name__ == "__main__":
    main()
