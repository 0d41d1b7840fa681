# SPDX-License-Identifier: GPL-2.0-or-later
"""The RTP and RTCP sockets, and a tick's traffic through them."""

from __future__ import annotations

import errno
import heapq
import logging
import resource
import select
import socket

import numpy as np

from media.engine.engine import Engine
from media.engine.ports import NoPort
from media.io.batch import EVENT, MOST_READY, Batches, Ready, drain, drain_reports, flush, send_reports

log = logging.getLogger(__name__)

DESCRIPTORS_FOR_FILES = 64
"""So many are left for prompts, recordings, and what the process itself needs."""
READ_REPORTS_TICKS = 10
RECEIVE_BUFFER_BYTES = 4 << 20
"""Asked for per RTP socket: hundreds of legs may send to one between two ticks."""


class ReadySockets:
    """An epoll set: it tells a tick which sockets to read. `arrays` is what kernels take, until the next `add`."""

    def __init__(self) -> None:
        self._set = select.epoll()
        self.arrays = Ready(self._set.fileno(), np.zeros(MOST_READY, EVENT), np.full(1024, -1, np.int32))

    def add(self, one: socket.socket, index: int) -> None:
        """Watch a socket. Raises OSError."""
        file, sockets = one.fileno(), self.arrays.sockets
        if file >= len(sockets):
            grown = np.full(2 * file, -1, np.int32)
            grown[: len(sockets)] = sockets
            sockets = grown
            self.arrays = self.arrays._replace(sockets=sockets)
        sockets[file] = index
        self._set.register(file, select.EPOLLIN)

    def remove(self, one: socket.socket) -> None:
        """Watch a socket no longer; to be called before it is closed."""
        self._set.unregister(one)
        self.arrays.sockets[one.fileno()] = -1

    def close(self) -> None:
        """Give the descriptor back."""
        self._set.close()


class Sockets:
    """UDP sockets by index, in pairs: RTP, and RTCP on the next port (RFC 3550 §11). A closed pair's index is given out anew, lowest first."""

    def __init__(self, *ips: str) -> None:
        """`ips`: our addresses, by their number."""
        self._ips = ips
        self._pairs: dict[int, tuple[socket.socket, socket.socket]] = {}
        self._unused: list[int] = []  # a heap: of the indexes below `_indexes`, those without a pair
        self._indexes = 0
        self._rtp = np.full(64, -1, np.int32)
        self._rtcp = np.full(64, -1, np.int32)
        self._rtp_ready, self._rtcp_ready = ReadySockets(), ReadySockets()
        self._batches = Batches()
        self._most_pairs = max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - DESCRIPTORS_FOR_FILES, 2) // 2
        self.send_refused = 0
        self.reports_sent = 0

    def bind(self, address: int, port: int) -> int | None:
        """Open a pair at an address of ours; return its index, or None when one of the two ports is taken. Raises NoPort: no other would do."""
        opened: list[socket.socket] = []
        ip = self._ips[address]
        ipv6 = ":" in ip
        if len(self._pairs) >= self._most_pairs:
            raise NoPort("no further RTP port: the descriptors that are left are for files; raise the limit of open files")
        try:
            for number in (port, port + 1):
                opened.append(
                    socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
                )
                if ipv6:
                    opened[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                opened[-1].bind((ip, number))
            opened[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            opened[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RECEIVE_BUFFER_BYTES)
        except OSError as error:
            for half in opened:
                half.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                hint = "; raise the limit of open files" if error.errno in (errno.EMFILE, errno.ENFILE) else ""
                raise NoPort(f"RTP port {port} on {ip}: {error.strerror}{hint}") from error
            log.debug("RTP port %d on %s: %s", port, ip, error)
            return None
        index = self._take_index()
        self._pairs[index] = (opened[0], opened[1])
        self._rtp[index], self._rtcp[index] = opened[0].fileno(), opened[1].fileno()
        self._rtp_ready.add(opened[0], index)
        self._rtcp_ready.add(opened[1], index)
        return index

    def unbind(self, index: int) -> None:
        """Close a pair and give its index back."""
        rtp, rtcp = self._pairs.pop(index)
        self._rtp[index] = self._rtcp[index] = -1
        self._rtp_ready.remove(rtp)
        self._rtcp_ready.remove(rtcp)
        rtp.close()
        rtcp.close()
        heapq.heappush(self._unused, index)

    def _take_index(self) -> int:
        if self._unused:
            return heapq.heappop(self._unused)
        index = self._indexes
        self._indexes += 1
        if index >= len(self._rtp):
            self._rtp = np.concatenate([self._rtp, np.full(index, -1, np.int32)])
            self._rtcp = np.concatenate([self._rtcp, np.full(index, -1, np.int32)])
        return index

    def read(self, engine: Engine, now_ns: int) -> None:
        """Move everything that has arrived into the engine."""
        epoch_ns = now_ns + engine.epoch_offset_ns
        drain(self._rtp_ready.arrays, self._batches.incoming, engine.receiver, now_ns, epoch_ns)

    def exchange_reports(self, engine: Engine, now_ns: int, phase: int, phases: int) -> None:
        """Read RTCP in every READ_REPORTS_TICKS-th of `phases`, and send the reports of the legs of this phase."""
        batches, epoch_ns = self._batches, now_ns + engine.epoch_offset_ns
        if phase % READ_REPORTS_TICKS == 0:
            drain_reports(self._rtcp_ready.arrays, batches.incoming, engine.receiver, now_ns, epoch_ns)
        self.reports_sent += send_reports(
            self._rtcp, engine.legs.rows, engine.keys, phase, phases, batches.report, now_ns, epoch_ns, engine.canonical_name
        )

    def write(self, engine: Engine) -> None:
        """Send the packets that the engine's tick has made."""
        batches, legs = self._batches, engine.legs
        batches.fit(len(legs.rows), self._indexes)
        self.send_refused += flush(self._rtp, self._indexes, legs.rows, legs.packets, batches.outgoing)

    def close(self) -> None:
        """Close all of them."""
        for pair in self._pairs.values():
            for half in pair:
                half.close()
        self._pairs.clear()
        self._rtp_ready.close()
        self._rtcp_ready.close()
