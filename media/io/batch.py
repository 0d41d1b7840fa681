# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams in batches: recvmmsg and sendmmsg called from compiled loops, so that a tick costs Python one call each way.

``struct mmsghdr`` and ``struct iovec`` as on 64-bit Linux. The arrays that they point into must stay referenced while the
kernel may use them: ``Batches`` holds them for as long as it lives.
"""

from __future__ import annotations

import platform
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from media.dsp.kernel import borrowed, inline_kernel, steady_kernel
from media.engine.addresses import NAME_BYTES
from media.engine.leg_table import LEG
from media.engine.receive import Datagrams, receive_batch, receive_reports
from media.engine.secure import protect_report
from media.rtp.rtcp import REPORT_BYTES, write_report
from media.rtp.srtp_numbers import INDEX_BYTES, TAG_BYTES

MESSAGE = np.dtype(
    {
        "names": ["name", "name_bytes", "iovec", "iovecs", "control", "control_bytes", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
IOVEC = np.dtype([("base", "u8"), ("bytes", "u8")])

BATCH = 256
"""Datagrams read by one call; their headers stay in the second-level cache."""

DATAGRAM_BYTES = 2048 + 64
"""Room for one; over the usual largest packet, and no multiple of the cache's way size."""

SRTCP_BYTES = TAG_BYTES + INDEX_BYTES

MOST_ROUNDS = 64
MOST_READ = 64
"""Batches read from one socket in a tick: a flood on one port cannot stop the tick."""

DONT_WAIT = 0x40
TRUNCATED = 0x20

_EVENT_DATA = 4 if platform.machine() == "x86_64" else 8

_epoll_wait: Any = types.ExternalFunction("epoll_wait", types.int32(types.int32, types.uintp, types.int32, types.int32))
_recvmmsg: Any = types.ExternalFunction("recvmmsg", types.int32(types.int32, types.uintp, types.uint32, types.int32, types.uintp))
_sendmmsg: Any = types.ExternalFunction("sendmmsg", types.int32(types.int32, types.uintp, types.uint32, types.int32))
_NAME_OFFSET = LEG.fields["name"][1] if LEG.fields else 0
_LEG_BYTES = LEG.itemsize


class Incoming(NamedTuple):
    """Room for one batch in: `messages` MESSAGE (BATCH,), set up over the data and names of `datagrams`."""

    messages: NDArray[np.void]
    datagrams: Datagrams


class Report(NamedTuple):
    """Room for one RTCP report out: MESSAGE (1,), IOVEC (1,), uint8 (REPORT_BYTES + SRTCP_BYTES,) and uint8 (28,), set up over each other."""

    message: NDArray[np.void]
    iovec: NDArray[np.void]
    data: NDArray[np.uint8]
    address: NDArray[np.uint8]


class Outgoing(NamedTuple):
    """Room for a tick's packets out, scratch: `messages` MESSAGE (n,), `iovecs` IOVEC (n,), `bounds` int64 (≥ sockets + 2,)."""

    messages: NDArray[np.void]
    iovecs: NDArray[np.void]
    bounds: NDArray[np.int64]


EVENT = np.dtype({"names": ["events", "file"], "formats": ["u4", "i4"], "offsets": [0, _EVENT_DATA], "itemsize": _EVENT_DATA + 8})
"""``struct epoll_event``, its data as descriptor; packed on x86-64 only (epoll_ctl(2))."""

MOST_READY = 512
"""Sockets with something to read that are told in one call."""


class Ready(NamedTuple):
    """Which sockets have something to read. `descriptor`: of an epoll set · `events`: EVENT (MOST_READY,), scratch · `sockets`: int32, socket
    indexes by descriptor.
    """

    descriptor: int
    events: NDArray[np.void]
    sockets: NDArray[np.int32]


@inline_kernel
def read_batch(file: Any, incoming: Any) -> Any:
    """Read what is there, one batch at most; return how many datagrams, 0 or below for none. A truncated one has length 0.

    The count is an int64, as Python's numbers are: of another type, whoever calls ``receive_batch`` from Python would compile it anew.
    """
    count = np.int64(_recvmmsg(file, incoming.messages.ctypes.data, BATCH, DONT_WAIT, 0))
    for i in range(count):
        message = incoming.messages[i]
        incoming.datagrams.lengths[i] = 0 if message.flags & TRUNCATED else message.length
        message.name_bytes = NAME_BYTES
    return count


@steady_kernel
def drain(ready: Any, incoming: Any, into: Any, now_ns: Any, epoch_ns: Any) -> None:
    """Read every socket that has something empty into the leg table. Of idle ones, however many, none is touched.

    `ready`: Ready, RTP sockets · `incoming`: Incoming · the rest as ``receive_batch``.
    """
    ready, incoming, into = borrowed(ready), borrowed(incoming), borrowed(into)
    for _ in range(MOST_ROUNDS):
        waiting = _epoll_wait(ready.descriptor, ready.events.ctypes.data, MOST_READY, 0)
        for index in range(waiting):
            file = ready.events[index].file
            for _ in range(MOST_READ):
                count = read_batch(file, incoming)
                if count <= 0:
                    break
                receive_batch(into, np.int64(ready.sockets[file]), incoming.datagrams, count, now_ns, epoch_ns)
                if count < BATCH:
                    break
        if waiting < MOST_READY:
            break


@steady_kernel
def drain_reports(ready: Any, incoming: Any, into: Any, now_ns: Any, epoch_ns: Any) -> None:
    """Read RTCP sockets, one batch at most of each. Arguments as ``drain``."""
    ready, incoming, into = borrowed(ready), borrowed(incoming), borrowed(into)
    waiting = _epoll_wait(ready.descriptor, ready.events.ctypes.data, MOST_READY, 0)
    for index in range(waiting):
        file = ready.events[index].file
        count = read_batch(file, incoming)
        if count > 0:
            receive_reports(into, np.int64(ready.sockets[file]), incoming.datagrams, count, now_ns, epoch_ns)


@steady_kernel
def send_reports(
    files: Any, legs: Any, keys: Any, phase: Any, phases: Any, out: Any, now_ns: Any, epoch_ns: Any, name: Any
) -> Any:
    """Send the RTCP report of every connected leg whose row falls into this phase; return how many were sent.

    `keys`: SECURE and the addresses of libsrtp's functions · `out`: Report, scratch · `name`: uint8, our canonical name.
    """
    secure, functions = keys
    message, iovec, report, address = out
    sent = 0
    for row in range(phase, legs.shape[0], phases):
        leg = legs[row]
        if not leg.connected or leg.rtcp_bytes == 0 or not (leg.sending or leg.started) or leg.allowance == 0:
            continue
        for i in range(NAME_BYTES):
            address[i] = leg.rtcp_name[i]
        length: Any = np.int64(write_report(leg, report, now_ns, epoch_ns, name))
        if leg.secure:
            length = protect_report(secure, functions, np.int64(leg.secure), report, length)
            if length < 0:
                continue
        iovec[0].bytes = length
        message[0].name_bytes = leg.rtcp_bytes
        sent += _sendmmsg(files[leg.socket], message.ctypes.data, 1, DONT_WAIT) == 1
    return sent


@steady_kernel
def flush(files: Any, sockets: Any, legs: Any, packets: Any, out: Any) -> Any:
    """Send this tick's packet of every due leg, one call a socket; return how many the system refused. `out`: Outgoing."""
    files, legs, packets, out = borrowed(files), borrowed(legs), borrowed(packets), borrowed(out)
    messages, iovecs, bounds = out
    bounds[:] = 0
    for row in range(legs.shape[0]):
        if legs[row].due:
            bounds[legs[row].socket + 2] += 1
    for socket in range(sockets):
        bounds[socket + 2] += bounds[socket + 1]
    for row in range(legs.shape[0]):
        leg = legs[row]
        if not leg.due:
            continue
        index = bounds[leg.socket + 1]
        bounds[leg.socket + 1] = index + 1
        iovec = iovecs[index]
        iovec.base = packets.ctypes.data + row * packets.strides[0]
        iovec.bytes = leg.packet_bytes
        message = messages[index]
        message.name = legs.ctypes.data + row * _LEG_BYTES + _NAME_OFFSET
        message.name_bytes = leg.name_bytes
        message.iovec = iovecs.ctypes.data + index * 16
        message.iovecs = 1
    refused = 0
    for socket in range(sockets):
        at = bounds[socket]
        while at < bounds[socket + 1]:
            sent = _sendmmsg(files[socket], messages.ctypes.data + at * 64, bounds[socket + 1] - at, DONT_WAIT)
            if sent <= 0:  # this one cannot go; the next may
                refused += 1
                sent = 1
            at += sent
    return refused


class Batches:
    """The arrays behind the calls: room for one batch in, and headers for all legs out."""

    def __init__(self) -> None:
        data = np.zeros((BATCH, DATAGRAM_BYTES), np.uint8)
        names = np.zeros((BATCH, NAME_BYTES), np.uint8)
        indexes = np.arange(BATCH, dtype=np.uint64)
        self._in_iovecs = np.zeros(BATCH, IOVEC)
        self._in_iovecs["base"] = data.ctypes.data + indexes * DATAGRAM_BYTES
        self._in_iovecs["bytes"] = DATAGRAM_BYTES
        messages = np.zeros(BATCH, MESSAGE)
        messages["name"] = names.ctypes.data + indexes * NAME_BYTES
        messages["name_bytes"] = NAME_BYTES
        messages["iovec"] = self._in_iovecs.ctypes.data + indexes * IOVEC.itemsize
        messages["iovecs"] = 1
        self.incoming = Incoming(messages, Datagrams(data, np.zeros(BATCH, np.int32), names))
        self.report = Report(
            np.zeros(1, MESSAGE),
            np.zeros(1, IOVEC),
            np.zeros(REPORT_BYTES + SRTCP_BYTES, np.uint8),
            np.zeros(NAME_BYTES, np.uint8),
        )
        self.report.iovec["base"] = self.report.data.ctypes.data
        self.report.message["name"] = self.report.address.ctypes.data
        self.report.message["iovec"] = self.report.iovec.ctypes.data
        self.report.message["iovecs"] = 1
        self.outgoing = Outgoing(np.zeros(0, MESSAGE), np.zeros(0, IOVEC), np.zeros(0, np.int64))

    def fit(self, rows: int, sockets: int) -> None:
        """Make room for so many legs and sockets."""
        if len(self.outgoing.messages) < rows:
            self.outgoing = self.outgoing._replace(messages=np.zeros(rows, MESSAGE), iovecs=np.zeros(rows, IOVEC))
        if len(self.outgoing.bounds) < sockets + 2:
            self.outgoing = self.outgoing._replace(bounds=np.zeros(2 * sockets + 2, np.int64))
