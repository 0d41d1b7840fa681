# SPDX-License-Identifier: GPL-2.0-or-later
"""Short calls on a whole server, placed by sipp, and what they cost: for `bench_setup`, `bench_ramp` and `lasting`."""

from __future__ import annotations

import contextlib
import re
import resource
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from di.spoken.tones import melody, write
from tests.support.ports import free_port
from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp
from tests.support.usage import cpu_us

HOLD_MS = 200
PLUGINS = "monitoring;announcement;webconference;conference;echo;dsm;xmlrpc2di;web"
USERS = {"announce": "announce", "room": "conference-%d", "lobby": "lobby-%d", "echo": "echo"}
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
    lost_byes: int = 0
    """Calls that were answered and did not come to their end: their BYE, or what should have led to it, was not answered."""

    def show(self, name: str) -> None:
        """One line."""
        whole = sum(self.by_process.values())
        parts = ", ".join(f"{process} {us:.0f}" for process, us in self.by_process.items())
        print(
            f"{name:<22} {whole:5.0f} us a call ({parts}); sipp {self.caller_us:4.0f}: {whole / self.caller_us:4.1f} times; "
            f"{self.completed} completed, {self.failed} failed, {self.retransmissions} retransmissions",
            flush=True,
        )
        self.show_errors()

    def show_errors(self) -> None:
        """Why calls failed, if any did."""
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


def caller(port: int, kind: str, rate: int, calls: int, hold_ms: int = HOLD_MS) -> Sipp:
    """Calls at a rate to a port of this machine."""
    return Sipp(
        "call",
        port,
        calls=calls,
        rate=rate,
        hold_ms=hold_ms,
        user=USERS[kind],
        media_port_base=40000,
        local_ip=CALLERS_IP,
        trace=False,
        timeout_s=90 + calls // rate,
    )


def _children_us() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1e6


def measured(
    pids: Mapping[str, int],
    calls: int,
    place: Callable[[], Sipp],
    each_second: Callable[[Sipp], None] | None = None,
    settle: Callable[[], object] = lambda: None,
) -> Cost:
    """What so many calls cost these processes, to their end and until all has settled; `each_second` may look at them meanwhile."""
    before_us, sipp_before_us = {role: cpu_us(pid) for role, pid in pids.items()}, _children_us()
    sipp = place()
    while each_second is not None and sipp.running:
        time.sleep(1)
        each_second(sipp)
    result = sipp.wait()
    sipp_us = (_children_us() - sipp_before_us) / calls
    settle()
    used = {role: (cpu_us(pid) - before_us[role]) / calls for role, pid in pids.items()}
    lost_byes = max(len(result.server_ports) - result.successful, 0)
    return Cost(used, sipp_us, result.successful, result.failed, result.retransmissions, result.errors, lost_byes)


def place(
    server: Server, kind: str, rate: int, calls: int, hold_ms: int = HOLD_MS, each_second: Callable[[Sipp], None] | None = None
) -> Cost:
    """Calls at a rate, to their end; `each_second` may look at them meanwhile."""

    def all_gone() -> None:
        wait_until(lambda: not server.xml.calls(), "all calls gone")

    return measured(processes(server), calls, lambda: caller(server.sip_port, kind, rate, calls, hold_ms), each_second, all_gone)


class Floor:
    """The same calls answered by pjsip alone (`sip_floor.c`): what they cost a server that has no Python and does nothing else."""

    _PROGRAM = """
import ctypes, sys, _pjsua2
library, ip, port = sys.argv[1:]
sys.exit(f"pjlib's error {ctypes.CDLL(library).floor_serve(ip.encode(), int(port))}")
"""

    def __init__(self, folder: Path) -> None:
        """Compile it into that folder. Raises OSError where the SIP stack was not built here, CalledProcessError when it does not compile."""
        site, self._library = Path(sysconfig.get_path("purelib")), folder / "floor.so"
        flags = shlex.split((Path(sys.prefix) / "include/pjproject/cflags").read_text())
        stack = [f"-l:{path.name}" for path in site.glob("_pjsua2*.so")]
        source = Path(__file__).parent / "sip_floor.c"
        link = [f"-L{site}", *stack, f"-Wl,-rpath,{site}"]
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", *flags, "-o", self._library, source, *link], check=True)

    def place(self, rate: int, calls: int) -> Cost:
        """Calls at a rate, to their end."""
        port = free_port()
        program = subprocess.Popen([sys.executable, "-c", self._PROGRAM, self._library, "127.0.0.1", str(port)])
        try:
            caller(port, "announce", 20, 20).wait()  # it is up: sipp sends again until then
            return measured({"floor": program.pid}, calls, lambda: caller(port, "announce", rate, calls))
        finally:
            program.kill()
            program.wait()
