# SPDX-License-Identifier: GPL-2.0-or-later
"""What stays of calls: of a hundred thousand that are over, and of those that are up and do nothing. For `bench_setup`.

Memory is what the kernel calls resident, of each process by itself: what they share counts several times.
"""

from __future__ import annotations

import statistics
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.benches.short_calls import CALLERS_IP, USERS, Cost, place, processes
from tests.support.leftovers import gauges, grown, growth_kb, left_over
from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp
from tests.support.usage import resident_kb

PARTS, MOST_A_PART = 8, 12_500
"""Each call of a part has a media port of its own, above 40000."""
TRANSACTIONS_S, PATIENCE_S = 32, 8
"""SIP's transactions stand for 64 * T1 (RFC 3261 §17.2.2, timer J); figures reach the hub once a second, and a busy machine is late."""
PORTS_S = 65
"""A port that nobody uses is closed after a minute."""
PROGRESS_S = 10
BUDGET_KB = 300
"""Of a call that does nothing, all processes together: design.md, "memory"."""


@dataclass(slots=True)
class Watch:
    """Looks at a server once a second while callers are at work: samples its memory, says now and then how far they are."""

    server: Server
    name: str
    calls: int
    samples: dict[str, list[int]] = field(default_factory=dict)
    seconds: int = 0

    def look(self, caller: Sipp) -> None:
        """A second has passed."""
        self.seconds += 1
        for role, kb in memory_kb(self.server).items():
            self.samples.setdefault(role, []).append(kb)
        if self.seconds % PROGRESS_S == 0:
            answered = caller.answered
            print(f"  {self.name}: {answered} of {self.calls} answered after {self.seconds} s", file=sys.stderr, flush=True)

    def median_kb(self) -> dict[str, int]:
        """By process; what it has now if there was no time to look."""
        return {role: int(statistics.median(found)) for role, found in self.samples.items()} or memory_kb(self.server)


def memory_kb(server: Server) -> dict[str, int]:
    """Of each process, now."""
    return {role: resident_kb(pid) for role, pid in processes(server).items()}


def descriptors(server: Server) -> str:
    """How many files and sockets each process has open."""
    return " / ".join(str(len(list(Path(f"/proc/{pid}/fd").iterdir()))) for pid in processes(server).values())


def metrics(server: Server) -> str:
    """The page /metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.web_port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def megabytes(memory: dict[str, int]) -> str:
    """Of each process, a cell."""
    return " / ".join(f"{kb / 1024:.1f}" for kb in memory.values())


def many(server: Server, kind: str, rate: int, calls: int) -> list[str]:
    """So many calls of a second in parts, a row of a table each, then what is left of them. Returns all that is not as it must be."""
    parts = max(PARTS, -(-calls // MOST_A_PART))
    roles = " / ".join(processes(server))
    print(
        f"| calls | failed | lost BYEs | retransmissions | us a call | MB: {roles} | descriptors |\n|---|---|---|---|---|---|---|",
        flush=True,
    )
    costs: list[Cost] = []
    memory: list[dict[str, int]] = []
    for part in range(parts):
        watch = Watch(server, f"part {part + 1} of {parts}", calls // parts)
        cost = place(server, kind, rate, calls // parts, 1000, watch.look)
        server.xml.di("monitoring", "clearFinished")  # they are kept until somebody says so
        costs.append(cost)
        memory.append(watch.median_kb())
        print(
            f"| {(part + 1) * (calls // parts)} | {cost.failed} | {cost.lost_byes} | {cost.retransmissions} | "
            f"{sum(cost.by_process.values()):.0f} | {megabytes(memory[-1])} | {descriptors(server)} |",
            flush=True,
        )
        cost.show_errors()
    wrong = after_all(server)
    share = ", ".join(f"{role} {kb} kB" for role, kb in growth_kb(memory).items())
    print(f"memory from the first part of the last half to the last: {share}", flush=True)
    wrong += grown(memory)
    for what, number in (
        ("calls failed", sum(cost.failed for cost in costs)),
        ("calls were not placed or not counted", calls // parts * parts - sum(cost.completed + cost.failed for cost in costs)),
        ("BYEs were lost", sum(cost.lost_byes for cost in costs)),
    ):
        wrong += [f"{number} {what}"] if number else []
    total = sum(cost.retransmissions for cost in costs)
    print(f"{sum(cost.completed for cost in costs)} calls completed, {total} retransmissions of the callers", flush=True)
    return wrong + [f"the log says: {line}" for line in server.log.splitlines() if "] ERROR: " in line][:5]


def after_all(server: Server) -> list[str]:
    """The gauges when the last transactions have ended, memory and ports then and later. Returns what is left."""
    ended_s = time.monotonic()
    print(f"  waiting {TRANSACTIONS_S} s for the last transactions", file=sys.stderr, flush=True)
    time.sleep(TRANSACTIONS_S)
    left = left_over(metrics(server))
    while left and time.monotonic() - ended_s < TRANSACTIONS_S + PATIENCE_S:
        time.sleep(0.5)
        left = left_over(metrics(server))
    page = metrics(server)
    said = "; ".join(left) or f"all {gauges(page)} at 0"
    print(f"\ngauges {time.monotonic() - ended_s:.0f} s after the last call: {said}")
    print(f"memory then: {megabytes(memory_kb(server))} MB; descriptors {descriptors(server)}", flush=True)
    time.sleep(max(ended_s + PORTS_S - time.monotonic(), 0))
    ports = sum(row["ports"] for row in server.json("status.media"))
    print(f"{PORTS_S} s after it: {ports:.0f} RTP ports open; descriptors {descriptors(server)}", flush=True)
    return [f"{one}, {TRANSACTIONS_S + PATIENCE_S} s after the last call" for one in left]


def idle(server: Server, kind: str, calls: int, rate: int = 100) -> None:
    """Memory before calls that do nothing, with them, and after them; before it as many as must be have shown what first calls cost."""
    rest(server, "before")
    rows = {"before": memory_kb(server)}
    caller = Sipp(
        "call", server.sip_port, calls=calls, rate=rate, hold_ms=None, user=USERS[kind], media_port_base=40000,
        local_ip=CALLERS_IP, trace=False, timeout_s=3600,
    )  # fmt: skip
    with caller:
        wait_until(lambda: caller.answered >= calls or not caller.running, "all calls are up", calls / rate + 60)
        rows[f"{calls} just up"] = memory_kb(server)
        rest(server, "with the calls")
        up = server.xml.calls()
        rows[f"{calls} up for {TRANSACTIONS_S + PATIENCE_S} s"] = memory_kb(server)
        caller.hang_up(rate)
        caller.wait(30)
    wait_until(lambda: not server.xml.calls(), "all calls gone")
    rest(server, "after")
    rows["after"] = memory_kb(server)
    show_idle(rows, calls, print)
    if up != calls:
        sys.exit(f"only {up} of {calls} calls stayed up")


def show_idle(rows: dict[str, dict[str, int]], calls: int, show: Callable[[str], object]) -> None:
    """A table of memory (kB) by process: `rows` before, just up, up for long, after."""
    before, _, lasting, _ = rows.values()
    show("| memory, MB | " + " | ".join(before) + " | all |\n|---|" + "---|" * (len(before) + 1))
    for name, row in rows.items():
        show(f"| {name} | " + " | ".join(f"{row[role] / 1024:.1f}" for role in before) + f" | {sum(row.values()) / 1024:.1f} |")
    share = {role: (lasting[role] - before[role]) / calls for role in before}
    whole = sum(share.values())
    show("| kB a call that is idle | " + " | ".join(f"{kb:.1f}" for kb in share.values()) + f" | {whole:.1f} |")
    show(f"\n{whole:.0f} kB an idle call, {'within' if whole <= BUDGET_KB else 'OVER'} the budget of {BUDGET_KB} kB")


def rest(server: Server, what: str) -> None:
    """Until no transaction stands any more, and the SIP process has given back what they had."""
    print(f"  {what}: waiting {TRANSACTIONS_S + PATIENCE_S} s", file=sys.stderr, flush=True)
    time.sleep(TRANSACTIONS_S + PATIENCE_S)
    server.xml.di("monitoring", "clearFinished")
