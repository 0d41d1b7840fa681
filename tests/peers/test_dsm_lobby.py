# SPDX-License-Identifier: GPL-2.0-or-later
"""The presentation's own scene with real calls: from the lobby into a room by postDSMEvent, who hears whom, found, kicked.

Once with our edition of the diagram, once with the slide's text as it stands.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator

import pytest

from tests.support import tones
from tests.support.rtp_peer import PeerGroup
from tests.support.server import ROOT, Server, wait_until
from tests.support.sipp import Sipp, SippResult, find_sipp

pytestmark = pytest.mark.peers

WELCOME_HZ = 784.0
TONES_HZ = [500.0, 900.0]
PLUGINS = "monitoring;echo;di_dial;dsm;xmlrpc2di;web"


SLIDE = "presentation_2009_lobby"


def of_the_slide(running: Server) -> None:
    """dsm.conf for the slide's diagram, whose prompts are in wav/; it was written for a diagram that starts when the call is answered."""
    settings = f"diag_path={ROOT}/tests/vectors/dsm/\nload_diags={SLIDE}\nregister_apps={SLIDE}\nstart_at_session=yes\n"
    (running.etc / "dsm.conf").write_text(settings)
    (running.etc / "app_mapping.conf").write_text(f"^sip:=>{SLIDE}\n")
    (running.etc / "wav").mkdir()
    for name in ("welcome", "taken", "change"):
        shutil.copy(running.etc / "prompts" / f"{name}.wav", running.etc / "wav")


@pytest.fixture(scope="module", params=["ours", "as on the slide"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    find_sipp()
    with Server(
        tmp_path_factory.mktemp("server"), {"app_mapping.conf": "^sip:=>lobby\n"}, plugins=PLUGINS, start=False
    ) as running:
        if request.param != "ours":
            of_the_slide(running)
        running.start()
        yield running


def hear(group: PeerGroup, wanted: list[set[float]], anew: bool = True) -> bool:
    """Let all talk until each hears just those, for a while at most. `anew`: what was heard before does not count."""
    for _ in range(20):
        if anew:
            for peer in group.peers:
                peer.forget()
        group.run_ms(1000)
        if [tones.heard(peer.heard(200 if anew else 0), [WELCOME_HZ, *TONES_HZ]) for peer in group.peers] == wanted:
            return True
    return False


def test_take_and_kick(server: Server) -> None:
    results: list[SippResult] = []
    with PeerGroup() as group:
        peers = [group.peer(tone_hz=hz) for hz in TONES_HZ]
        sipps = [Sipp("called_off", server.sip_port, user="lobby", hold_ms=30000, media_port_base=peer.port) for peer in peers]
        threads = [threading.Thread(target=lambda sipp=sipp: results.append(sipp.wait()), daemon=True) for sipp in sipps]
        for thread in threads:
            thread.start()
        for _ in range(100):
            group.run_ms(100)
            for peer in peers:
                if peer.packets:
                    peer.remote = peer.packets[0].source
            if all(peer.remote for peer in peers):
                break
        assert hear(group, [{WELCOME_HZ}, {WELCOME_HZ}], anew=False), "the welcome, and nobody else"
        ids = wait_until(
            lambda: len(found := server.xml.di("monitoring", "listByFilter", ["position", "lobby"])) == 2 and found,
            "two calls in the lobby",
        )
        assert [server.xml.di("monitoring", "getSingle", id, "username") for id in ids] == [["lobby"], ["lobby"]]
        for id in ids:
            assert server.xml.postDSMEvent(id, [["action", "take"], ["roomname", "wonderland"]]) == [200, "OK"]
        wait_until(lambda: sorted(server.xml.listByFilter(["position", "wonderland"])) == sorted(ids), "both in the room")
        wait_until(lambda: server.xml.di("monitoring", "get", ids[0])[0]["dsm_state"] == "room", "the state")
        assert hear(group, [{hz} for hz in reversed(TONES_HZ)]), "each other"
        for id in ids:
            assert server.xml.postDSMEvent(id, [["action", "kick"]]) == [200, "OK"]
        for thread in threads:
            thread.join(60)
    assert [(result.successful, result.failed) for result in results] == [(1, 0), (1, 0)], [result.errors for result in results]
    wait_until(lambda: server.xml.calls() == 0, "calls() is 0")
    assert server.xml.postDSMEvent(ids[0], [["action", "kick"]]) == [404, "Session not found"]
