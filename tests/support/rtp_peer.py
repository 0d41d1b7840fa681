# SPDX-License-Identifier: GPL-2.0-or-later
"""Real-socket RTP peers for tests: each sends samples as G.711 and records what it hears. Many peers share one thread.

with PeerGroup() as group:
    peer = group.peer(tone_hz=440)
    peer.remote = ("127.0.0.1", server_port)   # from the server's SDP
    group.run_ms(1000)
    peer.heard()                               # int16 samples, 8 kHz, in order of timestamps
"""

from __future__ import annotations

import random
import select
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from media.codecs import find
from tests.support import tones

FRAME_SAMPLES = 160
PCMU, PCMA = 0, 8
NAMES = {PCMU: "PCMU", PCMA: "PCMA"}
NOBODYS_PORTS = range(40_000, 44_000)
"""What phones without audio say in their descriptions, in tests that may run beside this one: servers send there, and nobody is to hear it."""


P = TypeVar("P", bound="Peer")


@dataclass(slots=True)
class Received:
    """One RTP packet that a peer got."""

    payload_type: int
    marker: bool
    sequence: int
    ts: int
    ssrc: int
    payload: bytes
    source: tuple[str, int]
    arrived_s: float


@dataclass(eq=False)
class Peer:
    """One phone. `samples`: what it says, repeated; None says nothing. `remote`: where it sends."""

    samples: NDArray[np.int16] | None = None
    payload_type: int = PCMU
    bind_ip: str = "127.0.0.1"
    remote: tuple[str, int] | None = None
    packets: list[Received] = field(default_factory=list)
    others: list[bytes] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        self.socket = self._bound()
        while self.port in NOBODYS_PORTS:
            self.socket.close()
            self.socket = self._bound()
        self.socket.setblocking(False)
        self.sequence, self.ts, self.ssrc = (random.getrandbits(b) for b in (16, 32, 32))
        self._position = 0

    def _bound(self) -> socket.socket:
        made = socket.socket(socket.AF_INET6 if ":" in self.bind_ip else socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((self.bind_ip, 0))
        return made

    @property
    def port(self) -> int:
        """Where the peer receives."""
        return int(self.socket.getsockname()[1])

    def packet(self, payload: bytes, payload_type: int | None = None, marker: bool = False) -> bytes:
        """An RTP packet with the peer's present sequence number, timestamp and SSRC."""
        kind = (self.payload_type if payload_type is None else payload_type) | (128 if marker else 0)
        return struct.pack(">BBHII", 0x80, kind, self.sequence & 0xFFFF, self.ts & 0xFFFFFFFF, self.ssrc) + payload

    def next_payload(self) -> bytes:
        """The next 20 ms of what the peer says, encoded."""
        assert self.samples is not None
        places = np.arange(self._position, self._position + FRAME_SAMPLES) % len(self.samples)
        self._position = int(places[-1]) + 1
        codec = find(NAMES[self.payload_type], 8000)
        assert codec is not None
        return codec.encode(np.ascontiguousarray(self.samples[places])).tobytes()

    def send_frame(self) -> None:
        """Send one 20 ms packet, if the peer says anything and knows where to."""
        if self.samples is not None and self.remote is not None:
            self.send_raw(self.packet(self.next_payload()))
            self.sent += 1
        self.sequence += 1
        self.ts += FRAME_SAMPLES

    def send_raw(self, datagram: bytes) -> None:
        """Send any bytes to the remote."""
        assert self.remote is not None
        self.socket.sendto(self.closed(datagram), self.remote)

    def closed(self, datagram: bytes) -> bytes:
        """What becomes of a datagram before it leaves."""
        return datagram

    def opened(self, datagram: bytes) -> bytes | None:
        """What is in a datagram that has come; None: nothing."""
        return datagram

    def press(self, event: int, duration_ms: int = 100, payload_type: int = 101, ends: int = 3, volume: int = 10) -> None:
        """Send a whole RFC 4733 key press at once, packets of 20 ms each."""
        steps = max(duration_ms // 20, 1)
        for step in range(1, steps + 1):
            self._send_event(event, volume, step * FRAME_SAMPLES, False, payload_type, marker=step == 1)
        for _ in range(ends):
            self._send_event(event, volume, steps * FRAME_SAMPLES, True, payload_type)
        self.ts += steps * FRAME_SAMPLES

    def _send_event(self, event: int, volume: int, duration: int, end: bool, payload_type: int, marker: bool = False) -> None:
        self.send_raw(self.packet(struct.pack(">BBH", event, volume | (128 if end else 0), duration), payload_type, marker))
        self.sequence += 1

    def read(self) -> None:
        """Take everything that has arrived."""
        while True:
            try:
                data, source = self.socket.recvfrom(4096)
            except (BlockingIOError, ConnectionError):
                return
            found = self.opened(data)
            if found is None:
                continue
            data = found
            if len(data) < 12 or data[0] >> 6 != 2 or 192 <= data[1] <= 223:
                self.others.append(data)
                continue
            kind, sequence, ts, ssrc = struct.unpack(">xBHII", data[:12])
            address = (source[0], source[1])
            self.packets.append(Received(kind & 127, kind > 127, sequence, ts, ssrc, data[12:], address, time.monotonic()))

    def heard(self, skip_ms: int = 0) -> NDArray[np.int16]:
        """What the peer heard, 8 kHz, placed by timestamp; missing packets are zeros."""
        audio = [p for p in self.packets if p.payload_type in NAMES]
        if not audio:
            return np.zeros(0, np.int16)
        first = audio[0].ts
        places = [((p.ts - first + 0x80000000) & 0xFFFFFFFF) - 0x80000000 for p in audio]
        out = np.zeros(max(places) + max(len(p.payload) for p in audio), np.int16)
        for place, packet in zip(places, audio, strict=True):
            codec = find(NAMES[packet.payload_type], 8000)
            if codec is not None and place >= 0:
                out[place : place + len(packet.payload)] = codec.decode(np.frombuffer(packet.payload, np.uint8))
        return out[skip_ms * 8 :]

    def forget(self) -> None:
        """Drop what was heard so far."""
        self.packets.clear()

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class PeerGroup:
    """Peers that send in step, one packet each 20 ms, spread over the 20 ms."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    def __enter__(self) -> PeerGroup:
        return self

    def __exit__(self, *_: object) -> None:
        for peer in self.peers:
            peer.close()

    def add(self, peer: P) -> P:
        """Add a peer that has been made."""
        self.peers.append(peer)
        return peer

    def peer(self, tone_hz: float = 0.0, payload_type: int = PCMU, bind_ip: str = "127.0.0.1", **more: object) -> Peer:
        """Add a peer that says a tone (0: nothing)."""
        samples = tones.tone(tone_hz, 1000) if tone_hz else None
        peer = Peer(samples, payload_type, bind_ip, **more)  # type: ignore[arg-type]
        self.peers.append(peer)
        return peer

    def run_ms(self, length_ms: int) -> None:
        """Send and receive for so long."""
        begun = time.monotonic()
        for step in range(length_ms // 20):
            for place, peer in enumerate(self.peers):
                self._wait_until(begun + 0.02 * (step + place / max(len(self.peers), 1)))
                peer.send_frame()
        self._wait_until(begun + length_ms / 1000)

    def hear(self, wanted: Mapping[Peer, set[float]], candidates_hz: list[float], each_ms: int = 600) -> None:
        """Talk until each of these hears just those tones for so long. Fails naming what was heard."""
        found: list[set[float]] = []
        for _ in range(30):
            self.run_ms(200)
            for peer in self.peers:
                peer.forget()
            self.run_ms(each_ms)
            found = [tones.heard(peer.heard(), candidates_hz) for peer in wanted]
            if found == list(wanted.values()):
                return
        raise AssertionError(f"heard {found}, wanted {list(wanted.values())}")

    def run_until(self, condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
        """Talk until it is so. Fails naming `what`."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
            self.run_ms(60)

    def run_until_silent(self, peer: Peer, length_ms: int = 400) -> None:
        """Talk until a peer has been sent nothing for so long: what was on its way has come."""
        for _ in range(50):
            peer.forget()
            self.run_ms(length_ms)
            if not peer.packets:
                return
        raise AssertionError(f"it is sent {len(peer.packets)} packets in {length_ms} ms all the time")

    def _wait_until(self, when_s: float) -> None:
        while True:
            left = when_s - time.monotonic()
            readable, _, _ = select.select([p.socket for p in self.peers], [], [], max(left, 0))
            for peer in self.peers:
                if peer.socket in readable:
                    peer.read()
            if left <= 0:
                return
