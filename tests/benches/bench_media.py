# SPDX-License-Identifier: GPL-2.0-or-later
"""CPU of the media process per channel and second beside the kernel's floor of the same run.

usage: python tests/benches/bench_media.py [CALLS …] [--seconds S] [--what announce|rooms|both] [--rpc A_SECOND]

With --rpc a hub beside it answers so many trivial calls a second, as it does on a server whose calls are steered.

Every call has a phone with a socket of its own that sends and receives PCMU (rtp_load.c, which is compiled here). The floor is what
a server costs that does nothing but the system calls for the same load: 16 sockets, sendmmsg and recvmmsg in batches.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from media.control.play_items import PlayFile, PlayRoom
from media.control.records import CloseLeg, ConnectLeg, Enqueue, LegOpened, OpenLeg
from tests.benches import bench_rpc
from tests.support import tones
from tests.support.media_server import MediaServer
from tests.support.usage import resident_kb

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PHASES = ("read", "render", "write")
FIRST_PEER_PORT = 22000
CALLS_A_SECOND = 200
AT_ONCE = 20
"""Calls come so many at a time: each holds a port for itself until its phone's first packet has come (media/engine/ports.py)."""

HERE = Path(__file__).parent


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def measure(server: MediaServer, load: str, calls: int, what: str, seconds: float, folder: Path) -> str:
    """Run so many calls and return a line of figures."""
    wav = str(tones.write_wav(folder / "announcement.wav", tones.sequence([500, 700, 900, 1100], 5000)))
    log = folder / f"calls-{calls}-{what}"
    log.touch()
    empty_kib = resident_kb(server.process.pid)
    out = open(folder / "load.out", "w")  # noqa: SIM115
    peers = subprocess.Popen([load, str(log), str(FIRST_PEER_PORT), str(calls)], stdout=out)
    try:
        with log.open("w") as lines:
            for first in range(0, calls, AT_ONCE):
                legs = range(first + 1, min(first + AT_ONCE, calls) + 1)
                server.send(*(OpenLeg(leg, "127.0.0.1", FIRST_PEER_PORT - 2 + 2 * leg) for leg in legs))
                for leg in legs:
                    port = server.wait_for(LegOpened, leg=leg).port
                    item = PlayFile(wav, loop=True) if what == "announce" else PlayRoom(f"room{leg // 10}")
                    server.send(
                        ConnectLeg(leg, "127.0.0.1", FIRST_PEER_PORT - 2 + 2 * leg, "PCMU", 8000, 0, 0), Enqueue(leg, (item,))
                    )
                    lines.write(f"{leg - 1} {port}\n")
                lines.flush()
                time.sleep(AT_ONCE / CALLS_A_SECOND)
        time.sleep(3)
        before, cpu, begun = server.statistics(), cpu_s(server.process.pid), time.monotonic()
        time.sleep(seconds)
        passed, cpu_after, after = time.monotonic() - begun, cpu_s(server.process.pid), server.statistics()
        used = cpu_after - cpu
    finally:
        peers.terminate()
        peers.wait()
        out.close()
    received = (after["packets_received"] - before["packets_received"]) / passed / calls
    sent = (after["packets_sent"] - before["packets_sent"]) / passed / calls
    line = f"{what:9} {calls:5} calls  {1e6 * used / passed / calls:6.1f} us/channel/s ("
    line += " ".join(f"{n} {(after[f'phase_{n}_us'] - before[f'phase_{n}_us']) / passed / calls:.1f}" for n in PHASES) + ")  "
    line += f"rx {received:.1f} tx {sent:.1f} /s/call  ports {after['ports']:.0f}  late {after['packets_late'] - before['packets_late']:.0f}  "
    line += f"concealed {after['frames_concealed'] - before['frames_concealed']:.0f}  "
    line += f"KiB/leg {(resident_kb(server.process.pid) - empty_kib) / calls:.1f}  "
    line += " ".join(f"{k}={v:.0f}" for k, v in after.items() if k.startswith("tick") and v)
    line += f"\n    {(folder / 'load.out').read_text().splitlines()[-1]}"
    server.send(*(CloseLeg(leg) for leg in range(1, calls + 1)))
    return line


@contextlib.contextmanager
def steered(calls_a_second: int) -> Iterator[list[int]]:
    """Let a hub answer so many XML-RPC calls a second; the list's one number counts them."""
    answered, stop = [0], threading.Event()
    if not calls_a_second:
        yield answered
        return
    with bench_rpc.Server("gateways", "0") as hub:
        request = bench_rpc.post("/RPC2", bench_rpc.XML)
        size = bench_rpc.reply_size(hub.ports[0], request)
        link = bench_rpc.connect(hub.ports[0])

        def call() -> None:
            due_s = time.monotonic()
            while not stop.is_set():
                link.sendall(request)
                missing = size
                while missing > 0:
                    missing -= len(link.recv(65536))
                answered[0] += 1
                due_s = max(due_s + 1 / calls_a_second, time.monotonic() - 0.1)
                time.sleep(max(due_s - time.monotonic(), 0))

        caller = threading.Thread(target=call)
        caller.start()
        try:
            yield answered
        finally:
            stop.set()
            caller.join()
            link.close()


def floor(binary: str, load: str, calls: int, folder: Path) -> float:
    """CPU of a server that does nothing but the system calls, us per channel and second, under the same load."""
    server = subprocess.Popen([binary, str(calls), str(FIRST_PEER_PORT), "4"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    ports = server.stdout.readline().split()
    log = folder / f"floor-{calls}"
    log.write_text("".join(f"{i} {ports[i % len(ports)]}\n" for i in range(calls)))
    peers = subprocess.Popen([load, str(log), str(FIRST_PEER_PORT), str(calls)], stdout=subprocess.DEVNULL)
    try:
        return float(server.stdout.read())
    finally:
        peers.terminate()
        peers.wait()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("calls", type=int, nargs="*", default=[1000])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rpc", type=int, default=0, help="calls a second that a hub beside it answers")
    parser.add_argument("--what", choices=("announce", "rooms", "both"), default="both")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["cc", "-O2", "-o", folder / "floor", HERE / "udp_floor.c"], check=True)
        subprocess.run(["cc", "-O2", "-o", folder / "load", HERE / "rtp_load.c"], check=True)
        for calls in options.calls:
            bottom = floor(str(folder / "floor"), str(folder / "load"), calls, folder)
            print(f"kernel    {calls:5} calls  {bottom:6.1f} us/channel/s: the floor", flush=True)
            for what in ("announce", "rooms") if options.what == "both" else (options.what,):
                with MediaServer(low=10000, ports=10000) as server, steered(options.rpc) as answered:
                    begun_s = time.monotonic()
                    print(measure(server, str(folder / "load"), calls, what, options.seconds, folder), flush=True)
                    if options.rpc:
                        print(f"    {answered[0] / (time.monotonic() - begun_s):.0f} RPC/s answered meanwhile", flush=True)


if __name__ == "__main__":
    main()
