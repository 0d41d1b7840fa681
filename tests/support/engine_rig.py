# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine without sockets: datagrams in by array, packets out as bytes, the clock advanced by hand."""

from __future__ import annotations

import struct
from random import Random

import numpy as np

from media import codecs
from media.control.records import ConnectLeg, LegOpened, OpenLeg
from media.engine.addresses import NAME_BYTES, sockaddr
from media.engine.engine import TICK_NS, Engine
from media.engine.options import EngineOptions
from media.engine.receive import Datagrams, receive_batch

Source = tuple[str, int]
CLOSED = -1
"""In `EngineRig.bound`: a socket that the engine has closed."""


def rtp(sequence: int, ts: int, payload: bytes, payload_type: int = 0, ssrc: int = 1, marker: bool = False) -> bytes:
    """One RTP packet."""
    kind = payload_type | (128 if marker else 0)
    return struct.pack(">BBHII", 0x80, kind, sequence & 0xFFFF, ts & 0xFFFFFFFF, ssrc) + payload


class EngineRig:
    """An engine whose sockets are numbers."""

    def __init__(self, options: EngineOptions | None = None) -> None:
        self.now_ns = 1_000_000_000
        self.bound: list[int] = []
        self.taken: set[int] = set()
        self.engine = Engine(options or EngineOptions(), self._bind, self._unbind, Random(1))
        self.ports: dict[int, int] = {}
        self.events: list[object] = []

    def _bind(self, address: int, port: int) -> int | None:
        if port in self.taken:
            return None
        self.bound.append(port)
        return len(self.bound) - 1

    def _unbind(self, index: int) -> None:
        self.bound[index] = CLOSED

    def do(self, *commands: object) -> list[object]:
        """Carry out commands, return the events since the last call."""
        for command in commands:
            self.engine.handle(command, self.now_ns)
        events = self.engine.take_events()
        self.events += events
        return events

    def connect(self, leg: int, remote: Source, codec: str = "PCMU", clock_hz: int = 8000, kind: int = 0, **more: object) -> int:
        """Open and connect a leg; return its port."""
        events = self.do(OpenLeg(leg, *remote), ConnectLeg(leg, *remote, codec, clock_hz, kind, kind, **more))  # type: ignore[arg-type]
        opened = next(e for e in events if isinstance(e, LegOpened))
        self.ports[leg] = opened.port
        return opened.port

    def arrive(self, port: int, source: Source, *datagrams: bytes) -> None:
        """Datagrams from one address to one of our ports."""
        engine, count = self.engine, len(datagrams)
        buffer = np.zeros((max(count, 1), 2112), np.uint8)
        lengths = np.zeros(max(count, 1), np.int32)
        names = np.zeros((max(count, 1), NAME_BYTES), np.uint8)
        for i, datagram in enumerate(datagrams):
            buffer[i, : len(datagram)] = np.frombuffer(datagram, np.uint8)
            lengths[i] = len(datagram)
            names[i] = np.frombuffer(sockaddr(*source)[0], np.uint8)
        datagrams = Datagrams(buffer, lengths, names)
        epoch_ns = self.now_ns + engine.epoch_offset_ns
        receive_batch(engine.receiver, self.bound.index(port), datagrams, count, self.now_ns, epoch_ns)

    def tick(self) -> dict[int, bytes]:
        """One tick; return the packet of each leg that sent one."""
        self.now_ns += TICK_NS
        self.engine.tick(self.now_ns)
        self.events += self.engine.take_events()
        return self._due()

    def tick_all(self) -> dict[int, list[bytes]]:
        """One tick; return all packets of each leg, of those with packets shorter than a tick too."""
        packets = {leg: [packet] for leg, packet in self.tick().items()}
        while self.engine.tick_more(self.now_ns):
            for leg, packet in self._due().items():
                packets.setdefault(leg, []).append(packet)
        return packets

    def tick_more(self) -> dict[int, bytes]:
        """Half a tick later; return the packet of each leg that sent one then."""
        return self._due() if self.engine.tick_more(self.now_ns) else {}

    def _due(self) -> dict[int, bytes]:
        table = self.engine.legs
        return {
            leg.number: table.packets[leg.row, : int(table.rows[leg.row]["packet_bytes"])].tobytes()
            for leg in self.engine.by_number.values()
            if table.rows[leg.row]["due"]
        }

    def destination(self, leg: int) -> Source:
        """Where a leg's packets go."""
        row = self.engine.legs.rows[self.engine.by_number[leg].row]
        name = row["name"].tobytes()
        return ".".join(str(b) for b in name[4:8]), (name[2] << 8) | name[3]

    def counter(self, name: str) -> int:
        """A process counter."""
        return int(self.engine.statistics()[name])


def samples_of(packet: bytes, codec: str = "PCMU") -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """The audio of an RTP packet."""
    found = codecs.find(codec, 8000)
    assert found is not None
    return found.decode(np.frombuffer(packet[12:], np.uint8))  # type: ignore[return-value]
