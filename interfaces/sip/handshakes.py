# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections to the TLS port before they are connections: pjsip shows a peer when its handshake is over, and keeps what is before to itself.

A handshake ends after some seconds whatever happens (`endpoint`), but nobody counts how many there are: each holds a descriptor and 60 kB. So
once a second the process's own sockets are looked at, and of those that pjsip has not told of, the oldest are shut down where an address
has too many. pjsip then finds that the peer has gone.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from di.sip.records import Limits

Peer = tuple[str, int]
FEW = 64
"""Descriptors that are none of a connection: below that nothing is looked at."""


class Handshakes:
    """Which are too many. Pure: what is open comes in."""

    def __init__(self, limits: Limits, trusts: Callable[[str], bool]) -> None:
        self._an_address, self._all, self._trusts = limits.connections_an_address, limits.connections, trusts
        self._pending: dict[tuple[int, Peer], None] = {}  # oldest first

    def too_many(self, opened: Mapping[int, Peer], known: Collection[Peer]) -> list[int]:
        """Descriptors to shut down. `opened`: descriptor → peer of each connection to the TLS port · `known`: peers that pjsip has told of."""
        now = {item: None for item in opened.items() if item[1] not in known}
        self._pending = {item: None for item in self._pending if item in now} | now
        of_address = Counter(ip for _, (ip, _) in self._pending)
        excess: list[int] = []
        for item in list(self._pending):
            descriptor, (ip, _) = item
            many = self._an_address and of_address[ip] > self._an_address and not self._trusts(ip)
            if many or (self._all and len(self._pending) > self._all):
                excess.append(descriptor)
                of_address[ip] -= 1
                del self._pending[item]
        return excess


def connections_to(port: int, most: int) -> dict[int, Peer]:
    """This process's connections to a port of its own, by descriptor; none when it has no more than `most` descriptors in all."""
    names = os.listdir("/proc/self/fd")
    found: dict[int, Peer] = {}
    for name in names if len(names) > most else ():
        with suppress(OSError):  # no socket, not connected, or gone by now
            borrowed = socket.socket(fileno=int(name))
            try:
                if (
                    borrowed.type == socket.SOCK_STREAM
                    and borrowed.family != socket.AF_UNIX
                    and borrowed.getsockname()[1] == port
                ):
                    found[int(name)] = borrowed.getpeername()[:2]
            finally:
                borrowed.detach()
    return found


def shut_down(descriptor: int) -> None:
    """Let a connection that pjsip holds end as if its peer had gone."""
    with suppress(OSError):
        borrowed = socket.socket(fileno=descriptor)
        try:
            borrowed.shutdown(socket.SHUT_RDWR)
        finally:
            borrowed.detach()
