# SPDX-License-Identifier: GPL-2.0-or-later
"""State diagrams: events a second, memory a session, time from postDSMEvent to the answer, load time of a long script.

    python -m tests.benches.bench_dsm [sessions]      default: 5000 in the lobby, 2000 for postDSMEvent

Budget (design): posting a DSM event to the answer ≤ 1 ms. The floor beside it is a call of an empty DI function in the same run.
"""

from __future__ import annotations

import gc
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from di.dsm import PLUGIN
from di.dsm.language.event import Event, Kind
from di.dsm.run.drivers import deliver
from di.dsm.run.engine import Machine
from di.kernel.registry import di_method
from tests.support.dsm_scripts import load, read
from tests.support.playbook import Playbook

ETC = Path(__file__).parents[2] / "etc"


class Quiet:
    """A session that does nothing, so that the engine alone is measured."""

    id = "bench"

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **options: None


class Empty:
    """The floor."""

    @di_method("nothing")
    def nothing(self) -> int:
        """Nothing."""
        return 0


def ring(states: int) -> str:
    """A ring of states; each event tests two conditions and runs three actions."""
    parts = [f"{'initial ' if n == 0 else ''}state S{n} enter {{ set($here=S{n}); }};\n" for n in range(states)]
    parts += [
        f"transition skip{n} S{n} - event(#go==no) -> S{n};\n"
        f"transition go{n} S{n} - event(#go==yes) / {{ inc($count); set($last=#go); }} -> S{(n + 1) % states};\n"
        for n in range(states)
    ]
    return "".join(parts)


def events_per_second() -> None:
    machine = Machine({"t": load(ring(20))}, Quiet())  # type: ignore[arg-type]
    deliver(machine.start("t", Kind.START))
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(10_000):
            deliver(machine.run(Event(Kind.EVENT, {"go": "yes"})))
        best = max(best, 10_000 / (time.perf_counter() - start))
    print(f"events through a 20-state diagram: {best:,.0f} /s ({1e6 / best:.1f} us an event)")


def load_time() -> None:
    lines = ring(650)
    start = time.perf_counter()
    reading = read(lines)
    print(
        f"load of {lines.count(chr(10))} lines: {(time.perf_counter() - start) * 1000:.0f} ms ({len(reading.diagram.transitions)} transitions)"
    )  # type: ignore[union-attr]


def rss_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def lobby(sessions: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ETC / "dsm", Path(folder) / "dsm")
        shutil.copytree(ETC / "prompts", Path(folder) / "prompts")
        conf = "diag_path=dsm/\nload_diags=lobby\nregister_apps=lobby\nprompt_path=prompts/\n"
        (Path(folder) / "dsm.conf").write_text(conf)
        book = Playbook(conf_dir=Path(folder))
        book.load(PLUGIN, conf)
        book.services.registry.register("empty", Empty())
        book.session = lambda call: book.sessions._by_call[call]  # type: ignore[method-assign]
        gc.collect()
        before, start = rss_bytes(), time.perf_counter()
        calls = [book.up("app-lobby") for _ in range(sessions)]
        spent = time.perf_counter() - start
        gc.collect()
        kib = (rss_bytes() - before) / sessions / 1024
        print(
            f"{sessions} sessions in the lobby: {kib:.1f} KiB each with session and fakes; {spent / sessions * 1e6:.0f} us each to set up"
        )
        some = calls[: min(2000, sessions)]
        answers = []
        for number, call in enumerate(some):
            start = time.perf_counter()
            book.invoke("dsm", "postDSMEvent", call.id, [["action", "take"], ["roomname", f"r{number % 200}"]])
            answers.append(time.perf_counter() - start)
        floor = []
        for _ in range(2000):
            start = time.perf_counter()
            book.invoke("empty", "nothing")
            floor.append(time.perf_counter() - start)
        answers.sort()
        floor.sort()
        middle, late, least = (
            answers[len(answers) // 2] * 1e6,
            answers[int(len(answers) * 0.99)] * 1e6,
            floor[len(floor) // 2] * 1e6,
        )
        print(
            f"postDSMEvent with {sessions} up, event and transition run: median {middle:.0f} us, p99 {late:.0f} us; empty function {least:.1f} us"
        )


def memory_of_a_machine() -> None:
    diagram = {"t": load(ring(20))}
    gc.collect()
    before = rss_bytes()
    machines = [Machine(diagram, Quiet()) for _ in range(20_000)]  # type: ignore[arg-type]
    for machine in machines:
        deliver(machine.start("t", Kind.START))
    gc.collect()
    print(f"a machine by itself: {(rss_bytes() - before) / len(machines) / 1024:.2f} KiB")


if __name__ == "__main__":
    events_per_second()
    load_time()
    memory_of_a_machine()
    lobby(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
