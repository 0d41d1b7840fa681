# SPDX-License-Identifier: GPL-2.0-or-later
"""A batch of datagrams into the leg table: who sent it, is it RTP, where does its audio belong.

    datagram ─ RTP? ─ known address? ─ SRTP? ─ payload type? ─┬─ audio → decoded into the leg's playout ring at its timestamp
        │          │                     │                    └─ digit → note
        └ dropped  └ unknown: candidate  └ opened in its place, or dropped (``secure.py``)
                     for the port's latch slot, or stranger

What needs a decision (candidates, digits, a source just locked, RTCP, library codecs) leaves the kernel as a note (``notes.py``). The
way into the ring is in ``arrival.py``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.dsp.coding import NATIVE
from media.dsp.kernel import borrowed, fetch_ahead, inline_kernel, kernel
from media.engine.addresses import RESTING, find, name_key
from media.engine.arrival import accept_audio, accept_pause, track_sequence
from media.engine.counters import (
    BYTES,
    CANDIDATE,
    DUPLICATE,
    MALFORMED,
    NOT_RECEIVING,
    RECEIVED,
    REPORTS,
    RESTED,
    RTCP,
    STRANGER,
    WRONG_TYPE,
)
from media.engine.leg_table import LEG, RELAY_PURE
from media.engine.notes import (
    NOTE_CANDIDATE,
    NOTE_LOCKED,
    NOTE_REPORTED,
    NOTE_RETURNED,
    Packet,
    big_endian,
    note_alive,
    note_coded,
    note_digit,
    note_format,
    take_note,
)
from media.engine.relay import keep_payload
from media.engine.secure import open_packet
from media.rtp.rtcp import read_compound

FETCH_AHEAD = 4
"""So many datagrams before its turn a leg's ring is fetched: about as long as memory takes."""

_LEG_BYTES = LEG.itemsize
RECEIVING_BYTES = 192
"""The first part of a row, which holds what receiving needs."""

COMFORT_NOISE = 13
"""Its static payload type (RFC 3389 §4), whether negotiated or not: the sender pauses, which is neither loss nor silence of the line."""

NO_DIGITS = 255


class Datagrams(NamedTuple):
    """What came to one socket, by the same index in each: `data` uint8 (≥ count, most bytes), `lengths` int32, `names` uint8 (≥ count, 28)."""

    data: NDArray[np.uint8]
    lengths: NDArray[np.int32]
    names: NDArray[np.uint8]


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
def is_from_peer(into: Any, leg: Any, packet: Any, sequence: Any, ssrc: Any) -> Any:
    """Return whether a packet's address is the leg's; leave a note when that has to be decided or has just been."""
    if packet.entry >= 0 and leg.locked:
        if into.table[packet.entry].expires_ns == 0:
            return True
        take_note(into, NOTE_RETURNED, packet)  # signalled address, leg latched elsewhere
        return False
    at = take_note(into, NOTE_CANDIDATE if packet.entry < 0 else NOTE_LOCKED, packet)
    if at < 0:
        return False
    if packet.entry >= 0:
        leg.locked = 1
        return True
    into.counters[CANDIDATE] += 1
    into.notes[at].sequence = sequence
    into.notes[at].ssrc = ssrc
    for i in range(packet.name.shape[0]):
        into.notes[at].name[i] = packet.name[i]
    return False


@inline_kernel
def may_change_to(leg: Any, kind: Any) -> Any:
    """Return whether a payload type is another one of those that were agreed on."""
    types = leg.also_low if kind < 64 else leg.also_high
    return (types >> np.uint64(kind & 63)) & np.uint64(1) != 0


@inline_kernel
def is_keepalive(packet: Any, length: Any) -> Any:
    """Tell what keeps a NAT's door open without being RTP or RTCP: nothing at all, or STUN (RFC 5389 §6)."""
    cookie = (
        length >= 20 and packet[0] < 64 and packet[4] == 0x21 and packet[5] == 0x12 and packet[6] == 0xA4 and packet[7] == 0x42
    )
    return length == 0 or cookie


@inline_kernel
def receive_packet(into: Any, packet: Any, now_ns: Any) -> None:
    """Take one RTP packet for the leg of its row."""
    leg = into.legs[packet.row]
    counters, data, first, end = into.counters, packet.data, packet.first, packet.end
    kind = data[1] & 127
    is_digit = kind == leg.payload_type_digits and leg.payload_type_digits != NO_DIGITS
    is_pause = kind == COMFORT_NOISE and kind != leg.payload_type_receive
    is_other = not is_digit and not is_pause and kind != leg.payload_type_receive
    if is_other and not may_change_to(leg, kind):
        counters[WRONG_TYPE] += 1
        note_alive(into, packet, 0)
        return
    sequence = np.uint16(big_endian(data, 2, 2))
    ts = np.uint32(big_endian(data, 4, 4))
    ssrc = np.uint32(big_endian(data, 8, 4))
    if not is_from_peer(into, leg, packet, sequence, ssrc):
        return
    if is_other:
        counters[WRONG_TYPE] += 1
        note_format(into, packet, kind)  # this packet is not heard
        return
    leg.arrived_ns = now_ns
    leg.timed_out = 0
    leg.allowance = -1
    if not track_sequence(leg, sequence, ts, ssrc, now_ns):
        leg.packets_duplicate += 1
        counters[DUPLICATE] += 1
        return
    leg.packets_received += 1
    leg.bytes_received += end - first
    if is_digit:
        note_digit(into, packet, ts, ssrc)
    elif not leg.receiving:
        counters[NOT_RECEIVING] += 1
    elif is_pause:
        accept_pause(leg, np.int64(ts), counters)
    else:
        if leg.relays:
            keep_payload(leg, data, first, end, sequence, ts, counters)
        if leg.coding == NATIVE:
            note_coded(into, leg, packet, sequence, ts)
        elif leg.relays != RELAY_PURE:
            accept_audio(leg, data, first, end, np.int64(ts), counters)


@inline_kernel
def is_rtcp(packet: Any, length: Any) -> Any:
    """Tell RTCP from RTP that comes to the same port (RFC 5761 §4)."""
    return length >= 8 and packet[0] >> 6 == 2 and 192 <= packet[1] <= 223


@inline_kernel
def opened_length(into: Any, socket: Any, entry: Any, data: Any, length: Any, is_report: Any, now_ns: Any) -> Any:
    """Return how long a datagram is once it is open: as it is without SRTP, -1 when nobody may hear of it.

    Whose keys it is tried with is said by its address; one from an unknown address is tried with those of who holds the port's latch slot.
    """
    row = np.int64(into.table[entry].row) if entry >= 0 else np.int64(RESTING)
    if entry >= 0 and row == RESTING and into.table[entry].expires_ns > now_ns:
        return length
    if row < 0:
        row = np.int64(into.waiting[socket])
    if row < 0 or into.legs[row].secure == 0:
        return length
    return open_packet(into, np.int64(into.legs[row].secure), data, length, is_report)


@inline_kernel
def accept_report(into: Any, packet: Any, length: Any, now_ns: Any, epoch_ns: Any) -> None:
    """Take a compound for the leg of its address's entry; from any other address it is only counted.

    Whose report comes from the signalled address says whose packets are the peer's, if there were none from that address itself.
    """
    table, entry, data = into.table, packet.entry, packet.data
    into.counters[RTCP] += 1
    if entry < 0 or table[entry].row < 0:
        return
    leg = into.legs[table[entry].row]
    leg.allowance = -1
    if table[entry].expires_ns != 0:  # latched elsewhere
        at = take_note(into, NOTE_REPORTED, packet)
        if at >= 0:
            into.notes[at].row = table[entry].row
            into.notes[at].ssrc = big_endian(data, 4, 4)
        return
    if leg.locked:
        into.counters[REPORTS] += read_compound(leg, data, length, now_ns, epoch_ns)
    else:
        leg.ssrc_reported = big_endian(data, 4, 4)


@kernel
def receive_reports(into: Any, socket: Any, datagrams: Any, count: Any, now_ns: Any, epoch_ns: Any) -> None:
    """Take datagrams that came to the RTCP port beside an RTP socket; a peer's RTCP comes from one port above its RTP.

    Arguments as ``receive_batch``.
    """
    into, datagrams = borrowed(into), borrowed(datagrams)
    for index in range(count):
        data, length = datagrams.data[index], np.int64(datagrams.lengths[index])
        if not is_rtcp(data, length):
            into.counters[MALFORMED] += 1
            continue
        high, low, tail = name_key(datagrams.names[index], socket)
        entry = find(into.table, high, low, tail - np.uint64(1))
        length = opened_length(into, socket, entry, data, length, True, now_ns)
        if length < 0:
            continue
        row = np.int64(into.waiting[socket])
        packet = Packet(data, 0, 0, row, entry, socket, index, datagrams.names[index])
        accept_report(into, packet, length, now_ns, epoch_ns)
        if entry < 0 and row >= 0:
            note_alive(into, packet, 1)


@inline_kernel
def find_sender(legs: Any, table: Any, socket: Any, name: Any) -> Any:
    """Return the entry of a datagram's address, -1 for an unknown one; the state of its leg is on its way to the cache."""
    high, low, tail = name_key(name, socket)
    entry = find(table, high, low, tail)
    if entry >= 0 and table[entry].row >= 0:
        fetch_ahead(legs.ctypes.data + table[entry].row * _LEG_BYTES, RECEIVING_BYTES)
    return entry


@inline_kernel
def fetch_ring(leg: Any, packet: Any) -> None:
    """Have the part of a leg's ring fetched where a packet's audio will go."""
    if leg.listened and leg.ring_address != 0:
        at = np.int64(big_endian(packet, 4, 4)) & (np.int64(leg.ring_samples) - 1)
        fetch_ahead(leg.ring_address + np.uint64(2 * at), 2 * leg.frame_samples)


@kernel
def receive_batch(into: Any, socket: Any, datagrams: Any, count: Any, now_ns: Any, epoch_ns: Any) -> None:
    """Take `count` datagrams that came to one socket into the leg table. Any bytes are taken without error.

    `into`: Receiver · `datagrams`: Datagrams, read · `now_ns`: the engine's clock, `epoch_ns`: wall clock.
    """
    into, datagrams = borrowed(into), borrowed(datagrams)
    legs, table, counters = into.legs, into.table, into.counters
    entries = np.empty(count, np.int64)
    for index in range(count):
        entries[index] = find_sender(legs, table, socket, datagrams.names[index])
    for index in range(count):
        ahead = index + FETCH_AHEAD
        if ahead < count and entries[ahead] >= 0 and table[entries[ahead]].row >= 0:
            fetch_ring(legs[table[entries[ahead]].row], datagrams.data[ahead])
        data, length = datagrams.data[index], np.int64(datagrams.lengths[index])
        counters[RECEIVED] += 1
        counters[BYTES] += length
        entry = entries[index]
        report = is_rtcp(data, length)
        if report or (length > 0 and data[0] >> 6 == 2):
            length = opened_length(into, socket, entry, data, length, report, now_ns)
            if length < 0:
                continue
        first, end = payload_bounds(data, length)
        if report or end == 0:
            row = np.int64(into.waiting[socket])
            packet = Packet(data, first, end, row, entry, socket, index, datagrams.names[index])
            if report:
                accept_report(into, packet, length, now_ns, epoch_ns)
            else:
                counters[MALFORMED] += 1
            if entry < 0 and row >= 0 and (report or is_keepalive(data, length)):
                note_alive(into, packet, 0)
            continue
        if entry >= 0 and table[entry].row == RESTING:
            if table[entry].expires_ns > now_ns:
                counters[RESTED] += 1
                continue
            entry = -1
        row = np.int64(table[entry].row) if entry >= 0 else np.int64(into.waiting[socket])
        if row < 0:
            counters[STRANGER] += 1
            continue
        receive_packet(into, Packet(data, first, end, row, entry, socket, index, datagrams.names[index]), now_ns)
