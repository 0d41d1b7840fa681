# SPDX-License-Identifier: GPL-2.0-or-later
"""Payloads passed on undecoded equal decoding and encoding, packet for packet: whatever is lost, late, reordered or doubled on the way,
and whatever makes decoding take over in between.

Two engines get the same packets and commands, one of them never relays. What the network lost is not sent on by the relay (the phone
conceals) and concealed by the other; everything else is the same bytes at the same timestamps, and without losses the same sequence. Where
packets come after their time, a relay leaves them out, while the other plays them late: then sequence and time still only grow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.control.play_items import PlayBridge
from media.control.recording_records import StartRecording
from media.control.recording_records import StopRecording as Stop
from media.control.records import ConnectLeg, Enqueue, SendDigit, SetDigitDetection, SetLegAudio, SetupMixIn
from tests.support.engine_rig import EngineRig, rtp

TICKS = 40
CODECS = {"PCMU": (8000, 0), "PCMA": (8000, 8), "L16": (16000, 96)}


@dataclass(frozen=True)
class Fate:
    """What becomes of a packet: it comes so many ticks late (-1: never), so many times."""

    late: int = 0
    times: int = 1


@dataclass(frozen=True)
class Plan:
    """Two bridged legs: codec, each one's packets, and commands (tick, leg, which) that need the audio or change it."""

    codec: str
    fates: tuple[dict[int, Fate], dict[int, Fate]]
    commands: tuple[tuple[int, int, str], ...] = ()
    seed: int = 0


COMMANDS = (
    "mute",
    "unmute",
    "deaf",
    "hear",
    "louder",
    "unity",
    "keys",
    "no keys",
    "record",
    "stop",
    "mix",
    "hold",
    "resume",
    "press",
)
fates = st.dictionaries(
    st.integers(0, TICKS - 1), st.builds(Fate, st.sampled_from([-1, -1, 0, 1, 2, 3]), st.integers(1, 2)), max_size=14
)
plans = st.builds(
    Plan,
    st.sampled_from(sorted(CODECS)),
    st.tuples(fates, fates),
    st.lists(st.tuples(st.integers(0, TICKS - 1), st.integers(1, 2), st.sampled_from(COMMANDS)), max_size=5).map(tuple),
    st.integers(0, 1000),
)


class Pair:
    """One engine with two bridged legs."""

    def __init__(self, plan: Plan, relays: bool) -> None:
        self.rig = EngineRig()
        self.rig.engine.relays.enabled = relays
        clock_hz, kind = CODECS[plan.codec]
        self.connections = {
            leg: ConnectLeg(leg, "127.0.0.1", 30000 + leg, plan.codec, clock_hz, kind, kind, dtmf_send=101, dtmf_receive=101)
            for leg in (1, 2)
        }
        for leg in (1, 2):
            self.rig.connect(leg, ("127.0.0.1", 30000 + leg), plan.codec, clock_hz, kind, dtmf_send=101, dtmf_receive=101)
        self.rig.do(Enqueue(1, (PlayBridge(2),)), Enqueue(2, (PlayBridge(1),)))

    def command(self, leg: int, which: str) -> None:
        held = {**{f: getattr(self.connections[leg], f) for f in ConnectLeg.__slots__}}
        self.rig.do(
            {
                "mute": SetLegAudio(leg, muted=True), "unmute": SetLegAudio(leg, muted=False),
                "deaf": SetLegAudio(leg, deaf=True), "hear": SetLegAudio(leg, deaf=False),
                "louder": SetLegAudio(leg, gain_db=6.0), "unity": SetLegAudio(leg, gain_db=0.0),
                "keys": SetDigitDetection(leg, inband=True), "no keys": SetDigitDetection(leg, inband=False),
                "record": StartRecording(leg, "x.wav"), "stop": Stop(leg), "mix": SetupMixIn(leg, 0.5),
                "hold": ConnectLeg(**{**held, "send": False}), "resume": self.connections[leg], "press": SendDigit(leg, 5, 60),
            }[which]
        )  # fmt: skip

    def arrive(self, leg: int, number: int, payload: bytes, plan: Plan) -> None:
        clock_hz, kind = CODECS[plan.codec]
        packet = rtp(65500 + number, 2**32 - 3000 + number * clock_hz // 50, payload, kind, ssrc=leg)
        self.rig.arrive(self.rig.ports[leg], ("127.0.0.1", 30000 + leg), packet)


def spoken(plan: Plan, leg: int) -> list[bytes]:
    """Payloads that decoding and encoding again leave as they are."""
    random = np.random.default_rng(plan.seed + leg)
    if plan.codec == "L16":
        return [random.integers(-32767, 32768, 320).astype(">i2").tobytes() for _ in range(TICKS)]
    codes = random.integers(0, 256, (TICKS, 160), dtype=np.uint8)
    codes[codes == 0x7F] = 0xFF  # mu-law has two zeros
    return [row.tobytes() for row in codes]


def run(plan: Plan) -> tuple[list[dict[int, list[bytes]]], list[dict[int, list[bytes]]], Pair]:
    """Return what both engines send in each tick."""
    relayed, decoded = Pair(plan, True), Pair(plan, False)
    said = {leg: spoken(plan, leg) for leg in (1, 2)}
    sent: tuple[list[dict[int, list[bytes]]], list[dict[int, list[bytes]]]] = ([], [])
    for tick in range(TICKS):
        for pair, out in zip((relayed, decoded), sent, strict=True):
            for at, leg, which in plan.commands:
                if at == tick:
                    pair.command(leg, which)
            for leg in (1, 2):
                for number in range(max(tick - 3, 0), tick + 1):
                    fate = plan.fates[leg - 1].get(number, Fate())
                    if fate.late >= 0 and number + fate.late == tick:
                        for _ in range(fate.times):
                            pair.arrive(leg, number, said[leg][number], plan)
            out.append(pair.rig.tick_all())
    return (*sent, relayed)


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_without_losses_every_packet_is_the_same_and_most_were_passed_on(codec: str) -> None:
    relayed, decoded, pair = run(Plan(codec, ({}, {})))
    assert relayed == decoded
    assert pair.rig.counter("packets_relayed") >= 2 * (TICKS - 12)
    assert pair.rig.engine.leg_statistics(pair.rig.engine.by_number[1])["relayed"] == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_whatever_needs_the_audio_takes_over_and_gives_back_without_a_seam(command: str) -> None:
    plan = Plan("PCMU", ({}, {}), ((20, 1, command), (30, 1, {"hold": "resume", "mute": "unmute"}.get(command, "unity"))))
    relayed, decoded, pair = run(plan)
    assert relayed == decoded
    assert pair.rig.counter("packets_relayed") > 20


@settings(max_examples=40, deadline=None)
@given(plans)
def test_relay_equals_decoding(plan: Plan) -> None:
    relayed, decoded, _ = run(plan)
    said = {leg: set(spoken(plan, leg)) for leg in (1, 2)}
    for tick, (ours, theirs) in enumerate(zip(relayed, decoded, strict=True)):
        for leg in (1, 2):
            other = plan.fates[2 - leg].values()
            if any(fate.late > 1 for fate in other):
                continue  # the clock has stepped back
            lossy = any(fate.late < 0 for fate in other)
            sent, wanted = ours.get(leg, []), theirs.get(leg, [])
            assert len(sent) == len(wanted) or (lossy and not sent), f"tick {tick}, leg {leg}: {plan}"
            for one, two in zip(sent, wanted, strict=False):
                assert one[4:] == two[4:], f"tick {tick}, leg {leg}: {plan}"
    for leg in (1, 2):
        packets = [p for tick in relayed for p in tick.get(leg, [])]
        steps = np.diff(np.array([int.from_bytes(p[2:4], "big") for p in packets], np.uint16))
        assert not len(steps) or (steps.min() >= 1 and steps.max() < TICKS), f"sequence numbers only grow: {plan}"
        audio = [p for p in packets if p[1] & 127 != 101]
        steps = np.diff(np.array([int.from_bytes(p[4:8], "big") for p in audio], np.uint32)) // (
            len(spoken(plan, leg)[0]) // (1 + (plan.codec == "L16"))
        )
        assert not len(steps) or (steps.min() >= 1 and steps.max() < 2 * TICKS), f"timestamps only grow: {plan}"
        originals = [p[12:] for p in audio if p[12:] in said[3 - leg]]
        late = sum(
            3 for fate in plan.fates[2 - leg].values() if fate.late > 1
        )  # where the clock steps back, a frame may come again
        assert len(originals) - len(set(originals)) <= late, f"nothing is played twice: {plan}"
