# SPDX-License-Identifier: GPL-2.0-or-later
"""How long `reloadDSMs` keeps the hub's loop from its next turn: `python -m tests.benches.bench_reload [scripts]`.

The server of state diagrams runs here with a folder of scripts (300 of 80 lines), a timer of 1 ms notes how late it is: while nothing happens, and
while all are read again. `chrt -r 1` before it keeps other programs of the machine out of the figures. Longer than 5 ms is too long.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import tempfile
import time
from pathlib import Path

from di import dsm
from di.boot import make_loop
from tests.benches.bench_dsm import ring
from tests.support.playbook import Playbook

LONG_S = 0.005
TURNS = 5


class Lateness:
    """How late a timer of 1 ms is, turn by turn."""

    def __init__(self) -> None:
        self.late_s: list[float] = []

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            due = time.monotonic() + 0.001
            await asyncio.sleep(0.001)
            self.late_s.append(time.monotonic() - due)

    def report(self, name: str, seconds: float) -> None:
        """A line; what was noted is forgotten."""
        late = sorted(self.late_s) or [0.0]
        over = sum(one > LONG_S for one in late)
        print(
            f"{name:24} {seconds:6.2f} s  late by {late[len(late) // 2] * 1e3:5.2f} ms (median), {late[len(late) * 99 // 100] * 1e3:5.2f} (p99),"
            f" {late[-1] * 1e3:5.2f} (longest), over 5 ms: {over} of {len(late)}"
        )
        self.late_s.clear()


async def main(scripts: int) -> None:
    """Load the scripts, and again, beside the timer."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dsm").mkdir()
        for number in range(scripts):
            (Path(folder) / "dsm" / f"script{number}.dsm").write_text(ring(20 + number % 20))
        book = Playbook(conf_dir=Path(folder))
        names = ",".join(f"script{number}" for number in range(scripts))
        conf = f"diag_path={folder}/dsm\nload_diags={names}\nregister_apps=script0\n"
        (Path(folder) / "dsm.conf").write_text(conf)
        book.load(dsm.PLUGIN, conf)
        gc.collect()
        gc.freeze()  # as the hub does after its start
        lateness = Lateness()
        watch = asyncio.create_task(lateness.watch())
        await asyncio.sleep(1)
        lateness.report("nothing", 1)
        for _ in range(TURNS):
            begun = time.monotonic()
            answer = await book.services.registry.call("dsm", "reloadDSMs", [])
            assert answer == [200, "DSMs reloaded"], answer
            await asyncio.sleep(0)
            lateness.report("reloadDSMs", time.monotonic() - begun)
        watch.cancel()


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # these scripts have no word for a hangup, and say so
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 300))
