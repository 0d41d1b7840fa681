# SPDX-License-Identifier: GPL-2.0-or-later
"""How long the hub's loop is held at a time while large answers are made, and by what: `bench_loop_pieces.py [records]`.

The gateways run here, with a store of 500 000 records; each request comes from another process, while a timer of 1 ms notes how late it is.
Another thread looks, every half millisecond, at where the loop stands; the collector says when it ran. Printed are a request's time, the longest
piece in time of the processor, how many were longer than 5 ms, the collector's longest pause, and where the longest piece stood most of the time.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.gateways import Gateways, running

CLIENT = """
import asyncio, json, socket, sys, time, urllib.request
import aiohttp
def netstring(port, body):
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall(b"%d:%s," % (len(body), body.encode()))
        with one.makefile("rb") as answer:
            size = 0
            while (digit := answer.read(1)) != b":":
                size = size * 10 + int(digit)
            return answer.read(size)
async def websocket(port, body):
    async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{port}/ws", max_msg_size=0) as one:
        await one.send_str(body)
        return (await one.receive(300)).data.encode()
for line in sys.stdin:
    kind, port, body = json.loads(line)
    if kind in ("netstring", "ws"):
        begun = time.monotonic()
        answer = netstring(port, body) if kind == "netstring" else asyncio.run(websocket(port, body))
        print(len(answer), time.monotonic() - begun, flush=True)
        continue
    url = f"http://127.0.0.1:{port}/" + ("jsonrpc" if kind == "json" else "")
    begun = time.monotonic()
    answer = urllib.request.urlopen(urllib.request.Request(url, body.encode()), timeout=300).read()
    print(len(answer), time.monotonic() - begun, flush=True)
"""
LONG_S = 0.005


class Probe:
    """Pieces of the loop's work, by their length."""

    def __init__(self) -> None:
        self._beat = time.thread_time()
        self._main = threading.get_ident()
        self.pieces: list[tuple[float, str]] = []
        self.collections: list[float] = []
        self._seen: Counter[str] = Counter()
        self._stop = False
        self._collecting = 0.0
        gc.callbacks.append(self._collector)
        sys.setswitchinterval(0.0002)
        threading.Thread(target=self._look, daemon=True).start()
        self._tick()

    def _collector(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.thread_time()
        else:
            self.collections.append(time.thread_time() - self._collecting)
            self._seen[f"collection of generation {info['generation']}"] += int(self.collections[-1] / 0.0005)

    def _tick(self) -> None:
        now = time.thread_time()  # what others on this machine take is no fault of the loop's
        if now - self._beat > 0.002:
            where = Counter(dict(self._seen)).most_common(1)  # the other thread goes on writing
            self.pieces.append((now - self._beat, where[0][0] if where else "?"))
        self._seen.clear()
        self._beat = now
        asyncio.get_running_loop().call_later(0.001, self._tick)

    def _look(self) -> None:
        while not self._stop:
            time.sleep(0.0005)
            frame = sys._current_frames().get(self._main)
            if frame is not None:
                self._seen[_place(frame)] += 1

    def take(self) -> tuple[list[tuple[float, str]], list[float]]:
        """What was noted since the last time."""
        pieces, collections = self.pieces, self.collections
        self.pieces, self.collections = [], []
        return pieces, collections


def _place(frame: FrameType | None) -> str:
    found: list[str] = []
    while frame is not None and len(found) < 4:
        found.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(found)


def xml(method: str, params: str = "") -> str:
    """An XML-RPC call."""
    return f"<methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>"


def jsonrpc(method: str, *params: str) -> str:
    """A JSON-RPC call."""
    return json.dumps({"jsonrpc": "2.0", "id": "1", "method": method, "params": params})


def filters(name: str, value: str) -> str:
    """One pair as the only filter of SEMS's functions."""
    pair = f"<value><string>{name}</string></value><value><string>{value}</string></value>"
    return f"<param><value><array><data>{pair}</data></array></value></param>"


def text(value: str) -> str:
    """A string parameter."""
    return f"<param><value><string>{value}</string></value></param>"


async def ask(client: asyncio.subprocess.Process, gateways: Gateways, probe: Probe, name: str, kind: str, body: str) -> None:
    """One request, and what it did to the loop."""
    assert client.stdin is not None and client.stdout is not None
    probe.take()
    port = {"json": gateways.web_port, "ws": gateways.web_port, "netstring": gateways.netstring_port}.get(kind, gateways.xml_port)
    client.stdin.write(json.dumps((kind, port, body)).encode() + b"\n")
    out = await client.stdout.readline()
    await asyncio.sleep(0.3)
    size, seconds = out.decode().split()
    report(name, float(seconds), int(size), probe)


def report(name: str, seconds: float, size: int, probe: Probe) -> None:
    """A line of what the probe has noted."""
    pieces, collections = probe.take()
    longest = max(pieces, default=(0.0, ""))
    over = sorted((piece for piece in pieces if piece[0] > LONG_S), reverse=True)
    if "--all" in sys.argv:
        for piece, where in over[:12]:
            print(f"    {piece * 1e3:6.1f} ms {where}")
    print(
        f"{name:34} {seconds:6.2f} s {size / 1e6:6.1f} MB  longest {longest[0] * 1e3:6.1f} ms, over 5 ms: {len(over):3}"
        f"  collector {max(collections, default=0) * 1e3:6.1f} ms  {longest[1] if longest[0] > LONG_S else ''}",
        flush=True,
    )


async def fill(gateways: Gateways, records: int) -> None:
    """So many records, half of them finished, with an attribute of their own, one of rooms, one of three."""
    call = gateways.services.registry.invoke
    for number in range(records):
        id = f"{number * 2654435761 % 2**32:08x}-{number}"
        call("monitoring", "log", [id, "app", f"app{number % 3}", "n", f"n{number}", "room", f"room{number % 1000}"])
        if number % 2:
            call("monitoring", "markFinished", [id])
        if number % 50 == 0:
            await asyncio.sleep(0)


async def main(records: int) -> None:
    """Fill the store and ask."""
    pipe = subprocess.PIPE
    client = await asyncio.create_subprocess_exec(sys.executable, "-c", CLIENT, stdin=pipe, stdout=pipe)
    async with running() as gateways:
        gc.collect()
        gc.freeze()  # as the hub does after its start
        probe = Probe()
        await fill(gateways, records)
        report("filling the store", 0, 0, probe)
        if "--frozen" in sys.argv:
            gc.collect()
            gc.freeze()
            await asyncio.sleep(0.01)
            probe.take()
        for name, kind, body in (
            ("nothing", "xml", xml("calls")),
            ("list, XML", "xml", xml("di", text("monitoring") + text("list"))),
            ("list, JSON", "json", json.dumps({"jsonrpc": "2.0", "id": 1, "method": "monitoring.list"})),
            ("listActive, XML", "xml", xml("di", text("monitoring") + text("listActive"))),
            ("listFinished, JSON", "json", json.dumps({"jsonrpc": "2.0", "id": 1, "method": "monitoring.listFinished"})),
            ("listByFilter app0, XML", "xml", xml("di", text("monitoring") + text("listByFilter") + filters("app", "app0"))),
            ("listByFilter room7, XML", "xml", xml("di", text("monitoring") + text("listByFilter") + filters("room", "room7"))),
            (
                "listByRegex room.*5, XML",
                "xml",
                xml("di", text("monitoring") + text("listByRegex") + text("room") + text("room.*5")),
            ),
            ("getAttribute room, XML", "xml", xml("di", text("monitoring") + text("getAttribute") + text("room"))),
            ("list, netstring", "netstring", jsonrpc("monitoring.list")),
            ("list, WebSocket", "ws", jsonrpc("monitoring.list")),
            ("getAttribute n, netstring", "netstring", jsonrpc("monitoring.getAttribute", "n")),
            ("getAttribute n, WebSocket", "ws", jsonrpc("monitoring.getAttribute", "n")),
            ("listByRegex n.*5, JSON", "json", jsonrpc("monitoring.listByRegex", "n", "n.*5")),
            (
                "getAttribute n, JSON",
                "json",
                json.dumps({"jsonrpc": "2.0", "id": 1, "method": "monitoring.getAttribute", "params": ["n"]}),
            ),
            (
                "getAttributeActive, JSON",
                "json",
                json.dumps({"jsonrpc": "2.0", "id": 1, "method": "monitoring.getAttributeActive", "params": ["app"]}),
            ),
            ("eraseByFilter app0, XML", "xml", xml("di", text("monitoring") + text("eraseByFilter") + filters("app", "app0"))),
            ("list after erasing, XML", "xml", xml("di", text("monitoring") + text("list"))),
            ("clearFinished, XML", "xml", xml("di", text("monitoring") + text("clearFinished"))),
            ("clear, XML", "xml", xml("di", text("monitoring") + text("clear"))),
        ):
            await ask(client, gateways, probe, name, kind, body)


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500_000))
