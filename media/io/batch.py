# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams in batches: recvmmsg and sendmmsg called from compiled loops, so that a tick costs Python one call each way.

``struct mmsghdr`` and ``struct iovec`` as on 64-bit Linux. The arrays that they point into must stay referenced while the
kernel may
use them: ``Batches`` holds them for as long as it lives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from media.dsp.kernel import borrowed, kernel
from media.engine.addresses import NAME_BYTES
from media.engine.leg_table import LEG
from media.engine.receive import receive_batch, receive_reports
from media.rtp.rtcp import REPORT_BYTES, write_report

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

MOST_READ = 64
"""Batches read from one socket in a tick: a flood on one port cannot stop the tick."""

DONT_WAIT = 0x40
TRUNCATED = 0x20

_recvmmsg: Any = types.ExternalFunction("recvmmsg", types.int32(types.int32, types.uintp, types.uint32, types.int32, types.uintp))
_sendmmsg: Any = types.ExternalFunction("sendmmsg", types.int32(types.int32, types.uintp, types.uint32, types.int32))
_NAME_OFFSET = LEG.fields["name"][1] if LEG.fields else 0
_LEG_BYTES = LEG.itemsize


@kernel
def drain(
    files: Any,
    sockets: Any,
    messages: Any,
    datagrams: Any,
    lengths: Any,
    names: Any,
    legs: Any,
    table: Any,
    waiting: Any,
    now_ns: Any,
    epoch_ns: Any,
    counters: Any,
    notes: Any,
    note_count: Any,
    coded: Any,
) -> None:
    """Read every socket empty into the leg table. `files`: int32 (≥ sockets,), descriptors by socket index, -1 none. The rest as
    ``receive_batch``; `messages`: MESSAGE (BATCH,) set up over `datagrams` and `names`."""
    for socket in range(sockets):
        if files[socket] < 0:
            continue
        for _ in range(MOST_READ):
            count = _recvmmsg(files[socket], messages.ctypes.data, BATCH, DONT_WAIT, 0)
            if count <= 0:
                break
            for i in range(count):
                message = messages[i]
                lengths[i] = 0 if message.flags & TRUNCATED else message.length
                message.name_bytes = NAME_BYTES
            receive_batch(
                legs,
                table,
                waiting,
                socket,
                datagrams,
                lengths,
                names,
                count,
                now_ns,
                epoch_ns,
                counters,
                notes,
                note_count,
                coded,
            )
            if count < BATCH:
                break


@kernel
def drain_reports(
    files: Any,
    sockets: Any,
    messages: Any,
    datagrams: Any,
    lengths: Any,
    names: Any,
    legs: Any,
    table: Any,
    now_ns: Any,
    epoch_ns: Any,
    counters: Any,
) -> None:
    """Read every RTCP socket, one batch at most. Arguments as ``drain``."""
    for socket in range(sockets):
        if files[socket] < 0:
            continue
        count = _recvmmsg(files[socket], messages.ctypes.data, BATCH, DONT_WAIT, 0)
        for i in range(count):
            message = messages[i]
            lengths[i] = 0 if message.flags & TRUNCATED else message.length
            message.name_bytes = NAME_BYTES
        if count > 0:
            receive_reports(legs, table, socket, datagrams, lengths, names, count, now_ns, epoch_ns, counters)


@kernel
def send_reports(
    files: Any,
    legs: Any,
    phase: Any,
    phases: Any,
    message: Any,
    iovec: Any,
    report: Any,
    address: Any,
    now_ns: Any,
    epoch_ns: Any,
    name: Any,
) -> Any:
    """Send the RTCP report of every connected leg whose row falls into this phase; return how many were sent.

    `message`: MESSAGE (1,), `iovec`: IOVEC (1,), `report`: uint8 (REPORT_BYTES,), `address`: uint8 (28,): scratch, set up over
    each other.
    """
    sent = 0
    for row in range(phase, legs.shape[0], phases):
        leg = legs[row]
        if not leg.connected or leg.name_bytes == 0 or not (leg.sending or leg.started):
            continue
        port = (np.int64(leg.name[2]) << 8) + np.int64(leg.name[3]) + 1
        if port > 65535:
            continue
        for i in range(NAME_BYTES):
            address[i] = leg.name[i]
        address[2] = port >> 8
        address[3] = port & 255
        iovec[0].bytes = write_report(leg, report, now_ns, epoch_ns, name)
        message[0].name_bytes = leg.name_bytes
        sent += _sendmmsg(files[leg.socket], message.ctypes.data, 1, DONT_WAIT) == 1
    return sent


@kernel
def flush(files: Any, sockets: Any, legs: Any, packets: Any, messages: Any, iovecs: Any, bounds: Any) -> Any:
    """Send this tick's packet of every due leg, one call a socket; return how many the system refused.

    `messages`: MESSAGE (n,), `iovecs`: IOVEC (n,), n rows of `legs` · `bounds`: int64 (≥ sockets + 2,); all three are scratch.
    """
    files, legs, packets, messages, iovecs, bounds = (
        borrowed(files),
        borrowed(legs),
        borrowed(packets),
        borrowed(messages),
        borrowed(iovecs),
        borrowed(bounds),
    )
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
        place = bounds[leg.socket + 1]
        bounds[leg.socket + 1] = place + 1
        iovec = iovecs[place]
        iovec.base = packets.ctypes.data + row * packets.strides[0]
        iovec.bytes = leg.packet_bytes
        message = messages[place]
        message.name = legs.ctypes.data + row * _LEG_BYTES + _NAME_OFFSET
        message.name_bytes = leg.name_bytes
        message.iovec = iovecs.ctypes.data + place * 16
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
        self.datagrams = np.zeros((BATCH, DATAGRAM_BYTES), np.uint8)
        self.names = np.zeros((BATCH, NAME_BYTES), np.uint8)
        self.lengths = np.zeros(BATCH, np.int32)
        self._in_iovecs = np.zeros(BATCH, IOVEC)
        self._in_iovecs["base"] = self.datagrams.ctypes.data + np.arange(BATCH, dtype=np.uint64) * DATAGRAM_BYTES
        self._in_iovecs["bytes"] = DATAGRAM_BYTES
        self.messages_in = np.zeros(BATCH, MESSAGE)
        self.messages_in["name"] = self.names.ctypes.data + np.arange(BATCH, dtype=np.uint64) * NAME_BYTES
        self.messages_in["name_bytes"] = NAME_BYTES
        self.messages_in["iovec"] = self._in_iovecs.ctypes.data + np.arange(BATCH, dtype=np.uint64) * 16
        self.messages_in["iovecs"] = 1
        self.report = np.zeros(REPORT_BYTES, np.uint8)
        self.report_address = np.zeros(NAME_BYTES, np.uint8)
        self.report_iovec = np.zeros(1, IOVEC)
        self.report_iovec["base"] = self.report.ctypes.data
        self.report_message = np.zeros(1, MESSAGE)
        self.report_message["name"] = self.report_address.ctypes.data
        self.report_message["iovec"] = self.report_iovec.ctypes.data
        self.report_message["iovecs"] = 1
        self.messages_out = np.zeros(0, MESSAGE)
        self.iovecs_out = np.zeros(0, IOVEC)
        self.bounds = np.zeros(0, np.int64)

    def fit(self, rows: int, sockets: int) -> None:
        """Make room for so many legs and sockets."""
        if len(self.messages_out) < rows:
            self.messages_out = np.zeros(rows, MESSAGE)
            self.iovecs_out = np.zeros(rows, IOVEC)
        if len(self.bounds) < sockets + 2:
            self.bounds = np.zeros(2 * sockets + 2, np.int64)
