# SPDX-License-Identifier: GPL-2.0-or-later
"""CPU that SRTP costs a leg: receiving and ticks of an engine without sockets, with plain RTP and with each suite, us per leg and second.

usage: python tests/benches/bench_srtp.py
"""

from __future__ import annotations

import ctypes
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import media.io  # noqa: F401  # isort: skip  # sets the number of BLAS threads before numpy is imported

import numpy as np

from media.control.play_items import PlayEcho
from media.control.records import Enqueue, Srtp, SrtpKey
from media.control.srtp_library import SUITES, load
from media.engine.engine import TICK_NS
from media.engine.receive import Datagrams, receive_batch
from media.engine.warm import warm
from media.rtp import srtp
from media.rtp.srtp_numbers import OK, TAG_BYTES
from tests.support.engine_rig import EngineRig, rtp

LEGS, TICKS, WARM_UP = 500, 80, 15


def packets_of(leg: int, keys: Srtp | None) -> list[bytes]:
    """What a leg's peer sends."""
    plain = [rtp(step, 160 * step, bytes(range(160)), ssrc=leg) for step in range(TICKS)]
    library = load()
    if keys is None or library is None:
        return plain
    context = srtp.sending(keys.suite, keys.received[0].key, leg)
    protected = []
    for packet in plain:
        buffer, length = ctypes.create_string_buffer(packet, len(packet) + TAG_BYTES), ctypes.c_int(len(packet))
        if library.srtp_protect(ctypes.c_void_p(context), buffer, ctypes.byref(length)) != OK:
            raise RuntimeError("a packet cannot be protected")
        protected.append(buffer.raw[: length.value])
    srtp.close(context)
    return protected


def cost_us(suite: str) -> float:
    """What a leg that is echoed costs a second; `suite` empty: plain RTP."""
    rig = EngineRig()
    arrivals = []
    for leg in range(1, LEGS + 1):
        peer = (f"10.0.{leg >> 8}.{leg & 255}", 4000)
        size = sum(SUITES[suite]) if suite else 0
        keys = Srtp(suite, leg.to_bytes(size, "big"), (SrtpKey((leg + 9999).to_bytes(size, "big")),)) if suite else None
        port = rig.connect(leg, peer, srtp=keys)
        rig.do(Enqueue(leg, (PlayEcho(),)))
        sent = packets_of(leg, keys)
        data = np.zeros((TICKS, 2112), np.uint8)
        for step, packet in enumerate(sent):
            data[step, : len(packet)] = np.frombuffer(packet, np.uint8)
        row = rig.engine.legs.rows[rig.engine.by_number[leg].row]
        arrivals.append((rig.bound.index(port), data, np.full(1, len(sent[0]), np.int32), row["name"].reshape(1, -1).copy()))
    spent = 0.0
    for step in range(TICKS):
        rig.now_ns += TICK_NS
        begun = time.process_time()
        for socket, data, lengths, names in arrivals:
            receive_batch(
                rig.engine.receiver, socket, Datagrams(data[step : step + 1], lengths, names), 1, rig.now_ns, rig.now_ns
            )
        rig.engine.tick(rig.now_ns)
        if step >= WARM_UP:
            spent += time.process_time() - begun
    if rig.counter("packets_dropped_not_authentic") or rig.counter("packets_sent") < LEGS * (TICKS - 2):
        raise RuntimeError("not all packets went through")
    return spent / (TICKS - WARM_UP) / LEGS * 50 * 1e6


if __name__ == "__main__":
    warm()
    plain = min(cost_us("") for _ in range(3))
    for name in SUITES:
        print(f"{name:26} {min(cost_us(name) for _ in range(3)) - plain:7.0f} us/leg/s more than plain RTP", flush=True)
