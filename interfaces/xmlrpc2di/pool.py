# SPDX-License-Identifier: GPL-2.0-or-later
"""Which server of an application to ask next (spec di.md §3.5). Pure: time and chance come in."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random


@dataclass(slots=True)
class RemoteServer:
    """One XML-RPC server. `failed_ns` None: it is in service."""

    host: str
    port: int
    uri: str
    failed_ns: int | None = None


@dataclass(slots=True)
class Pool:
    """The servers of every application. A failed one returns to service when strictly more than `retry_after_ns` have passed."""

    random: Random
    retry_after_ns: int
    servers: dict[str, list[RemoteServer]] = field(default_factory=dict)

    def add(self, app: str, host: str, port: int, uri: str) -> None:
        """Add a server; the same one twice counts twice. An empty uri means /RPC2."""
        self.servers.setdefault(app, []).append(RemoteServer(host, port, uri or "/RPC2"))

    def choose(self, app: str, now_ns: int) -> RemoteServer | None:
        """A server in service, by chance among them; None when there is none."""
        active: list[RemoteServer] = []
        for server in self.servers.get(app, ()):
            if server.failed_ns is not None and now_ns > server.failed_ns + self.retry_after_ns:
                server.failed_ns = None
            if server.failed_ns is None:
                active.append(server)
        return self.random.choice(active) if active else None

    def fail(self, server: RemoteServer, now_ns: int) -> None:
        """Take a server out of service for a while."""
        server.failed_ns = now_ns
