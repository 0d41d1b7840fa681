# SPDX-License-Identifier: GPL-2.0-or-later
"""A batch of datagrams into the leg table: who sent it, is it RTP, where does its audio belong.

    datagram ─ RTP? ─ known address? ─ payload type? ─┬─ audio → decoded into the leg's playout ring at its timestamp
        │          │                                  └─ digit → note
        └ dropped  └ unknown: candidate for the port's latch slot, or stranger

What needs a decision (candidates, digits, a source just locked, RTCP, library codecs) leaves the kernel as a note, read by Python
after the batch. The way into the ring is in ``arrival.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.codecs.codec import NATIVE
from media.dsp.kernel import borrowed, fetch_ahead, inline_kernel, kernel
from media.engine.addresses import NAME_BYTES, RESTING, find, name_key
from media.engine.arrival import accept_audio, accept_pause, track_sequence
from media.engine.counters import (
    BYTES,
    CANDIDATE,
    DUPLICATE,
    MALFORMED,
    NOT_RECEIVING,
    NOTES_LOST,
    RECEIVED,
    REPORTS,
    RESTED,
    RTCP,
    STRANGER,
    WRONG_TYPE,
)
from media.engine.leg_table import LEG, RELAY_PURE
from media.engine.relay import keep_payload
from media.rtp.rtcp import read_compound

NOTE_CANDIDATE = 1
NOTE_DIGIT = 2
NOTE_LOCKED = 3
NOTE_RETURNED = 5
NOTE_CODED = 6

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
        ("index", "i4"),  # datagram's place in its batch
        ("name", "u1", NAME_BYTES),
    ],
    align=True,
)
MAX_NOTES = 4096
"""Notes taken a tick; a flood of candidates beyond is dropped and counted as strangers."""


FETCH_AHEAD = 4
"""So many datagrams before its turn a leg's ring is fetched: about as long as memory takes."""

_LEG_BYTES = LEG.itemsize
RECEIVING_BYTES = 192
"""The first part of a row, which holds what receiving needs."""

COMFORT_NOISE = 13
"""Its static payload type (RFC 3389 §4), whether negotiated or not: the sender pauses, which is neither loss nor silence of the line."""

LONGEST_CODED = 1500
NO_DIGITS = 255


@inline_kernel
def payload_bounds(packet: Any, length: Any) -> Any:
    """Return (first, end) of an RTP packet's payload, or (0, 0) when it is no RTP packet (RFC 3550 §5.1, §A.1)."""
    if length < 12 or packet[0] >> 6 != 2:
        return 0, 0
    first = 12 + 4 * np.int64(packet[0] & 15)
    if packet[0] & 0x10:
        if first + 4 > length:
            return 0, 0
        first += 4 + 4 * ((np.int64(packet[first + 2]) << 8) | np.int64(packet[first + 3]))
    end = np.int64(length)
    if packet[0] & 0x20:
        if packet[length - 1] == 0:
            return 0, 0
        end -= np.int64(packet[length - 1])
    if first >= end:
        return 0, 0
    return first, end


@inline_kernel
def take_note(notes: Any, note_count: Any, counters: Any, kind: Any, row: Any, socket: Any, index: Any) -> Any:
    """Start a note; return its index, or -1 when there is no room."""
    at = note_count[0]
    if at >= notes.shape[0]:
        counters[NOTES_LOST] += 1
        return -1
    note_count[0] = at + 1
    note = notes[at]
    note.kind = kind
    note.row = row
    note.socket = socket
    note.index = index
    return int(at)


@inline_kernel
def big_endian(packet: Any, first: Any, count: Any) -> Any:
    """Return `count` bytes as an unsigned number."""
    value = np.uint64(0)
    for i in range(count):
        value = (value << np.uint64(8)) | np.uint64(packet[first + i])
    return value


@inline_kernel
def note_digit(note: Any, packet: Any, first: Any, ts: Any, ssrc: Any) -> None:
    """Fill a note with a telephone-event payload (RFC 4733 §2.3)."""
    note.event = packet[first]
    note.end = packet[first + 1] >> 7
    note.volume = packet[first + 1] & 63
    note.duration = big_endian(packet, first + 2, 2)
    note.ts = ts
    note.ssrc = ssrc


@inline_kernel
def keep_coded(
    leg: Any,
    row: Any,
    packet: Any,
    first: Any,
    end: Any,
    sequence: Any,
    ts: Any,
    socket: Any,
    index: Any,
    counters: Any,
    notes: Any,
    note_count: Any,
    coded: Any,
) -> None:
    """Leave a library codec's payload to Python, in the row of `coded` that its note has."""
    if not leg.listened or end - first > coded.shape[1]:
        return
    at = take_note(notes, note_count, counters, NOTE_CODED, row, socket, index)
    if at >= 0:
        notes[at].sequence = sequence
        notes[at].ts = ts
        notes[at].duration = end - first
        for i in range(end - first):
            coded[at, i] = packet[first + i]


@inline_kernel
def is_from_peer(
    leg: Any,
    row: Any,
    table: Any,
    found: Any,
    sequence: Any,
    ssrc: Any,
    socket: Any,
    index: Any,
    name: Any,
    counters: Any,
    notes: Any,
    note_count: Any,
) -> Any:
    """Return whether a packet's address is the leg's; leave a note when that has to be decided or has just been."""
    if found >= 0 and leg.locked:
        if table[found].expires_ns == 0:
            return True
        take_note(notes, note_count, counters, NOTE_RETURNED, row, socket, index)  # signalled address, leg latched elsewhere
        return False
    at = take_note(notes, note_count, counters, NOTE_CANDIDATE if found < 0 else NOTE_LOCKED, row, socket, index)
    if at < 0:
        return False
    if found >= 0:
        leg.locked = 1
        return True
    counters[CANDIDATE] += 1
    notes[at].sequence = sequence
    notes[at].ssrc = ssrc
    for i in range(name.shape[0]):
        notes[at].name[i] = name[i]
    return False


@inline_kernel
def receive_packet(
    leg: Any,
    row: Any,
    packet: Any,
    first: Any,
    end: Any,
    table: Any,
    found: Any,
    socket: Any,
    index: Any,
    name: Any,
    now_ns: Any,
    counters: Any,
    notes: Any,
    note_count: Any,
    coded: Any,
) -> None:
    """Take one RTP packet, whose payload is ``packet[first:end]``, for a leg. `found`: its address's entry, -1 a candidate's."""
    kind = packet[1] & 127
    is_digit = kind == leg.payload_type_digits and leg.payload_type_digits != NO_DIGITS
    is_pause = kind == COMFORT_NOISE and kind != leg.payload_type_receive
    if not is_digit and not is_pause and kind != leg.payload_type_receive:
        counters[WRONG_TYPE] += 1
        return
    sequence = np.uint16(big_endian(packet, 2, 2))
    ts = np.uint32(big_endian(packet, 4, 4))
    ssrc = np.uint32(big_endian(packet, 8, 4))
    if not is_from_peer(leg, row, table, found, sequence, ssrc, socket, index, name, counters, notes, note_count):
        return
    leg.arrived_ns = now_ns
    leg.timed_out = 0
    if not track_sequence(leg, sequence, ts, ssrc, now_ns):
        leg.packets_duplicate += 1
        counters[DUPLICATE] += 1
        return
    leg.packets_received += 1
    leg.bytes_received += end - first
    if is_digit:
        if end - first >= 4:
            at = take_note(notes, note_count, counters, NOTE_DIGIT, row, socket, index)
            if at >= 0:
                note_digit(notes[at], packet, first, ts, ssrc)
    elif not leg.receiving:
        counters[NOT_RECEIVING] += 1
    elif is_pause:
        accept_pause(leg, np.int64(ts), counters)
    else:
        if leg.relays:
            keep_payload(leg, packet, first, end, sequence, ts, counters)
        if leg.law == NATIVE:
            keep_coded(leg, row, packet, first, end, sequence, ts, socket, index, counters, notes, note_count, coded)
        elif leg.relays != RELAY_PURE:
            accept_audio(leg, packet, first, end, np.int64(ts), counters)


@inline_kernel
def is_rtcp(packet: Any, length: Any) -> Any:
    """Tell RTCP from RTP that comes to the same port (RFC 5761 §4)."""
    return length >= 8 and packet[0] >> 6 == 2 and 192 <= packet[1] <= 223


@inline_kernel
def accept_report(legs: Any, table: Any, found: Any, packet: Any, length: Any, now_ns: Any, epoch_ns: Any, counters: Any) -> None:
    """Take a compound for the leg of an address's entry; from any other address it is only counted."""
    counters[RTCP] += 1
    if found >= 0 and table[found].row >= 0 and legs[table[found].row].locked and table[found].expires_ns == 0:
        counters[REPORTS] += read_compound(legs[table[found].row], packet, length, now_ns, epoch_ns)


@kernel
def receive_reports(
    legs: Any,
    table: Any,
    socket: Any,
    datagrams: Any,
    lengths: Any,
    names: Any,
    count: Any,
    now_ns: Any,
    epoch_ns: Any,
    counters: Any,
) -> None:
    """Take datagrams that came to the RTCP port beside an RTP socket; a peer's RTCP comes from one port above its RTP."""
    for index in range(count):
        length = np.int64(lengths[index])
        if not is_rtcp(datagrams[index], length):
            counters[MALFORMED] += 1
            continue
        high, low, tail = name_key(names[index], socket)
        found = find(table, high, low, tail - np.uint64(1))
        accept_report(legs, table, found, datagrams[index], length, now_ns, epoch_ns, counters)


@inline_kernel
def find_sender(legs: Any, table: Any, socket: Any, name: Any) -> Any:
    """Return the entry of a datagram's address, -1 for an unknown one; the state of its leg is on its way to the cache."""
    high, low, tail = name_key(name, socket)
    found = find(table, high, low, tail)
    if found >= 0 and table[found].row >= 0:
        fetch_ahead(legs.ctypes.data + table[found].row * _LEG_BYTES, RECEIVING_BYTES)
    return found


@inline_kernel
def fetch_ring(leg: Any, packet: Any) -> None:
    """Have the part of a leg's ring fetched where a packet's audio will go."""
    if leg.listened and leg.ring_address != 0:
        at = np.int64(big_endian(packet, 4, 4)) & (np.int64(leg.ring_samples) - 1)
        fetch_ahead(leg.ring_address + np.uint64(2 * at), 2 * leg.frame_samples)


@kernel
def receive_batch(
    legs: Any,
    table: Any,
    waiting: Any,
    socket: Any,
    datagrams: Any,
    lengths: Any,
    names: Any,
    count: Any,
    now_ns: Any,
    epoch_ns: Any,
    counters: Any,
    notes: Any,
    note_count: Any,
    coded: Any,
) -> None:
    """Take `count` datagrams that came to one socket into the leg table.

    `legs`: LEG (n,), written · `table`: ENTRY (m,) · `waiting`: int32 (sockets,), row that holds the socket's latch slot or -1 ·
    `datagrams`: uint8 (≥ count, most bytes) · `lengths`: int32 (≥ count,) · `names`: uint8 (≥ count, 28) ·
    `now_ns`: the engine's clock, `epoch_ns`: wall clock · `counters`: int64 (len(COUNTERS),), added to · `notes`: NOTE (most,)
    from `note_count[0]` on. Any bytes are taken without
    error.
    """
    legs, table, notes, note_count, counters = (
        borrowed(legs),
        borrowed(table),
        borrowed(notes),
        borrowed(note_count),
        borrowed(counters),
    )
    datagrams, names, coded = borrowed(datagrams), borrowed(names), borrowed(coded)
    found = np.empty(count, np.int64)
    for index in range(count):
        found[index] = find_sender(legs, table, socket, names[index])
    for index in range(count):
        ahead = index + FETCH_AHEAD
        if ahead < count and found[ahead] >= 0 and table[found[ahead]].row >= 0:
            fetch_ring(legs[table[found[ahead]].row], datagrams[ahead])
        packet = datagrams[index]
        length = np.int64(lengths[index])
        counters[RECEIVED] += 1
        counters[BYTES] += length
        at = found[index]
        if is_rtcp(packet, length):
            accept_report(legs, table, at, packet, length, now_ns, epoch_ns, counters)
            continue
        first, end = payload_bounds(packet, length)
        if end == 0:
            counters[MALFORMED] += 1
            continue
        if at >= 0 and table[at].row == RESTING:
            if table[at].expires_ns > now_ns:
                counters[RESTED] += 1
                continue
            at = -1
        row = np.int64(table[at].row) if at >= 0 else np.int64(waiting[socket])
        if row < 0:
            counters[STRANGER] += 1
            continue
        name = names[index]
        receive_packet(
            legs[row], row, packet, first, end, table, at, socket, index, name, now_ns, counters, notes, note_count, coded
        )


def empty_notes() -> tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.uint8]]:
    """Return a note array, its count, and the payloads that notes keep."""
    return np.zeros(MAX_NOTES, NOTE), np.zeros(1, np.int64), np.zeros((MAX_NOTES, LONGEST_CODED), np.uint8)
