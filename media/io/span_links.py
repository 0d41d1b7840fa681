# SPDX-License-Identifier: GPL-2.0-or-later
"""The Unix datagram sockets between media processes, made by the hub and inherited: one to each other process.

Neither end ever waits. A process that does not read fills its socket: what comes then is left out and counted.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable, Mapping

import numpy as np

from media.engine.span_sums import MOST_WORDS, Words
from media.engine.spans import Spans

log = logging.getLogger(__name__)

MOST_READ = 256
"""Datagrams of one process that are read in one tick: what a process that was stopped for long finds is read within a second."""

BUFFER_BYTES = 1 << 20
"""Asked for per socket: a few ticks of hundreds of rooms that span. The system's limit may be lower."""


class SpanLinks:
    """Sockets by the number of the process at the other end."""

    def __init__(self, descriptors: Mapping[int, int]) -> None:
        """`descriptors`: process → connected datagram socket, which is then owned here. Drops what waits there for a predecessor."""
        self.unsent = 0
        self._buffer = np.empty(MOST_WORDS, np.int32)
        self._sockets: dict[int, socket.socket] = {}
        for peer, descriptor in descriptors.items():
            link = socket.socket(fileno=descriptor)
            os.set_inheritable(link.fileno(), False)
            link.setblocking(False)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            self._sockets[peer] = link
            self._read(peer, None)

    def read(self, spans: Spans) -> None:
        """Move what has arrived into the engine."""
        for peer in self._sockets:
            self._read(peer, spans)

    def _read(self, peer: int, spans: Spans | None) -> None:
        for _ in range(MOST_READ):
            try:
                size = self._sockets[peer].recv_into(self._buffer.data)
            except BlockingIOError:
                return
            except OSError as error:
                log.debug("media process %d: %s", peer, error)
                return
            if spans is not None:
                spans.put(peer, self._buffer[: size // 4].copy())

    def write(self, datagrams: Iterable[tuple[int, Words]]) -> None:
        """Send what the engine's tick has for others."""
        for peer, words in datagrams:
            link = self._sockets.get(peer)
            if link is None:
                self.unsent += 1
                continue
            try:
                link.send(words.data)
            except OSError:  # full, or nobody there for now
                self.unsent += 1

    def close(self) -> None:
        """Close all of them."""
        for link in self._sockets.values():
            link.close()
        self._sockets.clear()


def parse_link(text: str) -> tuple[int, int]:
    """Read `process:descriptor`. Raises ValueError."""
    peer, _, descriptor = text.partition(":")
    if not (peer.isdecimal() and descriptor.isdecimal()):
        raise ValueError(f"{text!r}: right is process:descriptor, e.g. 1:7")
    return int(peer), int(descriptor)
