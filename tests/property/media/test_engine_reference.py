# SPDX-License-Identifier: GPL-2.0-or-later
"""The matrix equals a naive loop over legs: for any legs, rooms, laws, mutes, orders of arrival and duplicates, packet for packet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from media.codecs import find
from media.control.play_items import PlayEcho, PlayRoom
from media.control.records import Enqueue, SetLegAudio
from tests.support.engine_rig import EngineRig, rtp

FRAMES = 6
FRAME = 160


@dataclass(frozen=True)
class Plan:
    """One leg: its codec, its room ("" echo), its settings, and per tick whether its packet comes, twice, or with its successor."""

    codec: str
    room: str
    muted: bool
    deaf: bool
    speaks: bool
    arrivals: tuple[str, ...]
    seed: int


plans = st.builds(
    Plan,
    st.sampled_from(["PCMU", "PCMA"]),
    st.sampled_from(["", "a", "b"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.lists(st.sampled_from(["once", "twice"]), min_size=FRAMES, max_size=FRAMES).map(tuple),
    st.integers(0, 1000),
)


def spoken(plan: Plan) -> np.ndarray:
    return np.random.default_rng(plan.seed).integers(0, 256, (FRAMES, FRAME), dtype=np.uint8)


def naive(plans: list[Plan], tick: int) -> list[bytes]:
    """What each leg must be sent in a tick: the plain loop that the engine does as arrays. Playout is one frame behind."""
    frame = tick - 1
    said: list[np.ndarray | None] = []
    for plan in plans:
        codec = find(plan.codec, 8000)
        assert codec is not None
        heard = plan.speaks and not plan.muted and 0 <= frame < FRAMES
        said.append(codec.decode(spoken(plan)[frame]).astype(np.int32) if heard else None)
    sent = []
    for i, plan in enumerate(plans):
        codec = find(plan.codec, 8000)
        assert codec is not None
        total = np.zeros(FRAME, np.int32)
        for k, other in enumerate(plans):
            own = k == i
            audible = (plan.room == "" and own) or (plan.room != "" and other.room == plan.room and not own)
            frame_said = said[k]
            if audible and frame_said is not None and not plan.deaf:
                total = total + frame_said
        sent.append(codec.encode(np.clip(total, -32768, 32767).astype(np.int16)).tobytes())
    return sent


@settings(max_examples=50, deadline=None)
@given(st.lists(plans, min_size=1, max_size=9))
def test_matrix_equals_naive_loop(plans: list[Plan]) -> None:
    rig = EngineRig()
    for i, plan in enumerate(plans):
        kind = 0 if plan.codec == "PCMU" else 8
        rig.connect(i, ("127.0.0.1", 30000 + i), plan.codec, 8000, kind)
        item = PlayRoom(plan.room) if plan.room else PlayEcho()
        rig.do(Enqueue(i, (item,)), SetLegAudio(i, muted=plan.muted, deaf=plan.deaf))
    for tick in range(FRAMES):
        for i, plan in enumerate(plans):
            if plan.speaks:
                kind = 0 if plan.codec == "PCMU" else 8
                packet = rtp(65530 + tick, 2**32 - 3 * FRAME + tick * FRAME, spoken(plan)[tick].tobytes(), kind, ssrc=i)
                rig.arrive(rig.ports[i], ("127.0.0.1", 30000 + i), *[packet] * (2 if plan.arrivals[tick] == "twice" else 1))
        packets = rig.tick()
        for i, wanted in enumerate(naive(plans, tick)):
            assert packets[i][12:] == wanted, f"tick {tick}, leg {i}: {plans[i]}"


@settings(max_examples=30, deadline=None)
@given(st.lists(plans, min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_a_silent_leg_more_changes_nobody(plans: list[Plan], random: object) -> None:
    """And neither does the order in which legs were opened."""
    outcomes = []
    for extra in (False, True):
        rig = EngineRig()
        order = list(enumerate(plans))
        if extra:
            order.reverse()
            rig.connect(99, ("127.0.0.1", 31000))
            rig.do(Enqueue(99, (PlayRoom("a"),)))
        for i, plan in order:
            rig.connect(i, ("127.0.0.1", 30000 + i), plan.codec, 8000, 0 if plan.codec == "PCMU" else 8)
            rig.do(Enqueue(i, (PlayRoom(plan.room or "c"),)))
        sent = []
        for tick in range(3):
            for i, plan in order:
                packet = rtp(tick, tick * FRAME, spoken(plan)[tick].tobytes(), 0 if plan.codec == "PCMU" else 8)
                rig.arrive(rig.ports[i], ("127.0.0.1", 30000 + i), packet)
            packets = rig.tick()
            sent.append([packets[i][12:] for i in range(len(plans))])
        outcomes.append(sent)
    assert outcomes[0] == outcomes[1]
