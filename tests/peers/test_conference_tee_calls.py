# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_conference's tee and mix-in in real calls: who hears whom, how loud, and when it ends (spec dsm.md §5.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support import tones
from tests.support.phone import Phone
from tests.support.rtp_peer import PCMA, PCMU, Peer, PeerGroup
from tests.support.server import Server, wait_until
from tests.support.stalls import calm

pytestmark = pytest.mark.peers

SCRIPT = """
import(mod_conference);
import(mod_monitoring);
initial state BEGINNING;
state TALKING;
transition "in" BEGINNING - sessionStart / { setInOutPlaylist(); conference.join(@user); } -> TALKING;
transition "heard in the other room too" TALKING - key(#key == 1) / { conference.teejoin(other); set($teed=1); } -> TALKING;
transition "no longer" TALKING - key(#key == 2) / { conference.teeleave(); } -> TALKING;
transition "a quarter, every second" TALKING - key(#key == 3) /
    { conference.setupMixIn(0.25, 1); conference.playMixIn($config.over); } -> TALKING;
transition "alone while it plays" TALKING - key(#key == 4) /
    { conference.setupMixIn(0.005); conference.playMixIn($config.over); } -> TALKING;
transition "a list" TALKING - key(#key == 5) /
    { conference.setupMixIn(0.5); conference.playMixInList($config.over); conference.playMixInList($config.after); } -> TALKING;
transition "a list that loops" TALKING - key(#key == 6) /
    { conference.setupMixIn(0.5); conference.playMixInList($config.over, true); } -> TALKING;
transition "emptied" TALKING - key(#key == 7) / { conference.flushMixInList(); } -> TALKING;
transition "nothing to mix into" TALKING - key(#key == 8) / { conference.playMixIn($config.over); } -> TALKING;
transition "which is said" TALKING - exception / { set($refused=#type); monitoring.log(refused, $refused); } -> TALKING;
transition "gone" TALKING - hangup / { stop(false); } -> END;
state END;
"""
VOICES_HZ = [500.0, 700.0, 900.0]
OVER_HZ, AFTER_HZ = 1100.0, 1300.0
ALL_HZ = [*VOICES_HZ, OVER_HZ, AFTER_HZ]
VOICE = OVER = 8000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    tones.write_wav(folder / "over.wav", tones.tone(OVER_HZ, 500, amplitude=OVER))
    tones.write_wav(folder / "after.wav", tones.tone(AFTER_HZ, 500, amplitude=OVER))
    files = {
        "app_mapping.conf": "^sip:=>tee\n",
        "dsm.conf": f"diag_path=dsm/\nload_diags=tee\nregister_apps=tee\nover={folder}/over.wav\nafter={folder}/after.wav\n",
        "dsm/tee.dsm": SCRIPT,
    }
    with Server(folder, files, plugins="monitoring;dsm;xmlrpc2di;web") as running:
        yield running


@pytest.fixture
def calls(server: Server, tmp_path: Path) -> Iterator[tuple[PeerGroup, list[Phone]]]:
    """Two members of the room `one` (500 and 700 Hz), one of `other` (900 Hz)."""
    with PeerGroup() as group:
        peers = [group.peer(hz, kind) for hz, kind in zip(VOICES_HZ, (PCMU, PCMA, PCMU), strict=True)]
        phones = [Phone(server.sip_port, peer).call(user) for peer, user in zip(peers, ("one", "one", "other"), strict=True)]
        assert [phone.code for phone in phones] == [200, 200, 200]
        group.run_ms(800)
        yield group, phones
        for phone in phones:
            phone.bye()


def press(group: PeerGroup, phone: Phone, key: int) -> None:
    """One press; the voice pauses meanwhile, as a phone's does."""
    phone.peer.press(key, 100)
    group.run_ms(300)


def levels(peer: Peer, last_ms: int) -> dict[float, float]:
    """Amplitude of each tone in the last so many ms that a peer heard."""
    sound = peer.heard()[-8 * last_ms :]
    return {hz: tones.level(sound, hz) for hz in ALL_HZ}


def eventually(group: PeerGroup, holds: Callable[[], bool]) -> bool:
    """Let all talk until this holds of the last that they heard, for a while at most."""
    for _ in range(60):
        group.run_ms(400)
        if holds():
            return True
    return False


def heard(peer: Peer, last_ms: int) -> set[float]:
    return {hz for hz, level in levels(peer, last_ms).items() if level > 500}


def test_a_tee_is_heard_in_the_other_room_until_it_leaves(calls: tuple[PeerGroup, list[Phone]]) -> None:
    group, phones = calls
    first, second, far = (phone.peer for phone in phones)

    def all_hear(*wanted: set[float]) -> bool:
        return eventually(group, lambda: [heard(p, 400) for p in (first, second, far)] == list(wanted))

    assert all_hear({700.0}, {500.0}, set())
    press(group, phones[0], 1)
    assert all_hear({700.0}, {500.0}, {500.0}), "the teed one hears nothing of it"
    assert eventually(group, lambda: levels(far, 400)[500.0] == pytest.approx(VOICE, rel=0.05)), "as loud as in his own room"
    press(group, phones[0], 2)
    assert all_hear({700.0}, {500.0}, set())


def test_a_tee_ends_with_its_call(calls: tuple[PeerGroup, list[Phone]], server: Server) -> None:
    group, phones = calls
    with Phone(server.sip_port, group.peer(1500.0)) as fourth:
        fourth.call("one")
        group.run_ms(300)
        press(group, fourth, 1)
        far = phones[2].peer
        assert eventually(group, lambda: tones.level(far.heard()[-3200:], 1500.0) == pytest.approx(VOICE, rel=0.05))
        fourth.bye()
        group.peers.remove(fourth.peer)
        fourth.peer.close()
    assert eventually(group, lambda: tones.level(far.heard()[-3200:], 1500.0) < 100)


def test_a_mix_in_has_its_share_comes_again_and_is_heard_by_one_only(calls: tuple[PeerGroup, list[Phone]]) -> None:
    group, phones = calls
    listener, other = phones[0].peer, phones[1].peer
    press(group, phones[0], 3)

    def measure() -> None:
        group.run_ms(3000)
        sound = listener.heard()[-8 * 3000 :]
        windows = [sound[i : i + 800] for i in range(0, len(sound) - 800, 800)]
        voice = np.array([tones.level(w, 700.0) for w in windows])
        over = np.array([tones.level(w, OVER_HZ) for w in windows])
        playing = over > 1700
        assert np.median(over[playing]) == pytest.approx(OVER / 4, rel=0.1)
        assert np.median(voice[playing]) == pytest.approx(VOICE * 3 / 4, rel=0.05)
        assert np.median(voice[over < 100]) == pytest.approx(VOICE, rel=0.05), "between two of them the room is as loud as ever"
        begins = np.flatnonzero(playing[1:] & ~playing[:-1])
        assert len(begins) >= 2 and all(abs(step - 10) <= 1 for step in np.diff(begins)), "every second"
        assert heard(other, 2000) == {500.0}

    calm(measure)


def test_below_a_hundredth_the_mix_in_is_alone_while_it_plays(calls: tuple[PeerGroup, list[Phone]]) -> None:
    group, phones = calls

    def measure() -> None:
        before = len(phones[0].peer.heard())
        press(group, phones[0], 4)
        group.run_ms(700)
        sound = phones[0].peer.heard()[before:]
        windows = [sound[i : i + 400] for i in range(0, len(sound) - 400, 400)]
        alone = [w for w in windows if tones.level(w, OVER_HZ) > 0.95 * OVER]
        assert len(alone) >= 7 and max(tones.level(w, 700.0) for w in alone) < 0.1 * VOICE
        assert eventually(group, lambda: heard(phones[0].peer, 200) == {700.0}), "it ends"
        group.run_ms(1500)
        assert heard(phones[0].peer, 1400) == {700.0}, "once"

    calm(measure)


def test_a_list_plays_in_order_loops_and_is_emptied(calls: tuple[PeerGroup, list[Phone]]) -> None:
    group, phones = calls
    listener = phones[0].peer

    def measure() -> None:
        before = len(listener.heard())
        press(group, phones[0], 5)
        group.run_ms(1200)
        notes = [n for n in tones.loudest(listener.heard()[before:], [OVER_HZ, AFTER_HZ], 100, threshold=2000) if n]
        assert notes == [OVER_HZ, AFTER_HZ]
        assert eventually(group, lambda: heard(listener, 200) == {700.0})

    calm(measure)
    press(group, phones[0], 6)
    group.run_ms(1500)
    assert eventually(group, lambda: levels(listener, 1000)[OVER_HZ] == pytest.approx(OVER / 2, rel=0.1)), "without an end"
    press(group, phones[0], 7)
    assert eventually(group, lambda: heard(listener, 200) == {700.0})
    assert eventually(group, lambda: levels(listener, 200)[700.0] == pytest.approx(VOICE, rel=0.05))


def test_without_a_mixer_playing_into_it_is_refused_and_the_call_goes_on(
    calls: tuple[PeerGroup, list[Phone]], server: Server
) -> None:
    group, phones = calls
    press(group, phones[1], 8)
    wait_until(lambda: server.xml.listByFilter(["refused", "conference"]), "it is refused")
    assert eventually(group, lambda: heard(phones[1].peer, 300) == {500.0})
    assert [server.xml.getAttribute(id, "refused") for id in server.xml.listByFilter(["refused", "conference"])]
