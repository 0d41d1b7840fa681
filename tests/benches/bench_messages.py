# SPDX-License-Identifier: GPL-2.0-or-later
"""What the message storage takes: many callers who hang up in one moment, listing, marking, and a folder without an index.

    python tests/benches/bench_messages.py [messages] [boxes] [folder]

Each message is 20 s of 16-bit audio at 8 kHz. The folder should be on the disk that is meant; what it holds is removed.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path

from di.stores.messages import BoxOwner, MsgCode
from di.stores.msg_storage.keeper import Keeper, Quota
from di.stores.msg_storage.storage import MessageStorage
from di.stores.msg_storage.sweep import Retention, Sweeper
from di.stores.msg_storage.worker import Worker, lock_patience

MESSAGE_BYTES = 20 * 16_000


async def timed(work: Awaitable[object], waits: list[float]) -> None:
    """How long one waits."""
    began = time.perf_counter()
    await work
    waits.append(1000 * (time.perf_counter() - began))


def say(what: str, waits: list[float], whole_s: float) -> None:
    """One line of the result."""
    longest = max(waits)
    print(f"{what}: {whole_s:.2f} s in all, {statistics.median(waits):.1f} ms each by the median, {longest:.1f} ms the longest")


def forget_index(root: Path) -> None:
    """As if nobody had ever made one."""
    for path in root.glob(".index.db*"):
        path.unlink()


async def measure(root: Path, messages: int, boxes: int) -> None:
    """All of it, in a folder of its own."""
    keeper = Keeper(root, Quota(), time.time_ns, lock_patience)
    worker = Worker(keeper)
    storage = MessageStorage(keeper, worker)
    owners = [BoxOwner("shop.example", f"user{number}") for number in range(boxes)]
    recordings = [storage.recording_path() for _ in range(messages)]
    for path in recordings:
        path.write_bytes(bytes(MESSAGE_BYTES))

    async def store(number: int, path: Path) -> None:
        stored = await storage.store(owners[number % boxes], f"17{number:08}+bob.wav", path)
        assert stored.code is MsgCode.OK, stored

    waits: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(timed(store(number, path), waits) for number, path in enumerate(recordings)))
    say(f"{messages} messages stored at once in {boxes} boxes", waits, time.perf_counter() - began)
    for what in ("boxes listed, one after another", "boxes listed again"):
        waits, began = [], time.perf_counter()
        for owner in owners:
            await timed(storage.messages(owner), waits)
        say(what, waits, time.perf_counter() - began)
        await asyncio.sleep(3.1)  # until the folders' times are old enough to be believed
    waits, began = [], time.perf_counter()
    for number in range(min(messages, 100)):
        await timed(storage.mark_read(owners[number % boxes], f"17{number:08}+bob.wav"), waits)
    say("messages marked read, one after another", waits, time.perf_counter() - began)
    await worker.close()
    forget_index(root)
    keeper = Keeper(root, Quota(), time.time_ns, lock_patience)
    worker = Worker(keeper)
    began = time.perf_counter()
    await Sweeper(keeper, MessageStorage(keeper, worker), Retention(0, 0, 24), time.time_ns).read_all()
    print(f"the index of {messages} messages in {boxes} boxes made anew: {time.perf_counter() - began:.2f} s")
    await worker.close()


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:3]]
    with tempfile.TemporaryDirectory(dir=sys.argv[3] if len(sys.argv) > 3 else None) as place:
        asyncio.run(measure(Path(place) / "boxes", *(numbers + [500, 100][len(numbers) :])))
