# SPDX-License-Identifier: GPL-2.0-or-later
"""Several real media processes behind the hub's router, with real sockets between them."""

from __future__ import annotations

import socket
import time
from typing import Any, TypeVar

from di.media_control.port_ranges import port_ranges
from di.media_control.router import MediaRouter
from media.control import records
from tests.support.media_server import MediaServer
from tests.support.ports import free_ports
from tests.support.rtp_peer import NAMES, Peer

T = TypeVar("T")


class MediaCluster:
    """``with MediaCluster() as cluster``: like a MediaServer, of `count` processes."""

    def __init__(self, count: int = 2, most_legs: int = 0, *options: str) -> None:
        self.events: list[Any] = []
        self.router = MediaRouter(count, self.events.append, time.monotonic_ns, most_legs)
        self.pairs = {(a, b): socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for b in range(count) for a in range(b)}
        low = free_ports(800)
        self.ports = port_ranges(low, low + 799, count)
        self.options = options
        self.servers: dict[int, MediaServer] = {}
        self._request = 0
        for place in range(count):
            self.start(place)

    def start(self, place: int) -> None:
        """Start a process, or start it again."""
        links = {b if a == place else a: ends[a != place] for (a, b), ends in self.pairs.items() if place in (a, b)}
        low, high = self.ports[place]
        server = self.servers[place] = MediaServer(*self.options, low=low, ports=high + 1 - low, links=links)
        self.router.up(place, server)

    def kill(self, place: int) -> list[int]:
        """End a process at once; return the legs that it took along."""
        server = self.servers.pop(place)
        server.process.kill()
        server.process.wait()
        server.link.close()
        return self.router.lost(place)

    def __enter__(self) -> MediaCluster:
        return self

    def __exit__(self, *error: object) -> None:
        for server in self.servers.values():
            server.__exit__(*error)
        for ends in self.pairs.values():
            for end in ends:
                end.close()

    def send(self, *commands: object) -> None:
        """Send commands by the router."""
        for command in commands:
            self.router.send(command)

    def collect(self, seconds: float = 0.0) -> None:
        """Read events that are there, or come in so many seconds."""
        until = time.monotonic() + seconds
        while True:
            for place, server in list(self.servers.items()):
                server.collect(0.0)
                arrived, server.events = server.events, []
                for event in arrived:
                    self.router.on_event(place, event)
            if time.monotonic() >= until:
                return
            time.sleep(0.01)

    def wait_for(self, kind: type[T], seconds: float = 30.0, **values: object) -> T:
        """Return the first event of that class with those values and take it out. Raises AssertionError when none comes."""
        until = time.monotonic() + seconds
        while True:
            for place, event in enumerate(self.events):
                if isinstance(event, kind) and all(getattr(event, k) == v for k, v in values.items()):
                    found: T = self.events.pop(place)
                    return found
            assert time.monotonic() < until, f"no {kind.__name__} {values}; there were {self.events[:20]}"
            self.collect(0.05)

    def connect(self, leg: int, peer: Peer, room: str = "", near: int = 0, **more: Any) -> int:
        """Open and connect a leg to a peer, whose remote is then set; return the process that has it."""
        self.send(records.OpenLeg(leg, peer.bind_ip, peer.port, room=room, near=near))
        opened = self.wait_for(records.LegOpened, leg=leg)
        peer.remote = (opened.ip, opened.port)
        kind = peer.payload_type
        self.send(records.ConnectLeg(leg, peer.bind_ip, peer.port, NAMES[kind], 8000, kind, kind, **more))
        return next(place for place, (low, high) in enumerate(self.ports) if low <= opened.port <= high)

    def statistics(self, leg: int = 0) -> dict[str, float]:
        """Ask for counters."""
        self._request += 1
        self.send(records.QueryStatistics(self._request, leg))
        return self.wait_for(records.Statistics, request=self._request).counters
