# SPDX-License-Identifier: GPL-2.0-or-later
"""What a short call costs the whole server, process by process, beside what it costs sipp in the same run.

    python -m tests.benches.bench_setup [--rates 50,200,600] [--kinds announce,room,lobby] [--seconds 15] [--profile FOLDER]

sipp places calls of 200 ms (INVITE, 200, ACK, BYE) on a real server: a hub, a SIP process and a media process. The caller ends it; `announce`
plays to him all the time, `room` joins a room of its own per ten calls, `lobby` runs
the state diagram that every call to an unknown name gets. Figures are CPU time (user and system) over the run, so that other work on the
machine moves them little; the ratio to sipp's own CPU moves least between machines. `--profile` writes where each process spends its
time, by py-spy. Last comes the floor: what pjsip's dialogs alone take for the same calls and packets, in C and in one process.

    python -m tests.benches.bench_setup --many 100000 [--rates 230] [--kinds announce]

places so many calls of a second in parts, a row of a table each (progress goes to standard error): failed calls, lost BYEs, retransmissions, the
memory that each process has in the middle of it. 32 s after the last call every gauge of /metrics must be 0, calls, legs, ports in use and records
among them, and over the last half no process may have grown; else what is wrong is said at the end and the status is 1.

    python -m tests.benches.bench_setup --idle 1000 [--kinds echo]

prints the memory of each process before so many calls that do nothing, with them, and after them. Takes two minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benches import lasting
from tests.benches.short_calls import Floor, place, processes, server_of_calls
from tests.support.server import Server


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


def main() -> None:
    """All kinds at all rates, or what stays of calls."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates")
    parser.add_argument("--kinds")
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--many", type=int, default=0)
    parser.add_argument("--idle", type=int, default=0)
    options = parser.parse_args()
    lasts = bool(options.many or options.idle)
    kinds = (options.kinds or ("echo" if options.idle else "announce" if lasts else "announce,room,lobby")).split(",")
    rates = [int(rate) for rate in (options.rates or ("230" if lasts else "50,200,600")).split(",")]
    with server_of_calls() as server:
        place(server, "announce", 50, 100)  # what only the first calls cost
        if options.idle:
            lasting.idle(server, kinds[0], options.idle)
        elif options.many:
            wrong = lasting.many(server, kinds[0], rates[0], options.many)
            if wrong:
                sys.exit("NOT AS IT MUST BE:\n  " + "\n  ".join(wrong))
            print("all as it must be: nothing is left, and memory is flat", flush=True)
        else:
            compare(server, kinds, rates, options.seconds, options.profile)
    if not lasts:
        floor(rates, options.seconds)


def compare(server: Server, kinds: list[str], rates: list[int], seconds: int, profile: Path | None) -> None:
    """What a call costs, all kinds at all rates."""
    for kind in kinds:
        for rate in rates:
            with profiled(server, profile, f"{kind}-{rate}", seconds):
                place(server, kind, rate, rate * seconds).show(f"{kind} {rate}/s")
            time.sleep(1)


def floor(rates: list[int], seconds: int) -> None:
    """What such calls cost pjsip alone, in C, beside sipp again."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            alone = Floor(Path(folder))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"no floor: {error}")
            return
        for rate in rates:
            alone.place(rate, rate * seconds).show(f"pjsip alone {rate}/s")


if __name__ == "__main__":
    main()
