# SPDX-License-Identifier: GPL-2.0-or-later
"""The matrix of ways to press a key and of what goes wrong on the way (anchors D1), from packets to the session's merged presses.

{RFC 4733, INFO, in-band, two of them at once} × {no marker, all ends lost, the same key again and again} × 16 keys, 5 % of the
packets lost: exactly what was pressed comes out. Simulated time; a press lasts 100 ms, with 100 ms between two.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import numpy as np
import pytest

from di.calls.digits import DigitMerger, parse_dtmf_relay
from media.codecs import find
from media.control.play_items import PlaySilence
from media.control.records import DigitPressed, Enqueue, SetDigitDetection
from tests.support import tones
from tests.support.engine_rig import EngineRig, rtp

PEER = ("10.0.0.1", 4000)
TICK_MS = 20
NAMES = "0123456789*#ABCD"
ROWS_HZ = (697, 770, 852, 941)
COLUMNS_HZ = (1209, 1336, 1477, 1633)
KEYPAD = ("123A", "456B", "789C", "*0#D")
EVERY_KEY = list(range(16))
REPEATED = [5, 5, 5, 0, 0, 11, 11, 11, 11, 15, 15, 1, 2, 1, 1]
LOSS = 0.05


def frequencies(key: int) -> tuple[int, int]:
    """The two tones of a key (ITU-T Q.23)."""
    row = next(n for n, line in enumerate(KEYPAD) if NAMES[key] in line)
    return ROWS_HZ[row], COLUMNS_HZ[KEYPAD[row].index(NAMES[key])]


class Presser:
    """A phone: which RTP packets and INFO bodies it sends in each 20 ms while it presses the keys."""

    def __init__(self, methods: str, keys: list[int], marker: bool, ends: int, press_ms: int, pause_ms: int, info: str) -> None:
        self.methods, self.marker, self.ends, self.info = methods.split("+"), marker, ends, info
        self.press_ticks, self.pause_ticks = press_ms // TICK_MS, pause_ms // TICK_MS
        self.keys = keys
        self.sequence, self.ts = 500, 70_000
        codec = find("PCMU", 8000)
        assert codec is not None
        self._encode = codec.encode

    def _packet(self, payload: bytes, kind: int, ts: int, marker: bool = False) -> bytes:
        self.sequence += 1
        return rtp(self.sequence, ts, payload, kind, 1, marker)

    def _audio(self, key: int, tick: int) -> bytes:
        samples = np.zeros(160)
        if key >= 0 and "inband" in self.methods:
            for hz in frequencies(key):
                samples += tones.tone(hz, (tick + 1) * TICK_MS)[-160:] * 0.5
        return self._packet(self._encode(samples.astype(np.int16)).tobytes(), 0, self.ts)

    def _events(self, key: int, tick: int, begun: int) -> Iterator[bytes]:
        last = tick == self.press_ticks
        for _ in range(self.ends if last else 1):
            duration = min(tick + 1, self.press_ticks) * 160
            payload = struct.pack(">BBH", key, 10 | (128 if last else 0), duration)
            yield self._packet(payload, 101, begun, self.marker and tick == 0)

    def ticks(self) -> Iterator[tuple[list[bytes], list[bytes]]]:
        """RTP packets and INFO bodies, 20 ms by 20 ms."""
        for _ in range(10):
            yield [self._audio(-1, 0)], []
            self.ts += 160
        for key in self.keys:
            begun = self.ts
            for tick in range(self.press_ticks + self.pause_ticks):
                pressed = tick < self.press_ticks
                packets = [self._audio(key if pressed else -1, tick)]
                if "rtp" in self.methods and tick <= self.press_ticks:
                    packets = list(self._events(key, tick, begun))
                at = 0 if self.info == "at once" else self.press_ticks
                body = f"Signal={NAMES[key]}\r\nDuration={self.press_ticks * TICK_MS}\r\n".encode()
                yield packets, [body] if "info" in self.methods and tick == at else []
                self.ts += 160
        for _ in range(25):
            yield [self._audio(-1, 0)], []
            self.ts += 160


def pressed(phone: Presser, chance: random.Random, inband: bool = True) -> list[int]:
    """Let an engine and a session's merger take all that the phone sends, less what is lost; the presses that come out."""
    rig, merger, found = EngineRig(), DigitMerger(), list[int]()
    rig.connect(1, PEER, dtmf_receive=101)
    rig.do(Enqueue(1, (PlaySilence(),)), SetDigitDetection(1, inband=inband))
    for packets, bodies in phone.ticks():
        for packet in packets:
            if chance.random() >= LOSS:
                rig.arrive(rig.ports[1], PEER, packet)
        for body in bodies:  # SIP sends again what is lost
            parsed = parse_dtmf_relay(body)
            assert parsed is not None
            if merger.accept(parsed[0], "info", rig.now_ns, parsed[1]):
                found.append(parsed[0])
        known = len(rig.events)
        rig.tick()
        for event in rig.events[known:]:
            if isinstance(event, DigitPressed) and merger.accept(event.event, event.source, rig.now_ns, event.duration_ms):
                found.append(event.event)
    return found


@pytest.mark.parametrize("keys", [EVERY_KEY, REPEATED], ids=["every key", "repeated"])
@pytest.mark.parametrize("marker", [True, False], ids=["marker", "no marker"])
@pytest.mark.parametrize("ends", [3, 0], ids=["ends", "ends lost"])
@pytest.mark.parametrize("info", ["at once", "at release"])
@pytest.mark.parametrize("methods", ["rtp", "info", "rtp+info"])
def test_matrix_of_signalled_keys(methods: str, info: str, ends: int, marker: bool, keys: list[int]) -> None:
    for seed in range(2):
        phone = Presser(methods, keys, marker, ends, 100, 100, info)
        assert pressed(phone, random.Random(seed)) == keys, f"seed {seed}"


@pytest.mark.parametrize("press_ms", [60, 300, 1000])
@pytest.mark.parametrize("ends", [3, 0], ids=["ends", "ends lost"])
@pytest.mark.parametrize("info", ["at once", "at release"])
def test_length_of_a_press_does_not_split_it_between_two_methods(info: str, ends: int, press_ms: int) -> None:
    phone = Presser("rtp+info", EVERY_KEY, True, ends, press_ms, 300, info)
    assert pressed(phone, random.Random(1)) == EVERY_KEY


@pytest.mark.parametrize("keys", [EVERY_KEY, REPEATED], ids=["every key", "repeated"])
@pytest.mark.parametrize("info", ["at once", "at release"])
@pytest.mark.parametrize("methods", ["inband", "inband+info"])
def test_matrix_of_keys_in_the_audio(methods: str, info: str, keys: list[int]) -> None:
    for seed in range(2):
        phone = Presser(methods, keys, False, 0, 100, 100, info)
        assert pressed(phone, random.Random(seed)) == keys, f"seed {seed}"
