# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole server with two media processes: real calls in one room over both, one of them killed, its metrics."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.test_skeleton_calls import find_remote
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp, find_sipp

pytestmark = pytest.mark.peers

TONES_HZ = [400.0, 650.0, 900.0, 1150.0]
MAPPING = "^sip:announce=>announcement\n^sip:room=>webconference\n^sip:echo=>echo\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    find_sipp()
    settings = "media_processor_threads=2\nmedia_process_legs=2"
    with Server(tmp_path, {"app_mapping.conf": MAPPING}, settings) as running:
        yield running


@pytest.fixture
def group() -> Iterator[PeerGroup]:
    with PeerGroup() as peers:
        yield peers


@pytest.fixture
def callers() -> Iterator[contextlib.ExitStack]:
    """Of sipp; those that are left are ended."""
    with contextlib.ExitStack() as stack:
        yield stack


def call_room(server: Server, group: PeerGroup, tone_hz: float, callers: contextlib.ExitStack) -> None:
    """A caller of the room; it is there before the next one comes."""
    peer = group.peer(tone_hz)
    before = server.xml.calls()
    callers.enter_context(Sipp("call", server.sip_port, user="room9", hold_ms=150_000, media_port_base=peer.port, timeout_s=200))
    wait_until(lambda: server.xml.calls() == before + 1, "the call")


def process_of(server: Server, peer: Peer) -> int:
    assert peer.remote is not None
    return next(pid for pid, ports in server.media_processes().items() if peer.remote[1] in ports)


def hear(group: PeerGroup, *wanted: set[float]) -> None:
    """Each hears just those, for longer than a pause between the beeps of a prompt."""
    group.hear(dict(zip(group.peers, wanted, strict=True)), TONES_HZ, 1500)


def metric(server: Server, name: str) -> dict[str, float]:
    """Values by process."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.web_port}/metrics", timeout=40) as answer:
        page = answer.read().decode()
    return {process: float(value) for process, value in re.findall(rf'^{name}{{process="(\d)"}} (\S+)$', page, re.M)}


def test_a_room_over_two_processes_and_the_death_of_one(server: Server, group: PeerGroup, callers: contextlib.ExitStack) -> None:
    assert len(server.media_processes()) == 2
    for tone_hz in TONES_HZ:
        call_room(server, group, tone_hz, callers)
    find_remote(group)
    homes = [process_of(server, peer) for peer in group.peers]
    assert sorted(homes.count(pid) for pid in server.media_processes()) == [2, 2]
    hear(group, *(set(TONES_HZ) - {own} for own in TONES_HZ))
    wait_until(lambda: metric(server, "cordboard_media_span_rooms") == {"0": 1.0, "1": 1.0}, "both report the room")
    wait_until(lambda: metric(server, "cordboard_media_legs") == {"0": 2.0, "1": 2.0}, "and two legs each")

    victim = homes[-1]
    ids = set(server.xml.di("monitoring", "listActive"))
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: server.xml.calls() == 2, "its calls end")
    wait_until(lambda: f"pid {victim}, signal SIGKILL" in server.log, "the line")
    wait_until(lambda: len(set(server.xml.di("monitoring", "listFinished")) & ids) == 2, "their records are finished")
    survivors = [peer for peer, home in zip(group.peers, homes, strict=True) if home != victim]
    for peer in group.peers:
        if peer not in survivors:
            peer.close()
    group.peers[:] = survivors
    left = [hz for hz, home in zip(TONES_HZ, homes, strict=True) if home != victim]
    hear(group, {left[1]}, {left[0]})

    wait_until(lambda: "the media process is up again" in server.log, "it is started again")
    wait_until(lambda: len(server.media_processes()) == 2, "two processes")
    new_hz = next(hz for hz in TONES_HZ if hz not in left)
    call_room(server, group, new_hz, callers)
    find_remote(group)
    newcomer = group.peers[-1]
    assert process_of(server, newcomer) not in homes
    hear(group, {left[1], new_hz}, {left[0], new_hz}, set(left))
    assert sum(metric(server, "cordboard_media_restarts_total").values()) == 1
    for id in server.xml.di("monitoring", "listActive"):
        server.json("core.hangup", id)
    wait_until(lambda: server.xml.calls() == 0, "calls() is 0")


def test_no_port_for_a_process_stops_the_start(tmp_path: Path) -> None:
    server = Server(tmp_path, settings="rtp_low_port=30000\nrtp_high_port=30003\nmedia_processor_threads=3")
    server.launch()
    assert server.wait_status(60) == 255
    wait_until(lambda: "sems.conf:12: media_processor_threads" in server.log, server.log)
    assert "30000 to 30003 holds 2 pairs" in server.log
    assert "Traceback" not in server.log
