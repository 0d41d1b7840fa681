# SPDX-License-Identifier: GPL-2.0-or-later
"""What a short call costs the whole server, process by process, beside what it costs sipp in the same run.

    python -m tests.benches.bench_setup [--rates 50,200,600] [--kinds announce,room,lobby] [--seconds 15] [--profile FOLDER]

sipp places calls of 200 ms (INVITE, 200, ACK, BYE) on a real server: a hub, a SIP process and a media process. The caller ends it; `announce`
plays to him all the time, `room` joins a room of its own per ten calls, `lobby` runs
the state diagram that every call to an unknown name gets. Figures are CPU time (user and system) over the run, so that other work on the
machine moves them little; the ratio to sipp's own CPU moves least between machines. `--profile` writes where each process spends its
time, by py-spy.

    python -m tests.benches.bench_setup --many 100000 [--rates 200]

places so many calls of a second in eight parts, and prints after each what memory and descriptors every process has, and what the server's
gauges say half a minute after the last.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import resource
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from di.spoken.tones import melody, write
from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp
from tests.support.usage import cpu_us, resident_kb

HOLD_MS = 200
PARTS, REST_S = 8, 65
"""A port that nobody uses is closed after a minute."""
GAUGES = (
    "sems_active_calls",
    "cordboard_rooms",
    "cordboard_media_legs",
    "cordboard_media_recording_waiting",
    "cordboard_event_waiting",
)
PLUGINS = "monitoring;announcement;webconference;conference;echo;dsm;xmlrpc2di;web"
USERS = {"announce": "announce", "room": "conference-%d", "lobby": "lobby-%d"}
CALLERS_IP = "127.77.0.1"
"""Where sipp is; nothing listens at its media ports."""
SETTINGS = "loglevel=1\nrtp_low_port=33000\nrtp_high_port=52999\n"
"""As many RTP ports as a server has by default, since one whose caller never sent a packet rests for 5 s; above the ports of tests."""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU of one run, microseconds a call by process, and what sipp saw."""

    by_process: dict[str, float]
    caller_us: float
    completed: int
    failed: int
    retransmissions: int
    errors: str

    def show(self, name: str) -> None:
        """One line."""
        whole = sum(self.by_process.values())
        parts = ", ".join(f"{process} {us:.0f}" for process, us in self.by_process.items())
        print(
            f"{name:<22} {whole:5.0f} us a call ({parts}); sipp {self.caller_us:4.0f}: {whole / self.caller_us:4.1f} times; "
            f"{self.completed} completed, {self.failed} failed, {self.retransmissions} retransmissions",
            flush=True,
        )
        refused = Counter(
            re.findall(r"while expecting.*?'SIP/2.0 (.*?)\\r?", self.errors) or re.findall(r"SIP/2\.0 ([3-6].*)", self.errors)
        )
        if self.failed:
            print(f"    {dict(refused) or self.errors[-600:]}", flush=True)


@contextlib.contextmanager
def server_of_calls() -> Iterator[Server]:
    """A server as configured, that logs warnings only, with an announcement of two seconds."""
    with tempfile.TemporaryDirectory(prefix="bench-setup-") as folder:
        server = Server(Path(folder), settings=SETTINGS, plugins=PLUGINS, start=False)
        with open(server.etc / "announcement.conf", "a") as conf:
            conf.write(f"\ndefault_announce={folder}/short.wav\n")
        write(Path(folder) / "short.wav", melody("short"))
        with server:
            server.start()
            yield server


def processes(server: Server) -> dict[str, int]:
    """Process ids by role."""
    return {"hub": server.pid, **dict(sorted(server.children().items()))}


def place(server: Server, kind: str, rate: int, calls: int, hold_ms: int = HOLD_MS) -> Cost:
    """Calls at a rate, to their end."""
    pids = processes(server)
    before = {role: cpu_us(pid) for role, pid in pids.items()}
    sipp_before = resource.getrusage(resource.RUSAGE_CHILDREN)
    caller = Sipp(
        "call",
        server.sip_port,
        calls=calls,
        rate=rate,
        hold_ms=hold_ms,
        user=USERS[kind],
        media_port_base=40000,
        local_ip=CALLERS_IP,
        trace=False,
        timeout_s=90 + calls // rate,
    )
    result = caller.wait()
    sipp_after = resource.getrusage(resource.RUSAGE_CHILDREN)
    wait_until(lambda: not server.xml.calls(), "all calls gone")
    used = {role: (cpu_us(pid) - before[role]) / calls for role, pid in pids.items()}
    caller_us = sum(getattr(sipp_after, name) - getattr(sipp_before, name) for name in ("ru_utime", "ru_stime")) * 1e6 / calls
    return Cost(used, caller_us, result.successful, result.failed, result.retransmissions, result.errors)


@contextlib.contextmanager
def profiled(server: Server, folder: Path | None, name: str, seconds: int) -> Iterator[None]:
    """Stacks of each process for so long, in py-spy's raw form."""
    watchers = [
        subprocess.Popen(
            [
                "py-spy",
                "record",
                "-n",
                "-f",
                "raw",
                "-r",
                "200",
                "-d",
                str(seconds),
                "-o",
                str(folder / f"{name}-{role}.txt"),
                "-p",
                str(pid),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for role, pid in (processes(server).items() if folder is not None else ())
    ]
    yield
    for watcher in watchers:
        watcher.wait()


def last(server: Server, calls: int, rate: int) -> None:
    """Whether something is left of many calls."""
    for part in range(PARTS):
        cost = place(server, "announce", rate, calls // PARTS, 1000)
        server.xml.di("monitoring", "clearFinished")  # they are kept until somebody says so
        pids = processes(server)
        memory = ", ".join(f"{role} {resident_kb(pid) >> 10} MB" for role, pid in pids.items())
        descriptors = ", ".join(str(len(list(Path(f"/proc/{pid}/fd").iterdir()))) for pid in pids.values())
        cost.show(f"part {part + 1}")
        print(f"    {memory}; descriptors {descriptors}", flush=True)
        if cost.failed:
            print(f"    {server.log[-1500:]}", flush=True)
    time.sleep(REST_S)
    with urllib.request.urlopen(f"http://127.0.0.1:{server.web_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    print(f"{REST_S} s later: " + ", ".join(line for line in lines if line.startswith(GAUGES)))
    print("    descriptors " + ", ".join(str(len(list(Path(f"/proc/{pid}/fd").iterdir()))) for pid in processes(server).values()))


def main() -> None:
    """All kinds at all rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", default="50,200,600")
    parser.add_argument("--kinds", default="announce,room,lobby")
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--many", type=int, default=0)
    options = parser.parse_args()
    with server_of_calls() as server:
        if options.many:
            last(server, options.many, int(options.rates.split(",")[0]))
            return
        place(server, "announce", 50, 100)  # what only the first calls cost
        for kind in options.kinds.split(","):
            for rate in (int(rate) for rate in options.rates.split(",")):
                with profiled(server, options.profile, f"{kind}-{rate}", options.seconds):
                    place(server, kind, rate, rate * options.seconds).show(f"{kind} {rate}/s")
                time.sleep(1)


if __name__ == "__main__":
    main()
