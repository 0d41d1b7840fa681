# SPDX-License-Identifier: GPL-2.0-or-later
"""Tees and mix-ins equal a naive loop over legs: for any rooms, tees, laws, levels, pieces and intervals, packet for packet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from media.codecs import find
from media.control.play_items import PlayEcho, PlayFile, PlayRoom
from media.control.records import Enqueue, MixIn, SetLegAudio, SetupMixIn, TeeRoom
from media.engine.announcements import plain_samples
from media.engine.sources import StoredAudio
from tests.support.engine_rig import EngineRig, rtp

FRAMES = 8
FRAME = 160


@dataclass(frozen=True)
class Over:
    """A mixer: its level, its interval, its pieces' lengths in samples; `replace`: they repeat."""

    level: float
    interval_frames: int
    pieces: tuple[int, ...]
    replace: bool


@dataclass(frozen=True)
class Plan:
    """One leg."""

    codec: str
    room: str
    tees: frozenset[str]
    muted: bool
    attached: bool
    over: Over | None
    seed: int


overs = st.builds(
    Over, st.sampled_from([0.0, 0.005, 0.01, 0.3, 1.0]), st.integers(0, 4), st.lists(st.integers(1, 700), min_size=1, max_size=3).map(tuple),
    st.booleans(),
)  # fmt: skip
plans = st.builds(
    Plan,
    st.sampled_from(["PCMU", "PCMA"]),
    st.sampled_from(["", "a", "b"]),
    st.frozensets(st.sampled_from(["a", "b", "nobody's"])),
    st.booleans(),
    st.booleans(),
    st.none() | overs,
    st.integers(0, 1000),
)


def spoken(plan: Plan) -> np.ndarray:
    return np.random.default_rng(plan.seed).integers(0, 256, (FRAMES, FRAME), dtype=np.uint8)


def pieces(plan: Plan) -> list[np.ndarray]:
    random = np.random.default_rng(plan.seed + 1)
    return [random.integers(-32768, 32768, length).astype(np.int16) for length in (plan.over.pieces if plan.over else ())]


def mixed_in(plan: Plan) -> list[np.ndarray]:
    """What is mixed in in each tick: a frame, shorter where a piece ends, empty where there is none. Pieces begin with a frame."""
    over = plan.over
    if over is None:
        return [np.zeros(0, np.int16)] * FRAMES
    once = [piece[i : i + FRAME] for piece in pieces(plan) for i in range(0, len(piece), FRAME)]
    out: list[np.ndarray] = [np.zeros(0, np.int16)] * over.interval_frames
    while len(out) < FRAMES:
        out += once
        if not over.replace or not over.interval_frames:
            return (out + [np.zeros(0, np.int16)] * FRAMES)[:FRAMES]
        out += [np.zeros(0, np.int16)] * (over.interval_frames - len(once))
    return out[:FRAMES]


def naive(plans: list[Plan], tick: int) -> list[bytes]:
    """The plain loop. Playout is one frame behind."""
    said = []
    for plan in plans:
        codec = find(plan.codec, 8000)
        assert codec is not None
        said.append(codec.decode(spoken(plan)[tick - 1]).astype(np.int32) if tick else np.zeros(FRAME, np.int32))
    sent = []
    for i, plan in enumerate(plans):
        codec = find(plan.codec, 8000)
        assert codec is not None
        total = np.zeros(FRAME, np.int32)
        for k, other in enumerate(plans):
            member = (other.room == plan.room and k != i and plan.room != "") or (plan.room == "" and k == i)
            teed = plan.room in other.tees and plan.room not in ("", other.room)
            if other.attached and ((member and not other.muted) or teed):
                total += said[k]
        packet = codec.encode(np.clip(total, -32768, 32767).astype(np.int16))
        over = mixed_in(plan)[tick]
        if plan.over is not None and len(over):
            share = round(plan.over.level * 32768) if plan.over.level >= 0.01 else 32768
            sound = codec.decode(packet).astype(np.int64)
            sound[: len(over)] = (sound[: len(over)] * (32768 - share) + over.astype(np.int64) * share) // 32768
            packet = codec.encode(sound.astype(np.int16))
        sent.append(packet.tobytes())
    return sent


@settings(max_examples=60, deadline=None)
@given(st.lists(plans, min_size=1, max_size=7))
def test_tees_and_mix_ins_equal_naive_loop(plans: list[Plan]) -> None:
    rig = EngineRig()
    loads: dict[str, np.ndarray] = {}
    for i, plan in enumerate(plans):
        rig.connect(i, ("127.0.0.1", 30000 + i), plan.codec, 8000, 0 if plan.codec == "PCMU" else 8)
        item = PlayRoom(plan.room) if plan.room else PlayEcho()
        rig.do(
            Enqueue(i, (item,)),
            SetLegAudio(i, muted=plan.muted, attached_input=plan.attached),
            *(TeeRoom(i, t) for t in sorted(plan.tees)),
        )
        if plan.over is not None:
            names = [f"{i}-{n}" for n in range(len(plan.over.pieces))]
            loads |= dict(zip(names, pieces(plan), strict=True))
            rig.do(SetupMixIn(i, plan.over.level, plan.over.interval_frames * 20))
            rig.do(MixIn(i, tuple(PlayFile(name) for name in names), plan.over.replace))
    for wanted in rig.engine.take_wanted():
        assert wanted.codec is plain_samples(8000)
        rig.engine.file_loaded(wanted.token, StoredAudio(wanted.codec, loads[wanted.path].view(np.uint8)), "")
    for tick in range(FRAMES):
        for i, plan in enumerate(plans):
            kind = 0 if plan.codec == "PCMU" else 8
            packet = rtp(tick, tick * FRAME, spoken(plan)[tick].tobytes(), kind, ssrc=i)
            rig.arrive(rig.ports[i], ("127.0.0.1", 30000 + i), packet)
        packets = rig.tick()
        for i, expected in enumerate(naive(plans, tick)):
            assert packets[i][12:] == expected, f"tick {tick}, leg {i}: {plans[i]}"
