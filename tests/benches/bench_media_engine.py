# SPDX-License-Identifier: GPL-2.0-or-later
"""CPU of the engine alone, without sockets: what a codec, key detection, a large room cost, in us per leg and second (50 ticks).

usage: python tests/benches/bench_media_engine.py [recordings]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import media.io  # isort: skip  # sets the number of BLAS threads before numpy is imported

import numpy as np

from media import codecs
from media.codecs.codec import Codec
from media.control.play_items import PlayBridge, PlayEcho, PlayItem, PlayRoom
from media.control.recording_records import StartCallRecording, StartRoomRecording
from media.control.records import ConnectLeg, Enqueue, OpenLeg, RtpAddress, SetDigitDetection
from media.engine.addresses import NAME_BYTES, sockaddr
from media.engine.engine import TICK_NS, Engine
from media.engine.options import EngineOptions
from media.engine.receive import Datagrams, receive_batch
from media.engine.warm import warm

TICKS = 60
WARM_UP = 15
RELAY_WARM_UP = 100
"""Ticks in which a playout clock comes to a frame's beginning."""


class Load:
    """So many legs of one codec on an engine; each says noise-like sound, packet by packet."""

    def __init__(self, legs: int, codec: Codec, silent_after: int = 1 << 30) -> None:
        self.engine = Engine(
            EngineOptions((RtpAddress(port_high=60000),)),
            lambda address, port: (port - 10000) // 2,
            lambda index: None,
            Random(1),
        )
        self.codec, self.now_ns, self.silent_after = codec, 10**9, silent_after
        self.legs = range(1, legs + 1)
        names = []
        for leg in self.legs:
            peer = (f"10.0.{leg >> 8}.{leg & 255}", 4000)
            self.engine.handle(OpenLeg(leg, *peer), 0)
            connect = ConnectLeg(leg, *peer, codec.rtpmap, codec.clock_hz, 96, 96, channels=codec.channels, fmtp=codec.said.fmtp)
            self.engine.handle(connect, 0)
            names.append(np.frombuffer(sockaddr(*peer)[0], np.uint8))
        self.names = np.array(names).reshape(legs, NAME_BYTES)
        self.packet_ms, self.packets = max(codec.frame_ms, TICK_NS // 10**6), 0
        wave = np.random.default_rng(1).normal(0, 3000, codec.rate_hz * self.packet_ms // 1000).astype(np.int16)
        self.payload = codec.coder(codec.said.fmtp).encode(wave) if codec.coder else codec.encode(wave).tobytes()

    def do(self, item: PlayItem) -> None:
        """Give every leg an item."""
        for leg in self.legs:
            self.engine.handle(Enqueue(leg, (item,)), 0)

    def arrive(self, step: int) -> None:
        """One packet of each leg that speaks, if one is due."""
        if step * TICK_NS < self.packets * self.packet_ms * 10**6:
            return
        self.packets += 1
        step = self.packets
        engine = self.engine
        packet = (
            bytes([0x80, 96])
            + step.to_bytes(2, "big")
            + (step * self.codec.clock_hz * self.packet_ms // 1000).to_bytes(4, "big")
            + bytes(4)
        )
        packet += self.payload
        row = np.zeros((1, 2112), np.uint8)
        row[0, : len(packet)] = np.frombuffer(packet, np.uint8)
        for leg in self.legs[: self.silent_after]:
            socket = int(engine.legs.rows[engine.by_number[leg].row]["socket"])
            datagrams = Datagrams(row, np.full(1, len(packet), np.int32), self.names[leg - 1 : leg])
            receive_batch(engine.receiver, socket, datagrams, 1, self.now_ns, self.now_ns)

    def measure(self, warm_up: int = WARM_UP) -> float:
        """Return the tick's CPU, us per leg and second; decoding of library codecs is part of it."""
        spent = 0.0
        for step in range(TICKS - WARM_UP + warm_up):
            self.arrive(step)
            self.now_ns += TICK_NS
            begun = time.process_time()
            self.engine.tick(self.now_ns)
            if step >= warm_up:
                spent += time.process_time() - begun
        return spent / (TICKS - WARM_UP) / len(self.legs) * 50 * 1e6


def alone_us(codec: Codec) -> float:
    """CPU of a codec's library called for one leg and a second, both ways, without the engine."""
    if codec.coder is None:
        return 0.0
    coder, packet_ms = codec.coder(codec.said.fmtp), max(codec.frame_ms, TICK_NS // 10**6)
    wave = np.random.default_rng(1).normal(0, 3000, codec.rate_hz * packet_ms // 1000).astype(np.int16)
    payload = coder.encode(wave)
    begun = time.process_time()
    for _ in range(TICKS):
        coder.encode(wave)
        coder.decode(payload)
    return (time.process_time() - begun) / TICKS * 1000 / packet_ms * 1e6


def bridged(codec: Codec, relays: bool) -> float:
    """Return the cost of a leg bridged to another, with or without passing payloads on."""
    load = Load(40 if codec.coder else 1000, codec)
    load.engine.relays.enabled = relays
    for leg in load.legs:
        load.engine.handle(Enqueue(leg, (PlayBridge(leg + 1 if leg % 2 else leg - 1),)), 0)
    return load.measure(RELAY_WARM_UP)


def recorded() -> None:
    """Print what recording costs: calls on both sides, a room with a track for each member. The files' writer is not part of it."""
    for name, legs in (("PCMU", 200), ("L16", 200)):
        codec = codecs.find(name, 8000) or codecs.ALL[0]
        load = Load(legs, codec)
        load.do(PlayEcho())
        before = load.measure()
        for leg in load.legs:
            load.engine.handle(StartCallRecording(leg, f"{leg}.wav"), 0)
        print(f"echo, {name}, each call recorded {load.measure() - before:9.1f} us/leg/s more", flush=True)
    for mode in ("mix", "both"):
        load = Load(30, codecs.ALL[0])
        load.do(PlayRoom("hall"))
        before = load.measure()
        load.engine.handle(StartRoomRecording("hall", "hall.wav", mode), 0)
        print(f"a room of 30, recorded: {mode:8} {load.measure() - before:9.1f} us/leg/s more", flush=True)


def main() -> None:
    assert media.io
    warm()
    recorded()
    if "recordings" in sys.argv:
        return
    plain = codecs.ALL[0]
    for codec in codecs.ALL:
        runs = []
        for _ in range(3):
            load = Load(20, codec)
            load.do(PlayEcho())
            runs.append((load.measure(), alone_us(codec)))
        whole, library = (min(figures) for figures in zip(*runs, strict=True))
        name = f"{codec.rtpmap}/{codec.clock_hz}" + (f" {codec.frame_ms} ms" if codec.rtpmap == "ILBC" else "")
        print(f"echo, {name:16} {whole:9.1f} us/leg/s: decoding and encoding; the library alone {library:.0f}", flush=True)
    for name, clock_hz in (("PCMU", 8000), ("G722", 8000), ("GSM", 8000), ("OPUS", 48000)):
        found = codecs.find(name, clock_hz)
        if found is not None:
            decoded, passed = bridged(found, False), bridged(found, True)
            print(f"bridged, {name:8} {decoded:9.1f} us/leg/s decoded and encoded, {passed:.1f} passed on", flush=True)
    for name in ("rooms of ten", "with key detection"):
        load = Load(1000, plain)
        for leg in load.legs:
            load.engine.handle(Enqueue(leg, (PlayRoom(str(leg // 10)),)), 0)
            load.engine.handle(SetDigitDetection(leg, inband=name != "rooms of ten"), 0)
        print(f"1000 legs, {name:20} {load.measure():9.1f} us/leg/s", flush=True)
    load = Load(1001, plain, silent_after=1)
    load.do(PlayRoom("hall"))
    print(f"one speaker, 1000 listeners     {load.measure():9.1f} us/leg/s", flush=True)
    load = Load(1000, plain)
    load.do(PlayRoom("hall"))
    print(f"a room of 1000, all speaking    {load.measure():9.1f} us/leg/s", flush=True)
    mixed = Load(20, codecs.find("L16", 16000) or plain)
    mixed.do(PlayRoom("mixed"))
    even = mixed.measure()
    engine = mixed.engine
    engine.handle(ConnectLeg(1, "10.0.0.1", 4000, "L16", 48000, 96, 96), 0)
    print(f"a room of 20 at 16 kHz          {even:9.1f} us/leg/s; with one member at 48 kHz {mixed.measure():.1f}", flush=True)


if __name__ == "__main__":
    main()
