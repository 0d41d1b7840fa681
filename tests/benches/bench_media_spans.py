# SPDX-License-Identifier: GPL-2.0-or-later
"""What it costs that a room spans two media processes, and how much later its members hear each other.

usage: python tests/benches/bench_media_spans.py [--legs N] [--calls N] [--seconds S]

Three parts: engines alone, without sockets (us per leg and second of both together); one and two real processes with real RTP, with a
room each and with one room over both (CPU of all, by rtp_load.c); and the delay from one process to the other, beside that within one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import media.io  # noqa: F401  # isort: skip  # sets the number of BLAS threads before numpy is imported

import numpy as np

from media import codecs
from media.control.play_items import PlayRoom
from media.control.records import CloseLeg, ConnectLeg, Enqueue, LegOpened, OpenLeg, SpanRoom
from media.engine.engine import TICK_NS
from media.engine.warm import warm
from tests.benches.bench_media import AT_ONCE, CALLS_A_SECOND, FIRST_PEER_PORT, HERE, cpu_s
from tests.benches.bench_media_engine import Load
from tests.support import tones
from tests.support.media_cluster import MediaCluster
from tests.support.rtp_peer import Peer, PeerGroup

TICKS, WARM_UP = 100, 20


def engines(loads: list[Load]) -> float:
    """us of one second (50 ticks) of all engines together, by the median tick, with the sums carried over between them."""
    spent: list[list[float]] = [[] for _ in loads]
    for step in range(WARM_UP + TICKS):
        for place, load in enumerate(loads):
            load.now_ns += TICK_NS
            load.arrive(step)
            begun = time.thread_time()
            load.engine.tick(load.now_ns)
            spent[place].append(time.thread_time() - begun)
            load.engine.take_events()
            for peer, words in load.engine.span_datagrams:
                loads[peer].engine.spans.put(place, words.copy())
    return sum(float(np.median(ticks[WARM_UP:])) for ticks in spent) * 1e6 * 50


def alone(legs: int, rooms: int) -> tuple[float, float]:
    """us a second of `legs` in so many rooms, in one engine and spread over two."""
    pcmu = codecs.find("PCMU", 8000)
    assert pcmu is not None
    figures = []
    for count in (1, 2):
        loads = [Load(legs // count, pcmu) for _ in range(count)]
        for place, load in enumerate(loads):
            for leg in load.legs:
                load.engine.handle(Enqueue(leg, (PlayRoom(f"r{leg % rooms}"),)), 0)
            for room in range(rooms if count > 1 else 0):
                load.engine.handle(SpanRoom(f"r{room}", room + 1, (1 - place,)), 0)
        figures.append(engines(loads))
    return figures[0], figures[1]


def processes(count: int, rooms: int, calls: int, seconds: float, folder: Path) -> str:
    """So many callers in `count` processes, by real RTP: in one room, or in a room a process."""
    log = folder / f"calls-{count}-{rooms}"
    log.touch()
    with MediaCluster(count, -(-calls // count)) as cluster:
        peers = subprocess.Popen([str(folder / "load"), str(log), str(FIRST_PEER_PORT), str(calls)], stdout=subprocess.DEVNULL)
        try:
            with log.open("w") as lines:
                for first in range(1, calls + 1, AT_ONCE):
                    for leg in range(first, min(first + AT_ONCE, calls + 1)):
                        port = FIRST_PEER_PORT - 2 + 2 * leg
                        room = f"r{(leg - 1) * rooms // calls}"
                        cluster.send(OpenLeg(leg, "127.0.0.1", port, room=room))
                        opened = cluster.wait_for(LegOpened, leg=leg)
                        cluster.send(ConnectLeg(leg, "127.0.0.1", port, "PCMU", 8000, 0, 0))
                        cluster.send(Enqueue(leg, (PlayRoom(room),)))
                        lines.write(f"{leg - 1} {opened.port}\n")
                    lines.flush()
                    time.sleep(AT_ONCE / CALLS_A_SECOND)
            time.sleep(3)
            pids = [server.process.pid for server in cluster.servers.values()]
            before, begun, spent = cluster.statistics(), time.monotonic(), sum(map(cpu_s, pids))
            time.sleep(seconds)
            passed, spent, after = time.monotonic() - begun, sum(map(cpu_s, pids)) - spent, cluster.statistics()
        finally:
            peers.terminate()
            peers.wait()
        cluster.send(*(CloseLeg(leg) for leg in range(1, calls + 1)))
    received = (after["packets_received"] - before["packets_received"]) / passed / calls
    missed = (after["span_missed"] - before["span_missed"]) / passed / 50 / count
    return (
        f"{count} process(es), {rooms} room(s) of {calls // rooms}: {1e6 * spent / passed / calls:.1f} us/channel/s, rx {received:.1f} /s/call, "
        f"lateness p50 {after['tick_lateness_p50_us'] / 1000:.2f} p99 {after['tick_lateness_p99_us'] / 1000:.2f} ms, "
        f"ticks without the other's sum {100 * missed:.2f} %"
    )


def onsets_s(peer: Peer) -> list[float]:
    """When the packets came in which a sound began."""
    loud = [
        bool(np.abs(codecs.find("PCMU", 8000).decode(np.frombuffer(p.payload, np.uint8)).astype(int)).max() > 2000)
        for p in peer.packets
    ]  # type: ignore[union-attr]
    return [p.arrived_s for p, was, now in zip(peer.packets[1:], loud, loud[1:], strict=False) if now and not was]


def delay() -> str:
    """How much later a sound comes to a listener in the other process than to one beside the speaker."""
    with MediaCluster(2, 2) as cluster, PeerGroup() as group:
        speaker, near, far = (group.peer() for _ in range(3))
        speaker.samples = np.concatenate([tones.tone(1000, 200), np.zeros(2400, np.int16)])
        for peer in (near, far):
            peer.samples = np.zeros(160, np.int16)
        for leg, peer in enumerate(group.peers, 1):
            cluster.connect(leg, peer, room="r")
            cluster.send(Enqueue(leg, (PlayRoom("r"),)))
        group.run_ms(2000)
        near.forget(), far.forget()
        group.run_ms(15000)
        later = [1000 * (b - max(a for a in onsets_s(near) if a < b + 0.1)) for b in onsets_s(far)[1:]]
        statistics = cluster.statistics()
    p10, p50, p90 = np.percentile(later, (10, 50, 90))
    return (
        f"heard later in the other process: {p10:.0f} / {p50:.0f} / {p90:.0f} ms (p10, p50, p90 of {len(later)} sounds); "
        f"ticks without the other's sum {100 * statistics['span_missed'] / statistics['ticks']:.2f} %"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--legs", type=int, default=400)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=8)
    options = parser.parse_args()
    warm()
    for rooms in (1, options.legs // 10, options.legs // 2):
        one, two = alone(options.legs, rooms)
        legs = options.legs
        print(
            f"engines alone, {legs} legs in {rooms} rooms: one {one / legs:.1f} us/leg/s, two {two / legs:.1f}; "
            f"{(two - one) / rooms:.0f} us more per spanning room and s",
            flush=True,
        )
    print(delay(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["cc", "-O2", "-o", folder / "load", HERE / "rtp_load.c"], check=True)
        for count, rooms in ((1, 1), (2, 2), (2, 1)):
            print(processes(count, rooms, options.calls, options.seconds, folder), flush=True)


if __name__ == "__main__":
    main()
