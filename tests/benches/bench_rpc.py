# SPDX-License-Identifier: GPL-2.0-or-later
"""Hub CPU per trivial call by every gateway, beside the same exchange with a bare echo (the floor); and fan-out of events.

Budget (design.md): 40 us for a trivial call. Figures are CPU time of the server process, the lower quartile of many slices.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parents[2]
REQUESTS = 8000
CONNECTIONS = 4
SLICES = 16
FAN_OUT, RATE, SECONDS = 100, 200, 5

XML = b"<?xml version='1.0'?>\n<methodCall>\n<methodName>calls</methodName>\n<params>\n</params>\n</methodCall>\n"
JSON = b'{"jsonrpc": "2.0", "method": "core.calls", "params": [], "id": 1}'


def post(path: str, body: bytes, headers: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:8090\r\nUser-Agent: bench\r\nContent-Type: text/xml\r\n"
    head += f"{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Server:
    """The measured process."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.benches.rpc_server", *arguments]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        self.ports = [int(word) for word in words[:3]]
        self.token = words[3] if len(words) > 3 else ""

    def cpu_s(self) -> float:
        # run time in ns; the tick counts of /proc/PID/stat miss work that is shorter than a tick
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]) / 1e9

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


def connect(port: int, login: bytes = b"") -> socket.socket:
    """A connection, after the message that says who one is where there is one."""
    one = socket.create_connection(("127.0.0.1", port))
    if login:
        one.sendall(login)
        assert b"true" in one.recv(4096)
    return one


def exchange(server: Server, port: int, request: bytes, reply_bytes: int, count: int, login: bytes = b"") -> tuple[float, float]:
    """CPU microseconds of the server per request, and the 99th percentile of the answer's time in ms; one request at a time."""
    sockets = [connect(port, login) for _ in range(CONNECTIONS)]
    times = []
    for one in sockets:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    slices = []
    for _ in range(SLICES):
        before_s = server.cpu_s()
        for number in range(count // SLICES):
            one = sockets[number % CONNECTIONS]
            begun_s = time.perf_counter()
            one.sendall(request)
            missing = reply_bytes
            while missing > 0:
                missing -= len(one.recv(65536))
            times.append(time.perf_counter() - begun_s)
        slices.append((server.cpu_s() - before_s) / (count // SLICES) * 1e6)
    for one in sockets:
        one.close()
    return quiet(slices), sorted(times)[len(times) * 99 // 100] * 1e3


def quiet(slices: list[float]) -> float:
    """The lower quartile: neighbours on the machine make a slice dearer, never cheaper."""
    return sorted(slices)[len(slices) // 4]


def reply_size(port: int, request: bytes, login: bytes = b"") -> int:
    with connect(port, login) as one:
        one.sendall(request)
        time.sleep(1.0 if login else 0.3)
        answer = one.recv(1 << 20)
        assert b"401" not in answer[:20] and b"error" not in answer and b"fault" not in answer, answer
        return len(answer)


def websocket_frame(text: bytes) -> bytes:
    length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
    return b"\x81" + length + b"\0\0\0\0" + text


def websocket(server: Server, port: int, count: int, headers: str = "") -> float:
    """As `exchange`, for requests on one WebSocket."""
    with socket.create_connection(("127.0.0.1", port)) as one:
        head = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        one.sendall((head + headers + "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n").encode())
        while b"\r\n\r\n" not in one.recv(4096):
            pass
        frame, slices = websocket_frame(JSON), []
        for _ in range(SLICES):
            before_s = server.cpu_s()
            for _ in range(count // SLICES):
                one.sendall(frame)
                one.recv(4096)
            slices.append((server.cpu_s() - before_s) / (count // SLICES) * 1e6)
        return quiet(slices)


def show(name: str, us: float, floor_us: float, more: str = "", budget: bool = True) -> None:
    judged = f"budget 40: {'met' if us <= 40 else 'MISSED'}" if budget else ""
    print(f"{name:<34} {us:7.1f} us   floor {floor_us:5.1f} us   x{us / floor_us if floor_us else 0:4.1f}   {judged:<18} {more}")


def netstring(text: bytes) -> bytes:
    return b"%d:%s," % (len(text), text)


def calls(*rules: str) -> None:
    """The table of trivial calls; with `rules` each is made with a token."""
    batch = b"[" + b",".join([JSON] * 100) + b"]"
    with Server("gateways", "0", *rules) as server:
        xml_port, web_port, netstring_port = server.ports
        shown = f"Authorization: Bearer {server.token}\r\n" if rules else ""
        login = b'{"jsonrpc": "2.0", "method": "rpc.authenticate", "params": ["Bearer %s"], "id": 1}' % server.token.encode()
        rows = [
            ("XML-RPC calls", xml_port, post("/RPC2", XML, shown), 1, b""),
            ("JSON-RPC over HTTP", web_port, post("/jsonrpc", JSON, shown), 1, b""),
            ("JSON-RPC over HTTP, batch of 100", web_port, post("/jsonrpc", batch, shown), 100, b""),
            ("JSON-RPC over HTTP, framework", web_port, post("/jsonrpc?x", JSON, shown), 1, b""),
            ("JSON-RPC over netstring", netstring_port, netstring(JSON), 1, netstring(login) if rules else b""),
        ]
        for name, port, request, share, first in rows:
            size = reply_size(port, request, first)
            exchange(server, port, request, size, 200, first)
            us, p99_ms = exchange(server, port, request, size, max(REQUESTS // share, 20 * SLICES), first)
            with Server("echo", str(size)) as floor:
                floor_us, _ = exchange(floor, floor.ports[0], request, size, max(REQUESTS // share, 20 * SLICES))
            show(name, us / share, floor_us / share, f"p99 {p99_ms:.2f} ms")
        show("JSON-RPC over WebSocket", websocket(server, web_port, REQUESTS, shown), floor_us)


async def fan_out() -> None:
    """Events to many subscribers of which one never reads."""
    with Server("gateways", str(RATE)) as server:
        url = f"http://127.0.0.1:{server.ports[1]}/ws"
        subscribe = json.dumps({"jsonrpc": "2.0", "method": "events.subscribe", "id": 1})
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            sockets = [await session.ws_connect(url) for _ in range(FAN_OUT)]
            silent = socket.create_connection(("127.0.0.1", server.ports[1]))
            head = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            silent.sendall((head + "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n").encode())
            silent.sendall(websocket_frame(subscribe.encode()))
            for one in sockets:
                await one.send_str(subscribe)
            counts = [0] * FAN_OUT

            async def read(number: int) -> None:
                async for message in sockets[number]:
                    counts[number] += '"events.event"' in message.data

            readers = [asyncio.create_task(read(number)) for number in range(FAN_OUT)]
            await asyncio.sleep(0.5)
            before_s, begun, start_s = server.cpu_s(), sum(counts), time.monotonic()
            await asyncio.sleep(SECONDS)
            spent_s, sent, wall_s = server.cpu_s() - before_s, sum(counts) - begun, time.monotonic() - start_s
            for reader in readers:
                reader.cancel()
            silent.close()
        print(
            f"fan-out of {RATE} events/s to {FAN_OUT} readers and one that never reads: {sent / wall_s:.0f} notifications/s,"
            f" {spent_s / sent * 1e6:.1f} us each, {spent_s / wall_s * 100:.0f} % of a core, spread {max(counts) - min(counts)}"
        )


if __name__ == "__main__":
    print("hub CPU per call (one request at a time on 4 kept connections)")
    calls()
    print("the same with access rules on, each request with a token (netstring: each connection)")
    calls("rules")
    asyncio.run(fan_out())
