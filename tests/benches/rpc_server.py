# SPDX-License-Identifier: GPL-2.0-or-later
"""The process that bench_rpc.py measures: gateways over a hub without calls, or a bare echo of the same size as the floor.

Prints its ports as one line. `echo N`: answer every read with N bytes. `gateways RATE`: publish so many events a second;
`gateways RATE rules`: with an access file, whose token is the last word of the line.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path

import uvloop

from di.access import Access
from di.access.file import new_token, rewrite
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


RULES = (
    "role desk webconference.* read:monitoring.* read:core.* dsm.postDSMEvent",
    "role watcher read:*",
    "token watcher watcher {hash}",
    "token bench desk,watcher {hash}",
    "anonymous stats watcher",
)
"""A few, as an installation has them; the caller's roles are several patterns that have to be tried."""


def guarded(folder: str) -> tuple[Access, str]:
    """Access by an access file, and a token for it."""
    token, hashed = new_token("bench")
    path = Path(folder) / "access.secrets"
    rewrite(path, [rule.format(hash=hashed) for rule in RULES])
    return Access(path), token


async def gateways(events_per_s: int, with_rules: bool) -> None:
    """Serve the gateways."""
    with tempfile.TemporaryDirectory() as folder:
        access, token = guarded(folder) if with_rules else (Access(), "")
        await serve(access, token, events_per_s)


async def serve(access: Access, token: str, events_per_s: int) -> None:
    """Until the end."""
    async with running(access) as served:
        print(served.xml_port, served.web_port, served.netstring_port, token, flush=True)
        while True:
            await asyncio.sleep(0.02 if events_per_s else 3600)
            for _ in range(events_per_s // 50):
                served.services.events.publish("dtmf", "0123456789", "room1", {"key": "1", "duration_ms": 120})


if __name__ == "__main__":
    uvloop.install()
    work = echo(int(sys.argv[2])) if sys.argv[1] == "echo" else gateways(int(sys.argv[2]), sys.argv[3:] == ["rules"])
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(work)
