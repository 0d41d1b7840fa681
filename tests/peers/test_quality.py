# SPDX-License-Identifier: GPL-2.0-or-later
"""How good it sounds: speech through a room of the real media process scored by PESQ (ITU-T P.862), and through losses.

The engine part runs on a simulated clock: what is heard depends on the pattern alone, not on the machine.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray
from pesq import pesq

from media.codecs import find
from media.control.play_items import PlayRoom
from media.control.records import Enqueue
from tests.support import tones
from tests.support.engine_rig import EngineRig, rtp, samples_of
from tests.support.media_server import MediaServer
from tests.support.rtp_peer import PCMA, PCMU, PeerGroup
from tests.support.speech import speech

RATE_HZ = 8000
SPEAKER, LISTENER = ("10.0.0.1", 4000), ("10.0.0.2", 4000)
Samples = NDArray[np.int16]


def score(said: Samples, heard: Samples) -> float:
    """PESQ, 1 (bad) to 4.5, of what was heard, which may begin later."""
    lag = int(np.argmax(np.correlate(heard[: 3 * RATE_HZ].astype(float), said[: 2 * RATE_HZ].astype(float), "valid")))
    count = min(len(said), len(heard) - lag)
    return float(pesq(RATE_HZ, said[:count], heard[lag : lag + count], "nb"))


def through_room(said: Samples, arrivals: dict[int, list[int]]) -> Samples:
    """What the listener in a room of two hears; `arrivals`: numbers of the packets that come before each tick."""
    rig, codec = EngineRig(), find("PCMU", RATE_HZ)
    assert codec is not None
    payloads = codec.encode(said).reshape(-1, 160)
    rig.connect(1, SPEAKER)
    rig.connect(2, LISTENER)
    rig.do(*(Enqueue(leg, (PlayRoom("r"),)) for leg in (1, 2)))
    heard = []
    for tick in range(max(arrivals) + 1):
        for step in arrivals.get(tick, []):
            if step < len(payloads):
                rig.arrive(rig.ports[1], SPEAKER, rtp(step, 160 * step, payloads[step].tobytes()))
        heard.append(samples_of(rig.tick()[2]))
    return np.concatenate(heard)


def in_order(ticks: int) -> dict[int, list[int]]:
    """One packet a tick."""
    return {tick: [tick] for tick in range(ticks)}


def test_speech_through_a_room_sounds_as_g711_does() -> None:
    """The room adds nothing to what G.711 itself costs (4.5 is the most that PESQ gives)."""
    said, codec = speech(8000), find("PCMU", RATE_HZ)
    assert codec is not None
    alone = score(said, np.concatenate([codec.decode(codec.encode(said)), np.zeros(RATE_HZ, np.int16)]))
    heard = score(said, through_room(said, in_order(425)))
    assert heard > 4.4
    assert abs(heard - alone) < 0.1


@pytest.mark.parametrize(
    ("name", "least"),
    [("1 % lost", 4.1), ("5 % lost", 2.9), ("every twentieth pair swapped", 3.8), ("up to 60 ms of jitter", 3.8)],
)
def test_speech_through_a_bad_network(name: str, least: float) -> None:
    said, chance = speech(8000), random.Random(4)
    arrivals: dict[int, list[int]] = {tick: [] for tick in range(440)}
    for step in range(425):
        if name.endswith("lost") and chance.random() < int(name[0]) / 100:
            continue
        late = chance.randrange(4) if name.endswith("jitter") else 0
        if name.endswith("swapped"):
            late = {0: 2, 1: 0}.get(step % 20, 0)
        arrivals[min(step + late, 439)].append(step)
    assert score(said, through_room(said, arrivals)) > least


@pytest.mark.peers
@pytest.mark.alone
def test_speech_through_rooms_of_the_real_process() -> None:
    """One room in each law. Real sockets and a real clock; a busy machine may cost a gap, which the threshold allows for."""
    said, listeners = speech(6000), {}
    with MediaServer() as server, PeerGroup() as group:
        for kind in (PCMU, PCMA):
            speaker, listener = group.peer(1.0, kind), group.peer(0, kind)
            speaker.samples = np.concatenate([said, np.zeros(4 * RATE_HZ, np.int16)])
            listener.samples = tones.tone(0, 1000)
            for leg, peer in ((10 * kind + 1, speaker), (10 * kind + 2, listener)):
                server.connect(leg, peer)
                server.send(Enqueue(leg, (PlayRoom(f"law {kind}"),)))
            listeners[kind] = listener
        group.run_ms(7000)
        scores = {kind: score(said, listener.heard()) for kind, listener in listeners.items()}
    assert min(scores.values()) > 3.8, scores
