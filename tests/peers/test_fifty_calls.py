# SPDX-License-Identifier: GPL-2.0-or-later
"""Fifty calls are up and something goes wrong: what is said, what is bounded, that nothing is left. The table in docs/security.md is this.

A few calls and one process in the usual run; all of it under CORDBOARD_LONG:
`CORDBOARD_LONG=1 python -m pytest -s tests/peers/test_fifty_calls.py`, which prints figures.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
import urllib.request
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.peers.test_flood_beside_a_call import resident_mb
from tests.peers.test_process_trouble import ready
from tests.support.phone import Phone
from tests.support.rtp_peer import PeerGroup
from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp, place_calls
from tests.support.sizes import LONG, size
from tests.support.stalls import calm

pytestmark = [pytest.mark.peers, pytest.mark.timeout(900)]
only_long = pytest.mark.skipif(not LONG, reason="with few calls: test_process_trouble.py")

CALLS = size(10, 50)
RECORDS, ROOMS, EVENTS = size(5_000, 500_000), size(500, 100_000), size(3_000, 100_000)
MAX_ROOMS = size(300, 10_000)
BATCH = 500
FILES = {
    "app_mapping.conf": "^sip:lobby=>lobby\n^sip:=>echo\n",
    "webconference.conf": f"max_rooms={MAX_ROOMS}\n",
}


@contextmanager
def calls_up(server: Server, hold_ms: int = 120_000, scenario: str = "call") -> Iterator[Sipp]:
    """All of them answered and acknowledged. `scenario` called_off: they stay until the server hangs up."""
    with Sipp(scenario, server.sip_port, calls=CALLS, rate=50, user="echo", hold_ms=hold_ms, timeout_s=300, trace=False) as sipp:
        wait_until(lambda: server.xml.calls() == CALLS, "all calls are up", 60)
        yield sipp


def works(server: Server) -> bool:
    """A new call is answered and goes."""
    return place_calls(1, "echo", server.sip_port, hold_ms=100).successful == 1


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@only_long
@pytest.mark.parametrize("role", ["sip", "media"])
def test_a_process_is_killed(tmp_path: Path, role: str) -> None:
    with Server(tmp_path, FILES) as server, calls_up(server):
        before, begun = server.children(), time.monotonic()
        os.kill(before[role], signal.SIGKILL)
        wait_until(lambda: f"the {role} process is lost (pid {before[role]}, signal SIGKILL)" in server.log, "it is said")
        wait_until(lambda: server.xml.calls() == 0, "its calls are over in the store", 30)
        over_s = time.monotonic() - begun
        wait_until(lambda: f"the {role} process is up again" in server.log, "it is there again", 60)
        wait_until(lambda: ready(server)[0] == 200, "readyz says so")
        again_s = time.monotonic() - begun
        assert works(server)
        other = "media" if role == "sip" else "sip"
        assert server.children()[other] == before[other]
        wait_until(lambda: server.xml.calls() == 0, "nothing is left")
        print(f"\nkill -9 {role}: calls over after {over_s:.1f} s, in service after {again_s:.1f} s")
        assert "Traceback" not in server.log


def test_the_hub_is_killed(tmp_path: Path) -> None:
    """Its children say BYE and leave; nothing keeps a port, and the next start works."""
    with Server(tmp_path, FILES) as server, calls_up(server) as sipp:
        children = server.children()
        os.kill(server.pid, signal.SIGKILL)
        begun = time.monotonic()
        wait_until(lambda: not any(map(alive, children.values())), "the children have left", 60)
        print(f"\nkill -9 hub: SIP and media process gone after {time.monotonic() - begun:.1f} s")
        server.wait_status()
        if LONG:  # sipp tries for half a minute to tell a server that is gone
            assert sipp.wait().failed == CALLS, "each heard a BYE where it had none to expect"
        server.forget_log()
        server.start()
        assert works(server)


@only_long
@pytest.mark.parametrize("role", ["hub", "sip", "media"])
def test_a_process_stands_still_for_a_while(tmp_path: Path, role: str) -> None:
    """Four seconds: no call is lost by it, new ones get 503 meanwhile."""
    with Server(tmp_path, FILES) as server, calls_up(server, 25_000) as sipp:
        pid = {**server.children(), "hub": server.pid}[role]
        os.kill(pid, signal.SIGSTOP)
        try:
            if role != "hub":
                wait_until(lambda: f"the {role} process (pid {pid}) has not answered for" in server.log, "it is said", 10)
                assert ready(server)[0] == 503
            time.sleep(4)  # how long it stands still
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: ready(server)[0] == 200, "it is in service again", 20)
        assert server.xml.calls() == CALLS
        wait_until(lambda: works(server), "new calls are taken", 20)  # the SIP process looks at the hub once a second
        result = sipp.wait()
        print(f"\nSIGSTOP {role} for 4 s: {result.successful} of {CALLS} calls went on to their end")
        assert result.successful == CALLS
        assert "Traceback" not in server.log


@only_long
@pytest.mark.parametrize("role", ["sip", "media"])
def test_a_process_stands_still_for_good(tmp_path: Path, role: str) -> None:
    with Server(tmp_path, FILES, "watchdog_time=5") as server, calls_up(server):
        before = server.children()[role]
        begun = time.monotonic()
        os.kill(before, signal.SIGSTOP)
        wait_until(lambda: "it is replaced" in server.log, "it is said", 20)
        wait_until(lambda: f"the {role} process is up again" in server.log, "another one is there", 60)
        wait_until(lambda: server.xml.calls() == 0, "its calls are over")
        print(f"\nSIGSTOP {role}, watchdog_time=5: another in service after {time.monotonic() - begun:.1f} s")
        assert not alive(before) and works(server)
        assert "Traceback" not in server.log


def test_two_hundred_descriptors(tmp_path: Path) -> None:
    """Calls beyond what they allow get 503 with the cause in the log; those that are up, and RPC, go on."""
    program = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)); "
        "sys.argv[0] = 'di'; runpy.run_module('di', run_name='__main__', alter_sys=True)"
    )
    with Server(tmp_path, FILES, program=program) as server, calls_up(server, scenario="called_off") as sipp:
        more = place_calls(100, "echo", server.sip_port, rate=100, hold_ms=2000)
        assert 0 < more.failed < 100 and more.successful + more.failed == 100
        assert "no further RTP port: the descriptors that are left are for files; raise the limit of open files" in server.log
        wait_until(lambda: server.xml.calls() == CALLS, "the hundred are over, the others go on")
        for id in server.xml.listActive():
            server.json("core.hangup", id)
        assert sipp.wait().successful == CALLS
        wait_until(lambda: server.xml.calls() == 0, "nothing is left")
        wait_until(lambda: works(server), "calls are taken again", 60)
        print(f"\nulimit -n 200: {CALLS} calls went on, of 100 more {more.successful} were taken")
        assert "Traceback" not in server.log


class Load(threading.Thread):
    """A program that writes by RPC as fast as it can. `refused`: the last answer that was none of `good`."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server
        self.refused: object = None
        self.taken = [0, 0, 0]
        self.error: BaseException | None = None
        self.call_id = server.record_of("lobby") and next(
            id for id in server.xml.listActive() if "lobby" in str(server.xml.di("monitoring", "get", id))
        )

    def run(self) -> None:
        try:
            for first in range(0, RECORDS, BATCH):
                self._batch([("monitoring.log", [f"r{n:x}", "app", f"a{n % 3}", "n", n]) for n in range(first, first + BATCH)], 0)
            for first in range(0, ROOMS, BATCH):
                self._batch([("webconference.roomCreate", [f"room{n}"]) for n in range(first, min(first + BATCH, ROOMS))], 1)
            for first in range(0, EVENTS, BATCH):
                self._batch([("dsm.postDSMEvent", [self.call_id, [["no", str(n)]]]) for n in range(first, first + BATCH)], 2)
        except BaseException as error:
            self.error = error

    def _batch(self, calls: list[tuple[str, list[object]]], kind: int) -> None:
        body = json.dumps([{"jsonrpc": "2.0", "id": n, "method": m, "params": p} for n, (m, p) in enumerate(calls)]).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._server.web_port}/jsonrpc", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            for one in json.loads(answer.read()):
                good = "result" in one and (kind != 1 or one["result"][0] in (0, 200)) and (kind != 2 or one["result"][0] == 200)
                self.taken[kind] += good
                if not good:
                    self.refused = one


def test_records_rooms_and_events_by_the_hundred_thousand(tmp_path: Path) -> None:
    """Beside it a call's audio has no gap, other programs are answered, and what was written can be taken out again."""
    folders = (tmp_path / f"attempt{number}" for number in itertools.count())

    def measure() -> None:
        folder = next(folders)
        folder.mkdir()
        records_rooms_and_events(folder)

    calm(measure, 1 if LONG else 4)


def records_rooms_and_events(folder: Path) -> None:
    """One load of a server."""
    settings = "loglevel=1"
    plugins = "monitoring;webconference;echo;dsm;xmlrpc2di;web"
    with (
        Server(folder, FILES, settings, plugins) as server,
        calls_up(server, 600_000) as sipp,
        PeerGroup() as group,
        Phone(server.sip_port, group.peer(700)) as phone,
        Phone(server.sip_port, group.peer(0)) as lobby,
    ):
        phone.call("echo")
        lobby.call("lobby")
        group.run_ms(500)
        phone.peer.forget()
        begun, slowest = time.monotonic(), 0.0
        load = Load(server)
        load.start()
        other = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{server.xml_port}/")
        while load.is_alive():
            group.run_ms(200)
            asked = time.monotonic()
            assert other.calls() == CALLS + 2
            slowest = max(slowest, time.monotonic() - asked)
        assert load.error is None, load.error
        took = time.monotonic() - begun
        packets = phone.peer.packets
        assert {(b.sequence - a.sequence) & 0xFFFF for a, b in itertools.pairwise(packets)} == {1}
        assert {(b.ts - a.ts) & 0xFFFFFFFF for a, b in itertools.pairwise(packets)} == {160}
        assert load.taken[0] == RECORDS and load.taken[1] <= MAX_ROOMS
        assert ROOMS <= MAX_ROOMS or "max_rooms" in str(load.refused) or load.taken[1] == MAX_ROOMS
        assert len(other.list()) >= RECORDS
        top_mb = resident_mb(server.pid)
        assert other.eraseByFilter(["app", "a0"]) and other.di("monitoring", "clear") == [0, "OK"]
        print(
            f"\n{load.taken} of {RECORDS} records, {ROOMS} rooms, {EVENTS} events taken in {took:.0f} s; another program's call took"
            f" {slowest * 1e3:.0f} ms at most; hub {top_mb:.0f} MB, after clear {resident_mb(server.pid):.0f} MB; the last refusal: {load.refused}"
        )
        group.run_ms(300)
        phone.bye()
        lobby.bye()
        assert "Traceback" not in server.log
        sipp.stop()
