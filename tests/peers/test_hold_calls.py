# SPDX-License-Identifier: GPL-2.0-or-later
"""Hold and direction changes by re-INVITE while audio flows: nothing clicks, nothing is lost that should flow (RFC 3264 §8.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.support import tones
from tests.support.phone import Phone
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.server import Server, wait_until
from tests.support.stalls import calm

pytestmark = pytest.mark.peers

A_HZ, B_HZ = 500.0, 700.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    mapping = "^sip:room=>webconference\n^sip:echo=>echo\n"
    with Server(tmp_path_factory.mktemp("server"), {"app_mapping.conf": mapping}) as running:
        yield running


Scene = Callable[[PeerGroup, Phone, Phone], None]


def talk(server: Server, scene: Scene) -> None:
    """Two phones that talk in a room; what they hear is judged on a calm machine, for each sends in real time."""

    def once() -> None:
        with PeerGroup() as group:
            one, other = (Phone(server.sip_port, group.peer(hz)).call("room7") for hz in (A_HZ, B_HZ))
            try:
                group.run_ms(2500)  # the room says that somebody has come
                for phone in (one, other):
                    phone.peer.forget()
                scene(group, one, other)
            finally:
                one.bye()
                other.bye()
        wait_until(lambda: server.xml.calls() == 0, "the room is empty")

    calm(once)


def clicks(sound: np.ndarray, tone_hz: float) -> float:
    """Largest step between neighbouring samples, of the largest that the tone itself has."""
    steps = np.abs(np.diff(sound.astype(np.int64)))
    return float(steps.max() / (2 * np.pi * tone_hz / 8000 * 8000))


def gaps(peer: Peer) -> set[int]:
    return set(np.diff(np.array([p.sequence for p in peer.packets], np.uint16)).tolist())


def change(group: PeerGroup, phone: Phone, direction: str, length_ms: int = 600) -> None:
    """re-INVITE while everybody talks on."""
    phone.invite((f"a={direction}",))
    group.run_ms(length_ms)
    assert phone.answered() == 200


def test_a_refresh_changes_nothing_that_is_heard(server: Server) -> None:
    def scene(group: PeerGroup, one: Phone, other: Phone) -> None:
        group.run_ms(300)
        for _ in range(3):
            change(group, one, "sendrecv")
        assert gaps(one.peer) == gaps(other.peer) == {1}
        for peer, tone_hz in ((one.peer, B_HZ), (other.peer, A_HZ)):
            sound = peer.heard()
            assert min(tones.level(sound[i : i + 160], tone_hz) for i in range(0, len(sound) - 160, 160)) > 6500
            assert clicks(sound, tone_hz) < 1.3

    talk(server, scene)


def test_hold_pauses_and_resumes_one_direction_and_leaves_the_other_alone(server: Server) -> None:
    def scene(group: PeerGroup, one: Phone, other: Phone) -> None:
        group.run_ms(300)
        change(group, one, "sendonly")
        held = len(one.peer.packets)
        group.run_ms(500)
        assert len(one.peer.packets) == held, "a phone that only sends is sent nothing"
        sound = other.peer.heard()
        assert min(tones.level(sound[i : i + 160], A_HZ) for i in range(0, len(sound) - 160, 160)) > 6500, (
            "the other hears him throughout"
        )
        change(group, one, "sendrecv")
        group.run_ms(300)
        assert clicks(other.peer.heard(), A_HZ) < 1.3 and gaps(other.peer) == {1}
        resumed = one.peer.packets[held:]
        assert resumed[0].marker and {p.marker for p in resumed[1:]} == {False}
        assert resumed[0].sequence == (one.peer.packets[held - 1].sequence + 1) & 0xFFFF, "a pause is no loss"
        assert (resumed[0].ts - one.peer.packets[held - 1].ts) % 160 == 0 and resumed[0].ts - one.peer.packets[held - 1].ts > 3200
        parts = [part for part in np.split(one.peer.heard(), [0]) if len(part)]
        after = parts[-1][-8 * 300 :]
        assert clicks(after, B_HZ) < 1.3 and tones.level(after, B_HZ) > 6500

    talk(server, scene)


def test_inactive_is_silence_both_ways_and_comes_back(server: Server) -> None:
    def scene(group: PeerGroup, one: Phone, other: Phone) -> None:
        change(group, one, "inactive")
        group.run_ms(200)
        silent_from, count = len(other.peer.heard()), len(one.peer.packets)
        group.run_ms(500)
        assert len(one.peer.packets) == count
        assert tones.heard(other.peer.heard()[silent_from:], [A_HZ, B_HZ]) == set()
        assert clicks(other.peer.heard(), A_HZ) < 1.6, "the voice fades out"
        change(group, one, "recvonly")
        group.run_ms(300)
        assert tones.heard(one.peer.heard()[-2400:], [A_HZ, B_HZ]) == {B_HZ}
        assert tones.heard(other.peer.heard()[-2400:], [A_HZ, B_HZ]) == set()
        change(group, one, "sendrecv")
        group.run_ms(300)
        assert tones.heard(other.peer.heard()[-2400:], [A_HZ, B_HZ]) == {A_HZ}
        assert gaps(other.peer) == {1}

    talk(server, scene)
