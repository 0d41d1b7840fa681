# SPDX-License-Identifier: GPL-2.0-or-later
"""Real calls waiting in the lobby: from `postDSMEvent` through the real gateways to the answer, and to the end of the transition.

    python -m tests.benches.bench_dsm_calls [calls] [events] [--real-time]      default: 2000 calls, 300 events a gateway

With --real-time (root) the server goes before all other programs of the machine and this one before the server, so that neither waits
for a core: what is measured is the server.

sipp places the calls on a whole server (hub, SIP and media process); their callers send no RTP, so that two cores carry them. A second
WebSocket reads the event feed: the event `dsm.state` of a call leaves the hub when its transition has been run. Beside it, in the same
minute: a trivial call (`core.calls`) by each gateway, with and without the calls up, and a bare echo of the same size (the floor).

Budget (design): `postDSMEvent` to the answer 1 ms; a trivial RPC p99 5 ms with 4000 calls up.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.benches import bench_rpc
from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp

ROOMS = 200
RATE = 40
"""Calls a second while they are set up."""
TRIVIAL = 1000
PAUSES_S = {"hub idle before": 0.01, "one after the other": 0.0}
"""Between two requests. A hub that has done nothing for 10 ms finds its code and data pushed out of the processor's caches."""
CALLERS_IP = "127.77.0.1"
"""Where the callers' media is said to be; nothing listens there."""


@dataclass
class Times:
    """Milliseconds, for one table row."""

    name: str
    ms: list[float] = field(default_factory=list)

    def show(self, more: str = "") -> None:
        """Median, 99th percentile, longest."""
        sorted_ms = sorted(self.ms)
        middle, late = sorted_ms[len(sorted_ms) // 2], sorted_ms[len(sorted_ms) * 99 // 100]
        print(
            f"  {self.name:<66} median {middle:6.2f} ms   p99 {late:6.2f} ms   longest {sorted_ms[-1]:6.2f} ms   n {len(sorted_ms)}   {more}"
        )


class Wire:
    """A kept connection whose answers are told apart by their length (HTTP) or frames (WebSocket)."""

    def __init__(self, port: int, websocket: bool = False) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.websocket, self.buffer = websocket, bytearray()
        if websocket:
            head = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            self.socket.sendall((head + "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n").encode())
            while b"\r\n\r\n" not in self.buffer:
                self.buffer += self.socket.recv(4096)
            del self.buffer[: self.buffer.index(b"\r\n\r\n") + 4]

    def send(self, message: bytes) -> None:
        """Send a whole request."""
        self.socket.sendall(message)

    def read(self) -> list[bytes]:
        """What has arrived: whole messages."""
        data = self.socket.recv(1 << 16)
        assert data, "the server closed the connection"
        self.buffer += data
        found = []
        while (message := self._frame() if self.websocket else self._http()) is not None:
            found.append(message)
        return found

    def _http(self) -> bytes | None:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = next(
            int(line[15:]) for line in bytes(self.buffer[:end]).split(b"\r\n") if line.lower().startswith(b"content-length:")
        )
        return self._take(end + 4, length)

    def _frame(self) -> bytes | None:
        if len(self.buffer) < 2:
            return None
        length, start = self.buffer[1] & 127, 2
        if length == 126:
            length, start = int.from_bytes(self.buffer[2:4], "big"), 4
        return self._take(start, length)

    def _take(self, start: int, length: int) -> bytes | None:
        if len(self.buffer) < start + length:
            return None
        message = bytes(self.buffer[start : start + length])
        del self.buffer[: start + length]
        return message


def xml_request(method: str, *params: str) -> bytes:
    """A POST for the XML-RPC port; parameters are XML values."""
    body = "".join(f"<param><value>{value}</value></param>" for value in params)
    text = f"<?xml version='1.0'?>\n<methodCall>\n<methodName>{method}</methodName>\n<params>{body}</params>\n</methodCall>\n"
    return bench_rpc.post("/RPC2", text.encode())


def xml_event(id: str, pairs: list[list[str]]) -> bytes:
    """The body of a `di` call of dsm.postDSMEvent."""

    def array(items: list[str]) -> str:
        return f"<array><data>{''.join(f'<value>{item}</value>' for item in items)}</data></array>"

    return xml_request("di", "dsm", "postDSMEvent", id, array([array(pair) for pair in pairs]))


def json_text(method: str, *params: object) -> bytes:
    """A JSON-RPC request."""
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode()


def json_post(text: bytes) -> bytes:
    """In a POST."""
    return bench_rpc.post("/jsonrpc", text)


Gateway = tuple[str, Callable[[Server], Wire], Callable[[str, list[list[str]]], bytes], bytes]
GATEWAYS: list[Gateway] = [
    ("XML-RPC", lambda server: Wire(server.xml_port), xml_event, xml_request("calls")),
    (
        "JSON-RPC over HTTP",
        lambda server: Wire(server.web_port),
        lambda id, pairs: json_post(json_text("dsm.postDSMEvent", id, pairs)),
        json_post(json_text("core.calls")),
    ),
    (
        "JSON-RPC over WebSocket",
        lambda server: Wire(server.web_port, websocket=True),
        lambda id, pairs: bench_rpc.websocket_frame(json_text("dsm.postDSMEvent", id, pairs)),
        bench_rpc.websocket_frame(json_text("core.calls")),
    ),
]


class Feed:
    """The event feed: when the `dsm.state` event of a call arrived."""

    def __init__(self, server: Server) -> None:
        self.wire = Wire(server.web_port, websocket=True)
        filter = {"filter": {"types": ["dsm.state"]}}
        self.wire.send(
            bench_rpc.websocket_frame(
                json.dumps({"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": filter}).encode()
            )
        )
        while not self.wire.read():
            pass

    def states(self) -> Iterator[str]:
        """Calls whose state has changed, of what can be read now."""
        for message in self.wire.read():
            event = json.loads(message)["params"]
            if event["type"] == "dsm.state":
                yield event["call"]


def post_events(server: Server, feed: Feed, ids: list[str], gateway: Gateway, pause: str) -> tuple[Times, Times]:
    """Post one event to each call in turn. Raises AssertionError for another answer than 200."""
    name, connect, request, _ = gateway
    wire = connect(server)
    answers, transitions = Times(f"{name}, answer, {pause}"), Times(f"{name}, transition run, {pause}")
    for number, id in enumerate(ids):
        message = request(id, [["action", "take"], ["roomname", f"r{number % ROOMS}"]])
        begun_s = time.perf_counter()
        wire.send(message)
        open_wires = [wire.socket, feed.wire.socket]
        while open_wires:
            readable, _, _ = select.select(open_wires, [], [], 10)
            now_s = time.perf_counter()
            assert readable, "no answer or no event within 10 s"
            if feed.wire.socket in readable and id in feed.states():
                transitions.ms.append((now_s - begun_s) * 1e3)
                open_wires.remove(feed.wire.socket)
            if wire.socket in readable and (found := wire.read()):
                assert b"200" in found[0] and b"OK" in found[0], found[0]
                answers.ms.append((now_s - begun_s) * 1e3)
                open_wires.remove(wire.socket)
        time.sleep(PAUSES_S[pause])
    wire.socket.close()
    return answers, transitions


def trivial(server: Server, what: str) -> None:
    """A trivial call by each gateway: time to the answer, CPU of the hub."""
    for (name, connect, _, request), pause in itertools.product(GATEWAYS, PAUSES_S):
        wire = connect(server)
        times = Times(f"{name}, core.calls, {what}, {pause}")
        before_s = cpu_s(server.pid)
        for _ in range(TRIVIAL):
            begun_s = time.perf_counter()
            wire.send(request)
            while not wire.read():
                pass
            times.ms.append((time.perf_counter() - begun_s) * 1e3)
            time.sleep(PAUSES_S[pause])
        wire.socket.close()
        times.show(f"hub {(cpu_s(server.pid) - before_s) / TRIVIAL * 1e6:.0f} us CPU a call")


def floor() -> None:
    """The same with a bare echo."""
    with bench_rpc.Server("echo", "200") as echo, socket.create_connection(("127.0.0.1", echo.ports[0])) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pause, pause_s in PAUSES_S.items():
            times = Times(f"bare echo of 200 bytes, {pause}")
            for _ in range(TRIVIAL):
                begun_s = time.perf_counter()
                wire.sendall(b"x" * 300)
                wire.recv(4096)
                times.ms.append((time.perf_counter() - begun_s) * 1e3)
                time.sleep(pause_s)
            times.show()


def cpu_s(pid: int) -> float:
    """Run time of a process, all threads."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def load(server: Server, seconds: float = 4.0) -> str:
    """How busy each process is."""
    pids = {"hub": server.pid, **server.children()}
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    begun_s = time.monotonic()
    time.sleep(seconds)
    wall_s = time.monotonic() - begun_s
    return ", ".join(f"{name} {(cpu_s(pid) - before[name]) / wall_s * 100:.0f} %" for name, pid in pids.items())


@contextlib.contextmanager
def calls_up(server: Server, calls: int) -> Iterator[list[str]]:
    """Calls waiting in the lobby; gives their ids."""
    with Sipp(
        "call", server.sip_port, calls=calls, rate=RATE, user="lobby", hold_ms=3_600_000, media_port_base=10000, trace=False,
        timeout_s=7200, local_ip=CALLERS_IP,
    ):  # fmt: skip
        begun_s = time.monotonic()
        limit_s = 120 + 4 * calls / RATE
        wait_until(
            lambda: len(server.xml.di("monitoring", "listByFilter", ["dsm_state", "waiting"])) >= calls, f"{calls} calls", limit_s
        )
        print(f"{calls} calls in the lobby after {time.monotonic() - begun_s:.0f} s; busy: {load(server)}")
        yield list(server.xml.di("monitoring", "listByFilter", ["dsm_state", "waiting"]))


def prefer(server: Server) -> None:
    """Real-time priority for all threads of the server, and a higher one for this program, which waits most of the time."""
    for pid in (server.pid, *server.children().values()):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(1))
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))


def main(calls: int, events: int, real_time: bool) -> None:
    """Everything."""
    low = 20000 + os.getpid() % 2000 * 10
    settings = (
        f"rtp_low_port={low}\nrtp_high_port={low + 4 * calls + 200}\ndead_rtp_time=0\nmax_calls={calls + 100}\nloglevel=1\n"
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder), {"app_mapping.conf": "^sip:=>lobby\n"}, settings) as server,
    ):
        floor()
        trivial(server, "no calls")
        with calls_up(server, calls) as ids:
            if real_time:
                prefer(server)
            trivial(server, f"{calls} calls up")
            feed = Feed(server)
            print(f"postDSMEvent (take into one of {ROOMS} rooms) with {calls} calls up")
            for place, (gateway, pause) in enumerate(itertools.product(GATEWAYS, PAUSES_S)):
                chosen = ids[place :: 2 * len(GATEWAYS)][:events]
                before_s = cpu_s(server.pid)
                answers, transitions = post_events(server, feed, chosen, gateway, pause)
                used_us = (cpu_s(server.pid) - before_s) / len(chosen) * 1e6
                answers.show(f"hub {used_us:.0f} us CPU an event, with what it does besides")
                transitions.show()
            floor()
        assert "Traceback" not in server.log, server.log[-3000:]


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdecimal()]
    main(*numbers[:2], *(2000, 300)[len(numbers[:2]) :], real_time="--real-time" in sys.argv)
