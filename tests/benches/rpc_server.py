# SPDX-License-Identifier: GPL-2.0-or-later
"""The process that bench_rpc.py measures: gateways over a hub without calls, or a bare echo of the same size as the floor.

Prints its ports as one line. `echo N`: answer every read with N bytes. `events RATE`: publish so many events a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

import uvloop

from di.access import Access
from tests.support.gateways import running


class Echo(asyncio.Protocol):
    """Answers whatever it reads with the same bytes: what the kernel and the loop cost without us."""

    reply = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(self.reply)  # type: ignore[attr-defined]


async def echo(size: int) -> None:
    """Serve the floor."""
    Echo.reply = b"x" * size
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


async def gateways(events_per_s: int) -> None:
    """Serve the gateways."""
    async with running(Access()) as served:
        print(served.xml_port, served.web_port, served.netstring_port, flush=True)
        while True:
            await asyncio.sleep(0.02 if events_per_s else 3600)
            for _ in range(events_per_s // 50):
                served.services.events.publish("dtmf", "0123456789", "room1", {"key": "1", "duration_ms": 120})


if __name__ == "__main__":
    uvloop.install()
    work = echo(int(sys.argv[2])) if sys.argv[1] == "echo" else gateways(int(sys.argv[2]))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(work)
