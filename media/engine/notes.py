# SPDX-License-Identifier: GPL-2.0-or-later
"""What the receiving kernel leaves to Python: notes, read after the batch, for what needs a decision or a library's codec.

CANDIDATE  a packet from an unknown address to a port whose leg is not latched       LOCKED    the first from the signalled address
RETURNED   one from the signalled address while the leg is latched elsewhere         DIGIT     a telephone-event payload
CODED      a payload that a library decodes; its bytes stand in `coded`, at the note's index
FORMAT     the peer has changed to another of the codecs that were agreed on: `event` is its payload type
REPORTED   a report from the signalled address while the leg is latched elsewhere: under which SSRC
ALIVE      no audio, yet a sign of who may be behind NAT: RTCP, STUN, an empty datagram, a payload type that is not ours (RFC 6263 §4)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.dsp.kernel import inline_kernel
from media.engine.addresses import NAME_BYTES
from media.engine.counters import NOTES_LOST, TOO_LONG

NOTE_CANDIDATE = 1
NOTE_DIGIT = 2
NOTE_LOCKED = 3
NOTE_RETURNED = 5
NOTE_CODED = 6
NOTE_FORMAT = 7
NOTE_ALIVE = 8
NOTE_REPORTED = 9

NOTE = np.dtype(
    [
        ("kind", "u1"),
        ("event", "u1"),
        ("end", "u1"),
        ("volume", "u1"),
        ("duration", "u2"),
        ("sequence", "u2"),
        ("row", "i4"),
        ("socket", "i4"),
        ("ts", "u4"),
        ("ssrc", "u4"),
        ("index", "i4"),  # of the datagram in its batch
        ("name", "u1", NAME_BYTES),
    ],
    align=True,
)
MAX_NOTES = 4096
"""Notes taken a tick; what a flood brings beyond is dropped and counted (NOTES_LOST)."""

LONGEST_CODED = 2000
"""Bytes of the longest payload that a note keeps."""


class Receiver(NamedTuple):
    """Where datagrams go. Kernels write all of it but `table` and `waiting`."""

    legs: NDArray[np.void]
    """LEG (n,)."""
    table: NDArray[np.void]
    """ENTRY (m,): which address is whose (``addresses.py``)."""
    waiting: NDArray[np.int32]
    """int32 (sockets,): row that holds the socket's latch slot, or -1."""
    counters: NDArray[np.int64]
    """int64 (len(COUNTERS),), added to."""
    notes: NDArray[np.void]
    """NOTE (most,), from `note_count[0]` on."""
    note_count: NDArray[np.int64]
    coded: NDArray[np.uint8]
    """uint8 (most, LONGEST_CODED): payloads that notes of the same index keep."""
    secure: NDArray[np.void]
    """SECURE (k,): keys of legs with SRTP (``secure.py``)."""
    srtp: NDArray[np.uint64]
    """``media.rtp.srtp.functions``, zeroes while no leg has needed them."""


class Packet(NamedTuple):
    """One RTP packet inside a kernel: its bytes, the bounds of its payload, whose it may be and where it came from.

    `row`: of the leg · `entry`: of its address in the table, -1 for a candidate's · `index`: its index in its batch · `name`: sockaddr.
    """

    data: Any
    first: Any
    end: Any
    row: Any
    entry: Any
    socket: Any
    index: Any
    name: Any


@inline_kernel
def take_note(into: Any, kind: Any, packet: Any) -> Any:
    """Start a note about a packet; return its index, or -1 when there is no room."""
    at = into.note_count[0]
    if at >= into.notes.shape[0]:
        into.counters[NOTES_LOST] += 1
        return -1
    into.note_count[0] = at + 1
    note = into.notes[at]
    note.kind = kind
    note.row = packet.row
    note.socket = packet.socket
    note.index = packet.index
    return int(at)


@inline_kernel
def big_endian(packet: Any, first: Any, count: Any) -> Any:
    """Return `count` bytes as an unsigned number."""
    value = np.uint64(0)
    for i in range(count):
        value = (value << np.uint64(8)) | np.uint64(packet[first + i])
    return value


@inline_kernel
def note_digit(into: Any, packet: Any, ts: Any, ssrc: Any) -> None:
    """Leave a telephone-event payload (RFC 4733 §2.3) to Python."""
    if packet.end - packet.first < 4:
        return
    at = take_note(into, NOTE_DIGIT, packet)
    if at >= 0:
        note = into.notes[at]
        note.event = packet.data[packet.first]
        note.end = packet.data[packet.first + 1] >> 7
        note.volume = packet.data[packet.first + 1] & 63
        note.duration = big_endian(packet.data, packet.first + 2, 2)
        note.ts = ts
        note.ssrc = ssrc


@inline_kernel
def note_coded(into: Any, leg: Any, packet: Any, sequence: Any, ts: Any) -> None:
    """Leave a library codec's payload to Python, in the row of `coded` that its note has."""
    count = packet.end - packet.first
    if not leg.listened:
        return
    if count > into.coded.shape[1]:
        into.counters[TOO_LONG] += 1
        leg.packets_too_long += 1
        return
    at = take_note(into, NOTE_CODED, packet)
    if at >= 0:
        into.notes[at].sequence = sequence
        into.notes[at].ts = ts
        into.notes[at].duration = count
        for i in range(count):
            into.coded[at, i] = packet.data[packet.first + i]


@inline_kernel
def note_format(into: Any, packet: Any, kind: Any) -> None:
    """Leave the change to another payload type to Python."""
    at = take_note(into, NOTE_FORMAT, packet)
    if at >= 0:
        into.notes[at].event = kind


@inline_kernel
def note_alive(into: Any, packet: Any, ports_above: Any) -> None:
    """Leave it to Python whether an unknown address belongs to a peer that is looked for; `ports_above` its RTP port."""
    leg = into.legs[packet.row]
    if packet.entry >= 0 or leg.locked or not leg.elsewhere:
        return
    at = take_note(into, NOTE_ALIVE, packet)
    if at >= 0:
        into.notes[at].duration = ports_above
        for i in range(packet.name.shape[0]):
            into.notes[at].name[i] = packet.name[i]


def empty_notes() -> tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.uint8]]:
    """Return a note array, its count, and the payloads that notes keep."""
    return np.zeros(MAX_NOTES, NOTE), np.zeros(1, np.int64), np.zeros((MAX_NOTES, LONGEST_CODED), np.uint8)
