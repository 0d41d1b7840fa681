# SPDX-License-Identifier: GPL-2.0-or-later
"""A real media process under a test's control: commands out, events in, by the real wire."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from media.control import records, wire
from media.control.records import RtpAddress
from tests.support.ports import free_ports
from tests.support.rtp_peer import NAMES, Peer

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


class MediaServer:
    """``with MediaServer() as server``: starts the process, says Hello; ends it by Shutdown, and by its PID if that fails."""

    def __init__(
        self,
        *options: str,
        low: int = 0,
        ports: int = 400,
        links: Mapping[int, socket.socket] | None = None,
        ips: Sequence[str] = ("127.0.0.1",),
    ) -> None:
        """`links`: sockets to other media processes, by their number. `ips`: addresses of RTP, each with the same ports."""
        ours, theirs = socket.socketpair()
        spans = {peer: link.fileno() for peer, link in (links or {}).items()}
        options += tuple(word for peer, fd in spans.items() for word in ("--span-link", f"{peer}:{fd}"))
        low = low or free_ports(ports)
        command = [sys.executable, "-m", "media.io.process", "--fd", str(theirs.fileno())]
        command += [word for ip in ips for word in ("--address", str(RtpAddress(ip, low, low + ports - 1)))]
        command += options
        fds = [theirs.fileno(), *spans.values()]
        self.process = subprocess.Popen(command, pass_fds=fds, cwd=ROOT, start_new_session=True)
        theirs.close()
        self.link = ours
        self.link.settimeout(30)
        self.events: list[Any] = []
        self._codec = wire.RecordCodec((*records.COMMANDS, *records.EVENTS))
        try:
            self.hello = self.wait(lambda e: isinstance(e, wire.Hello), 30)
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise
        self.send(wire.Hello(wire.VERSION, "hub", 0))
        self._request = 0

    def __enter__(self) -> MediaServer:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.send(records.Shutdown())
            self.process.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.link.close()

    def send(self, *commands: object) -> None:
        """Send commands."""
        self.link.settimeout(30)
        self.link.sendall(b"".join(self._codec.pack(command) for command in commands))

    def collect(self, seconds: float = 0.0) -> None:
        """Read events that are there, or come in so many seconds."""
        until = time.monotonic() + seconds
        while True:
            self.link.settimeout(max(until - time.monotonic(), 0.001))
            try:
                data = self.link.recv(65536)
            except TimeoutError:
                if time.monotonic() >= until:
                    return
                continue
            if not data:
                return
            self.events.extend(self._codec.feed(data))

    def wait(self, wanted: Callable[[Any], bool], seconds: float = 30.0) -> Any:
        """Return the first event that is wanted and take it out. Raises AssertionError when none comes."""
        until = time.monotonic() + seconds
        while True:
            for place, event in enumerate(self.events):
                if wanted(event):
                    return self.events.pop(place)
            if time.monotonic() > until or self.process.poll() is not None:
                raise AssertionError(f"no such event; there were {self.events[:20]}, process status {self.process.poll()}")
            self.collect(0.05)

    def wait_for(self, kind: type[T], seconds: float = 30.0, **values: object) -> T:
        """Return the first event of that class with those values."""
        event: T = self.wait(lambda e: isinstance(e, kind) and all(getattr(e, k) == v for k, v in values.items()), seconds)
        return event

    def connect(self, leg: int, peer: Peer, **more: Any) -> records.LegOpened:
        """Open and connect a leg to a peer, whose remote is then set."""
        self.send(records.OpenLeg(leg, peer.bind_ip, peer.port, ":" in peer.bind_ip))
        opened = self.wait_for(records.LegOpened, leg=leg)
        peer.remote = (opened.ip, opened.port)
        options = {"dtmf_send": 101, "dtmf_receive": 101, **more}
        kind = peer.payload_type
        self.send(records.ConnectLeg(leg, peer.bind_ip, peer.port, NAMES[kind], 8000, kind, kind, **options))
        return opened

    def statistics(self, leg: int = 0) -> dict[str, float]:
        """Ask for counters."""
        self._request += 1
        self.send(records.QueryStatistics(self._request, leg))
        return self.wait_for(records.Statistics, request=self._request).counters
