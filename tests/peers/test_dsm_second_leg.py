# SPDX-License-Identifier: GPL-2.0-or-later
"""Two real legs that a diagram connects: they hear each other, keys steer, events go to and fro, the callee's BYE reaches the diagram."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tones
from tests.support.rtp_peer import PeerGroup
from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp, SippResult, find_sipp

pytestmark = pytest.mark.peers

SCRIPT = """
initial state A;
state TALKING;
state END;
transition "call the other" A - sessionStart / B2B.connectCallee("<sip:b@127.0.0.1>", $config.callee) -> A;
transition "they answer" A - B2B.otherReply(#code == 200) -> TALKING;
transition "star ends it" TALKING - key(#key == 10) / { B2B.terminateOtherLeg(); stop(true) } -> END;
transition "gone" (A, TALKING) - hangup / { B2B.terminateOtherLeg(); stop(false) } -> END;
"""
SCENARIOS = Path(__file__).parent / "scenarios"
CALLER_HZ, CALLEE_HZ = 500.0, 900.0


@pytest.fixture
def callee(tmp_path: Path) -> Iterator[tuple[Sipp, PeerGroup]]:
    find_sipp()
    with PeerGroup() as group:
        peer = group.peer(tone_hz=CALLEE_HZ)
        scenario = tmp_path / "uas_here.xml"
        scenario.write_text((SCENARIOS / "uas.xml").read_text().replace("41000", str(peer.port)))
        with Sipp(scenario) as sipp:
            yield sipp, group


def test_two_legs_are_bridged(tmp_path: Path, callee: tuple[Sipp, PeerGroup]) -> None:
    sipp, group = callee
    files = {
        "app_mapping.conf": "^sip:=>two\n",
        "dsm.conf": f"diag_path=dsm/\nload_diags=two\nregister_apps=two\ncallee=sip:b@127.0.0.1:{sipp.local_port}\n",
        "dsm/two.dsm": SCRIPT,
    }
    results: list[SippResult] = []
    with Server(tmp_path, files, plugins="monitoring;dsm;xmlrpc2di;web") as server:
        caller = group.peer(tone_hz=CALLER_HZ)
        calling = Sipp("called_off", server.sip_port, user="x", hold_ms=30000, media_port_base=caller.port)
        thread = threading.Thread(target=lambda: results.append(calling.wait()), daemon=True)
        thread.start()
        (id,) = wait_until(lambda: server.xml.listByFilter(["dsm_state", "TALKING"]), "both legs are up")
        for _ in range(200):
            group.run_ms(100)
            for peer in group.peers:
                if peer.packets:
                    peer.remote = peer.packets[0].source
            if all(peer.remote for peer in group.peers):
                break
        heard: list[set[float]] = []
        for _ in range(20):
            for peer in group.peers:
                peer.forget()
            group.run_ms(1000)
            heard = [tones.heard(peer.heard(200), [CALLER_HZ, CALLEE_HZ]) for peer in (caller, group.peers[0])]
            if heard == [{CALLEE_HZ}, {CALLER_HZ}]:
                break
        assert heard == [{CALLEE_HZ}, {CALLER_HZ}]
        assert server.xml.calls() == 2
        caller.press(10)
        group.run_ms(300)
        thread.join(60)
        wait_until(lambda: server.xml.calls() == 0, "both legs are gone")
        assert [(result.successful, result.failed) for result in results] == [(1, 0)], results[0].errors
        assert server.xml.di("monitoring", "get", id)[0]["dsm_state"] == "END"


FIRST = """
import(mod_monitoring);
initial state A;
state TALKING;
state END;
transition "call the other" A - sessionStart / {
 set($b2b_diag=second); set($b2b_var.who=callee); B2B.connectCallee("<sip:b@127.0.0.1>", $config.callee);
} -> A;
transition "they answer" A - B2B.otherReply(#code == 200) -> TALKING;
transition "ask" TALKING - event(#do == ask) / { set($question=#text); set($more.n=3); B2B.relayEvent(question;more.) } -> TALKING;
transition "answered" TALKING - B2Bevent / { monitoring.log(answer, #answer); } -> TALKING;
transition "end" TALKING - event(#do == end) / { B2B.terminateOtherLeg(); stop(true) } -> END;
transition "gone" (A, TALKING) - hangup / { B2B.terminateOtherLeg(); stop(false) } -> END;
"""
SECOND = """
import(mod_monitoring);
initial state WAIT;
state OVER;
transition "asked" WAIT - B2Bevent / {
 sets($answer=$(who) heard #(question) #(more.n)); monitoring.log(asked, $answer); B2B.relayEvent(answer);
} -> WAIT;
transition "gone" WAIT - hangup / stop(false) -> OVER;
"""


def test_events_go_between_two_legs(tmp_path: Path, callee: tuple[Sipp, PeerGroup]) -> None:
    sipp, _ = callee
    files = {
        "app_mapping.conf": "^sip:=>first\n",
        "dsm.conf": f"diag_path=dsm/\nload_diags=first,second\nregister_apps=first\ncallee=sip:b@127.0.0.1:{sipp.local_port}\n",
        "dsm/first.dsm": FIRST,
        "dsm/second.dsm": SECOND,
    }
    with Server(tmp_path, files, plugins="monitoring;dsm;xmlrpc2di;web") as server:
        calling = Sipp("called_off", server.sip_port, user="x", hold_ms=30000)
        results: list[SippResult] = []
        thread = threading.Thread(target=lambda: results.append(calling.wait()), daemon=True)
        thread.start()
        (first,) = wait_until(lambda: server.xml.listByFilter(["dsm_state", "TALKING"]), "both legs are up")
        (second,) = wait_until(lambda: server.xml.listByFilter(["dsm_diag", "second"]), "the other leg's diagram")
        assert first != second
        assert server.xml.postDSMEvent(first, [["do", "ask"], ["text", "marco"]]) == [200, "OK"]
        wait_until(lambda: "answer" in server.xml.di("monitoring", "get", first)[0], "the answer is back")
        assert server.xml.di("monitoring", "get", second)[0]["asked"] == "callee heard marco 3"
        assert server.xml.di("monitoring", "get", first)[0]["answer"] == "callee heard marco 3"
        assert server.xml.postDSMEvent(first, [["do", "end"]]) == [200, "OK"]
        thread.join(60)
        wait_until(lambda: server.xml.calls() == 0, "both legs are gone")
    assert [(result.successful, result.failed) for result in results] == [(1, 0)], results[0].errors
