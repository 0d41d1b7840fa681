# SPDX-License-Identifier: GPL-2.0-or-later
"""Who comes into a conference and who leaves it is heard by those inside, over their talk (spec applications.md §2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tones
from tests.support.phone import Phone
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.server import Server, wait_until

pytestmark = pytest.mark.peers

JOIN_HZ, DROP_HZ, ALONE_HZ = 1200.0, 1500.0, 1900.0
VOICES_HZ = [500.0, 700.0]
ALL_HZ = [*VOICES_HZ, JOIN_HZ, DROP_HZ, ALONE_HZ]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    for name, hz in (("join", JOIN_HZ), ("drop", DROP_HZ), ("alone", ALONE_HZ)):
        tones.write_wav(tmp_path / f"{name}.wav", tones.tone(hz, 400))
    conference = f"audio_path={tmp_path}/\ndefault_announce=alone.wav\njoin_sound=join.wav\ndrop_sound=drop.wav\n"
    files = {"app_mapping.conf": "^sip:=>conference\n", "conference.conf": conference}
    with Server(tmp_path, files, plugins="monitoring;conference;xmlrpc2di;web") as running:
        yield running


def since(peer: Peer, mark: int) -> set[float]:
    return tones.heard(peer.heard()[mark:], ALL_HZ)


def until_heard(group: PeerGroup, peer: Peer, mark: int, wanted: set[float]) -> set[float]:
    """Let all talk until this one has heard these; what it heard of all."""
    heard: set[float] = set()
    for _ in range(60):
        group.run_ms(300)
        heard = since(peer, mark)
        if heard >= wanted:
            break
    return heard


def test_coming_and_going_is_heard_by_those_inside(server: Server) -> None:
    with PeerGroup() as group, Phone(server.sip_port, group.peer(VOICES_HZ[0])) as inside:
        inside.call("meeting")
        until_heard(group, inside.peer, 0, {ALONE_HZ})
        group.run_ms(600)  # to its end
        assert since(inside.peer, 0) == {ALONE_HZ}, "the first one is told so, and hears no sound of his own coming"
        mark = len(inside.peer.heard())
        with Phone(server.sip_port, group.peer(VOICES_HZ[1])) as newcomer:
            newcomer.call("meeting")
            assert until_heard(group, inside.peer, mark, {VOICES_HZ[1], JOIN_HZ}) == {VOICES_HZ[1], JOIN_HZ}
            until_heard(group, newcomer.peer, 0, {VOICES_HZ[0]})
            group.run_ms(600)  # to its end
            assert VOICES_HZ[0] in since(newcomer.peer, 0) and not {DROP_HZ, ALONE_HZ} & since(newcomer.peer, 0)
            mark = len(inside.peer.heard())
            newcomer.bye()
        wait_until(lambda: server.xml.calls() == 1, "the newcomer is gone")
        assert {DROP_HZ} <= until_heard(group, inside.peer, mark, {DROP_HZ}) <= {VOICES_HZ[1], DROP_HZ}
        inside.bye()
