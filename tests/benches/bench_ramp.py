# SPDX-License-Identifier: GPL-2.0-or-later
"""How many calls the whole server carries well: a ramp of steps, each looked at for a minute, and the last step that held.

    python -m tests.benches.bench_ramp [--steps 250,500,1000,1500,2000] [--seconds 60] [--kind announce|rooms] [--rate 25]

sipp places real calls on a real server (hub, SIP process, media process), which stay up while further ones come; each has a phone with a
socket of its own that sends and receives PCMU every 20 ms (rtp_load.c, which is compiled here). `announce`: a prompt that is played all the
time. `rooms`: rooms of ten, each of whom hears the other nine. A step holds when over its time

- at most 1 % of the packets were lost, each way: counted by the phones, by time and by sequence number, and by the server's own counter;
- at most one tick in a thousand began over 2 ms late (p99.9 ≤ 2 ms), counted by the media process;
- all its calls were answered, each within 200 ms from INVITE to 200 as sipp saw it, and none ended by itself.

Where there are more than two cores, server and callers get cores of their own (as taskset would do); with two they share them, and what is
measured is both.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benches.short_calls import place, processes, server_of_calls
from tests.support.quality import TITLES, Heard, Served, Step, last_held, shared_out
from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp
from tests.support.usage import cpu_us, resident_kb

PHONES_IP, END_OF_PORTS, MOST_CALLS = "127.77.0.2", 65536, 4000
"""Phones have the highest ports: with 2000 of them above those of tests, of the server and of the kernel's own choice."""
USERS = {"announce": "announce", "rooms": "conference-{step}-%t"}
SETTLE_S = 3.0
"""From the last answer of a step to its first look: phones' addresses are learned, tones of joining are over."""
REPORT_S = 1.2
"""Within this the hub has newer figures of every media process."""


class Phones:
    """The callers' audio: rtp_load, and the file in which it reads who has been answered."""

    def __init__(self, folder: Path, most: int) -> None:
        subprocess.run(["cc", "-O2", "-o", folder / "load", Path(__file__).parent / "rtp_load.c"], check=True)
        self._plan = (folder / "plan").open("w")
        self._known: set[int] = set()
        self.first_port = END_OF_PORTS - 2 * most
        self._printed = folder / "load.out"
        with self._printed.open("w") as out:
            command = [str(folder / "load"), str(folder / "plan"), str(self.first_port), str(most), PHONES_IP]
            self._process = subprocess.Popen(command, stdout=out)
        wait_until(lambda: self._printed.stat().st_size or self._process.poll() is not None, "the phones are there")
        assert self._process.poll() is None, "the phones have ended: what they said stands above"

    def answered(self, server_ports: dict[int, int]) -> None:
        """Calls are up: server's media port by the phone's."""
        for own in sorted(server_ports.keys() - self._known):
            self._plan.write(f"{(own - self.first_port) // 2} {server_ports[own]}\n")
        self._plan.flush()
        self._known |= server_ports.keys()

    def heard(self) -> Heard:
        """What they have counted up to now."""
        before = len(self._totals())
        self._process.send_signal(signal.SIGUSR1)
        lines: list[str] = wait_until(lambda: self._totals()[before:], "the phones' totals")
        return Heard.read(lines[0])

    def _totals(self) -> list[str]:
        """Whole lines of them."""
        lines = self._printed.read_text().splitlines(keepends=True)
        return [line for line in lines if line.startswith("total ") and line.endswith("\n")]

    def stop(self) -> None:
        """All phones are put away."""
        self._process.terminate()
        self._process.wait()
        self._plan.close()


class Ramp:
    """Calls of a server, more with each step."""

    def __init__(self, server: Server, phones: Phones, kind: str, rate: int) -> None:
        self._server, self._phones, self._kind, self._rate = server, phones, kind, rate
        self._callers: list[Sipp] = []
        self._placed = 0
        self._answered = 0

    def step(self, calls: int, seconds: float) -> tuple[Step, float]:
        """Have so many calls up and look at them. Returns the CPU that the server took, too, in us per channel and second."""
        answered, setup_ms = self._more(calls - self._placed)
        self._placed = calls
        self._answered += answered
        time.sleep(SETTLE_S)
        before, heard = self._cpu_us(), self._phones.heard()
        time.sleep(REPORT_S)
        served = self._served()
        time.sleep(max(seconds - REPORT_S, 0))
        heard_after, after = self._phones.heard(), self._cpu_us()
        time.sleep(REPORT_S)
        ended = max(self._answered - self._server.xml.calls(), 0)
        step = Step(calls, self._answered, setup_ms, ended, (heard, heard_after), (served, self._served()))
        return step, (after - before) / step.seconds / calls

    def _more(self, calls: int) -> tuple[int, list[int]]:
        """Place calls that stay; how many were answered, and after how long."""
        user = USERS[self._kind].format(step=len(self._callers))
        caller = Sipp(
            "call",
            self._server.sip_port,
            calls=calls,
            rate=self._rate,
            hold_ms=None,
            user=user,
            media_port_base=self._phones.first_port + 2 * self._placed,
            local_ip=PHONES_IP,
            trace=False,
            timed=True,
            timeout_s=4 * 3600,
        )
        end_s = time.monotonic() + calls / self._rate + 20
        while len(caller.server_ports) < calls and time.monotonic() < end_s and caller.running:
            self._phones.answered(caller.server_ports)
            time.sleep(0.05)
        up = caller.server_ports
        self._phones.answered(up)
        if not up or not caller.running:
            raise AssertionError(f"sipp has {len(up)} of {calls} calls up: {caller.stopped().errors}")
        self._callers.append(caller)
        return len(up), caller.setup_ms

    def _served(self) -> Served:
        return Served.of(self._server.json("status.media"))

    def _cpu_us(self) -> float:
        return sum(cpu_us(pid) for pid in processes(self._server).values())

    def memory(self) -> str:
        """Of each process."""
        return ", ".join(f"{role} {resident_kb(pid) >> 10} MB" for role, pid in processes(self._server).items())

    def end(self) -> str:
        """Hang all calls up. Returns what the callers say about it."""
        for caller in self._callers:
            if caller.running:
                caller.hang_up(100)
        results = [caller.wait(20) for caller in self._callers]
        done, failed = sum(one.successful for one in results), sum(one.failed for one in results)
        repeated = sum(one.retransmissions for one in results)
        left = f"{self._server.xml.calls()} calls left over"
        return f"{done} calls came to their end, {failed} failed, {repeated} retransmissions of the callers, {left}"


@contextlib.contextmanager
def placed(cpus: list[int] | None) -> Iterator[None]:
    """What is started here runs on these cores."""
    own = os.sched_getaffinity(0)
    if cpus is not None:
        os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def run(numbers: list[int], seconds: float, kind: str, rate: int) -> None:
    """All steps in turn, a line each."""
    shares = shared_out(sorted(os.sched_getaffinity(0)))
    of_server, of_callers = shares if shares is not None else (None, None)
    where = f"server on cores {of_server}, callers on {of_callers}" if shares else "server and callers share the cores"
    print(f"{kind}: steps of {seconds:.0f} s, {rate} calls a second; {where}; load before {os.getloadavg()[0]:.1f}\n", flush=True)
    print(TITLES, flush=True)
    steps: list[Step] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-ramp-")))
        with placed(of_server):
            server = stack.enter_context(server_of_calls())
        stack.enter_context(placed(of_callers))
        place(server, "announce", 50, 100)  # what only the first calls cost
        phones = Phones(folder, max(numbers))
        stack.callback(phones.stop)
        ramp = Ramp(server, phones, kind, rate)
        ended = ""
        try:
            for calls in numbers:
                step, cost_us = ramp.step(calls, seconds)
                steps.append(step)
                print(step.row(cost_us), flush=True)
            memory = ramp.memory()
        finally:
            ended = ramp.end()
        print(f"\n{last_held(steps)}\nmemory with {numbers[-1]} calls up: {memory}; {ended}", flush=True)


def main() -> None:
    """The ramp that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default="250,500,1000,1500,2000", help="calls that are up, rising")
    parser.add_argument("--seconds", type=float, default=60, help="how long each step is looked at")
    parser.add_argument("--kind", choices=sorted(USERS), default="announce")
    parser.add_argument("--rate", type=int, default=25, help="calls a second while they are placed")
    options = parser.parse_args()
    numbers = [int(text) for text in options.steps.split(",")]
    if numbers != sorted(set(numbers)) or numbers[0] < 1:
        parser.error(f"--steps {options.steps}: must rise, for calls stay up from step to step")
    if numbers[-1] > MOST_CALLS:
        parser.error(f"--steps {options.steps}: phones have ports for {MOST_CALLS} calls")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    run(numbers, options.seconds, options.kind, options.rate)


if __name__ == "__main__":
    main()
