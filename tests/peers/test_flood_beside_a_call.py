# SPDX-License-Identifier: GPL-2.0-or-later
"""A stranger sends 500 requests a second, of five kinds, by UDP and by TCP, to a whole server: a call beside it loses nothing, others get
in, memory does not go on growing, and descriptors come back. Five seconds; a minute under CORDBOARD_LONG.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import tones
from tests.support.background import in_background
from tests.support.phone import Phone
from tests.support.rtp_peer import PeerGroup
from tests.support.server import Server, wait_until
from tests.support.sizes import size

pytestmark = [pytest.mark.peers, pytest.mark.alone]

SECONDS = size(5, 60)
A_SECOND = 500
PENDING_CALLS = 60
KEPT_PORTS = 2
METHODS = ("OPTIONS", "REGISTER", "SUBSCRIBE", "MESSAGE", "INVITE")
BY_UDP, BY_TCP = "127.0.0.6", "127.0.0.7"
HZ = 700.0
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.6\r\ns=-\r\nc=IN IP4 127.0.0.6\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"


def request(method: str, transport: str, source: tuple[str, int], number: int, port: int) -> bytes:
    """One of a flood, of a dialog of its own; its INVITEs are never acknowledged."""
    body = SDP if method == "INVITE" else ""
    kind = "application/sdp" if body else "text/plain"
    event = "Event: message-summary\r\n" if method == "SUBSCRIBE" else ""
    where = f"{source[0]}:{source[1]}"
    return (
        f"{method} sip:echo@127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/{transport} {where};branch=z9hG4bK{where}-{number};rport\r\n"
        f"From: <sip:flood@{source[0]}>;tag=f{number}\r\nTo: <sip:echo@127.0.0.1>\r\nCall-ID: {transport}-{number}@{where}\r\n"
        f"CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContact: <sip:flood@{where};transport={transport.lower()}>\r\n{event}"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class Flood:
    """Two thirds by UDP from one address, one third by TCP from another, in a thread of its own. `sent`: by transport."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self.sent = {"UDP": 0, "TCP": 0}
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Flood:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        await asyncio.gather(self._paced(self._udp(), 2 * A_SECOND // 3), self._paced(self._tcp(), A_SECOND // 3))

    async def _paced(self, sender: object, a_second: int) -> None:
        loop = asyncio.get_running_loop()
        begun, sent = loop.time(), 0
        while not self._stop.is_set():
            while sent < (loop.time() - begun) * a_second:
                await sender.asend(None)  # type: ignore[attr-defined]
                sent += 1
            await asyncio.sleep(0.005)

    async def _udp(self):  # type: ignore[no-untyped-def]
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=(BY_UDP, 0), remote_addr=("127.0.0.1", self._port)
        )
        source = transport.get_extra_info("sockname")
        for number in itertools.count():
            transport.sendto(request(METHODS[number % len(METHODS)], "UDP", source, number, self._port))
            self.sent["UDP"] += 1
            yield

    async def _tcp(self):  # type: ignore[no-untyped-def]
        """Fifty requests a connection, whose answers are not read; then the next."""
        writer = None
        for number in itertools.count():
            with contextlib.suppress(OSError):
                if writer is None or writer.is_closing() or number % 50 == 0:
                    if writer is not None:
                        writer.transport.abort()
                    _, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(BY_TCP, 0))
                source = writer.get_extra_info("sockname")
                writer.write(request(METHODS[number % len(METHODS)], "TCP", source, number, self._port))
                self.sent["TCP"] += 1
            yield


def resident_mb(pid: int) -> float:
    """Memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


def descriptors(pid: int) -> int:
    """How many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_a_flood_beside_a_call(tmp_path: Path, others_may_run: Callable[[], None]) -> None:
    files = {"app_mapping.conf": "^sip:echo=>echo\n"}
    settings = f"trusted_peers=127.0.0.1\nsip_pending_calls={PENDING_CALLS}\nrtp_port_idle_time=5\nrtp_ports_kept={KEPT_PORTS}"
    with Server(tmp_path, files, settings) as server, PeerGroup() as group:
        pids = {**server.children(), "hub": server.pid}
        memory = [{role: resident_mb(pid) for role, pid in pids.items()}]
        files_before = descriptors(pids["media"])
        with Phone(server.sip_port, group.peer(HZ)) as phone, Phone(server.sip_port, group.peer(HZ)) as other:
            phone.call("echo")
            group.run_ms(1000)
            phone.peer.forget()
            with Flood(server.sip_port) as flood:
                for _ in range(2):
                    group.run_ms(SECONDS * 500)
                    memory.append({role: resident_mb(pid) for role, pid in pids.items()})
                calling = in_background(lambda: other.call("echo"))
                for _ in range(20):
                    group.run_ms(1000)
                    if len(phone.peer.packets) >= SECONDS * 50:
                        break
                assert calling().code == 200, "a good call gets in meanwhile"
            packets = phone.peer.packets
            assert len(packets) >= SECONDS * 50
            assert {(b.sequence - a.sequence) & 0xFFFF for a, b in itertools.pairwise(packets)} == {1}
            assert {(b.ts - a.ts) & 0xFFFFFFFF for a, b in itertools.pairwise(packets)} == {160}
            assert tones.heard(phone.peer.heard()[-8000:], [HZ, 1100.0]) == {HZ}
            for one in (phone, other):
                one.bye()
        at_peak = descriptors(pids["media"])
        print("sent", flood.sent, "resident MB", memory, "descriptors", files_before, at_peak)
        assert at_peak > files_before + 2 * KEPT_PORTS
        assert flood.sent["UDP"] > SECONDS * 200 and flood.sent["TCP"] > SECONDS * 50
        grown = {role: memory[2][role] - memory[1][role] for role in pids}
        assert max(grown.values()) < size(100, 40), f"it goes on growing: {memory}"
        others_may_run()  # the time limit of an INVITE is half a minute
        wait_until(lambda: server.xml.calls() == 0, "calls that nobody acknowledged are gone", 60)
        wait_until(lambda: descriptors(pids["media"]) <= files_before + 2 * KEPT_PORTS, "descriptors come back", 60)
        assert {**server.children(), "hub": server.pid} == pids, "no process was replaced"
        assert "Traceback" not in server.log
