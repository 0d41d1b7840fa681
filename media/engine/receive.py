# SPDX-License-Identifier: GPL-2.0-or-later
"""A batch of datagrams into the leg table: who sent it, is it RTP, where does its audio belong.

    datagram ─ RTP? ─ known address? ─ payload type? ─┬─ audio → decoded into the leg's playout ring at its timestamp
        │          │                                  └─ digit → note
        └ dropped  └ unknown: candidate for the port's latch slot, or stranger

What needs a decision (candidates, digits, a source just locked, RTCP) leaves the kernel as a note, read by Python after the
batch.
The playout ring is addressed by timestamp: packets of any length may come in any order, twice or never.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.codecs.codec import LAW_A, LAW_MU, NATIVE
from media.dsp.kernel import borrowed, inline_kernel, kernel, samples_at
from media.engine.addresses import NAME_BYTES, RESTING, find, name_key
from media.rtp.rtcp import read_compound

NOTE_CANDIDATE = 1
NOTE_DIGIT = 2
NOTE_LOCKED = 3
NOTE_RTCP = 4
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

COUNTERS = (
    "packets_received",
    "packets_dropped_malformed",
    "packets_dropped_stranger",
    "packets_dropped_resting",
    "packets_dropped_payload_type",
    "packets_dropped_not_receiving",
    "packets_late",
    "packets_duplicate",
    "rtcp_received",
    "notes_lost",
    "bytes_received",
    "packets_candidate",
    "rtcp_understood",
)
(
    RECEIVED,
    MALFORMED,
    STRANGER,
    RESTED,
    WRONG_TYPE,
    NOT_RECEIVING,
    LATE,
    DUPLICATE,
    RTCP,
    NOTES_LOST,
    BYTES,
    CANDIDATE,
    REPORTS,
) = range(len(COUNTERS))

MARGIN_WINDOW = 128
"""Packets (about 2.5 s) over which the smallest margin decides whether the playout buffer may shrink."""

RESYNC_S = 1
"""A timestamp that jumps by more than this restarts the playout clock."""

COMFORT_NOISE = 13
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
def track_sequence(leg: Any, sequence: Any, ts: Any, ssrc: Any, now_ns: Any) -> Any:
    """Update a leg's reception statistics (RFC 3550 §A.1, §A.8); False for the duplicate of the newest packet.

    A change of SSRC from the locked address starts a new stream (RFC 3550 §8.2).
    """
    clock = (now_ns // 1000) * leg.clock_hz // 1000000
    transit = np.int32(np.uint32(clock & 0xFFFFFFFF) - np.uint32(ts))
    if not leg.started or leg.ssrc_in != ssrc:
        leg.started = 1
        leg.ssrc_in = ssrc
        leg.sequence_max = sequence
        leg.sequence_base = sequence
        leg.sequence_cycles = 0
        leg.transit = transit
        leg.primed = 0
        leg.packets_received = 0
        return True
    step = np.uint16(sequence - leg.sequence_max)
    if step == 0:
        return False
    if step < 32768:
        if sequence < leg.sequence_max:
            leg.sequence_cycles += 1
        leg.sequence_max = sequence
    change = np.int64(transit) - np.int64(leg.transit)
    leg.transit = transit
    if change < 0:
        change = -change
    if change < leg.clock_hz * RESYNC_S:
        leg.jitter_q4 += np.int32(change - ((np.int64(leg.jitter_q4) + 8) >> 4))
    return True


@inline_kernel
def adapt_playout(leg: Any, ts: Any, count: Any, counters: Any) -> Any:
    """Return how many samples before its playing a packet came, after adapting the playout clock; negative: too late.

    The first packet of a stream sets the clock one delay back. A late one moves the clock back by what was missing, up to the
    bound.
    When no packet of a window was needed as early as it came, the clock moves on by the surplus.
    """
    margin = np.int64(np.int32(np.uint32(ts) - leg.play_ts))
    limit = np.int64(leg.clock_hz) * RESYNC_S
    if not leg.primed or margin > limit or margin < -limit or margin + count > leg.ring_samples:
        leg.resyncs += leg.primed
        leg.primed = 1
        leg.play_ts = np.uint32(ts) - np.uint32(leg.delay_samples)
        leg.margin_count = 0
        leg.late_in_row = 0
        return np.int64(leg.delay_samples)
    if margin > leg.max_delay_samples:  # the hard bound
        leg.play_ts += np.uint32(margin - leg.max_delay_samples)
        margin = np.int64(leg.max_delay_samples)
    if leg.fixed:
        leg.packets_late += margin < 0
        counters[LATE] += margin < 0
        return margin
    if margin < 0:
        leg.packets_late += 1
        counters[LATE] += 1
        leg.late_in_row += 1
        step = -margin
        if leg.late_in_row >= 3:
            step += np.int64(leg.frame_samples)
        if leg.delay_samples + step <= leg.max_delay_samples or leg.late_in_row >= 3:
            leg.delay_samples = min(leg.delay_samples + np.int32(step), leg.max_delay_samples)
            leg.play_ts -= np.uint32(step)
            margin += step
        leg.margin_count = 0
        return margin
    leg.late_in_row = 0
    if leg.margin_count == 0 or margin < leg.margin_min:
        leg.margin_min = margin
    leg.margin_count += 1
    if leg.margin_count >= MARGIN_WINDOW:
        steer_playout(leg)
        leg.margin_count = 0
    return margin


@inline_kernel
def steer_playout(leg: Any) -> None:
    """At the end of a window: bring the smallest margin back to between a quarter and one and a half frames.

    A small difference (the two clocks are never equal) is worked off a sample a frame; a large one, left over from a burst of
    jitter,
    at once.
    """
    frame = np.int64(leg.frame_samples)
    margin = np.int64(leg.margin_min)
    if margin > 4 * frame:
        leg.play_ts += np.uint32(margin - frame)
        leg.adjust_samples = 0
        leg.delay_samples = frame
    elif margin > frame + frame // 2:
        leg.adjust_samples = min(margin - frame, MARGIN_WINDOW // 2)
        leg.delay_samples = max(frame, np.int64(leg.delay_samples) - np.int64(leg.adjust_samples))
    elif margin < frame // 4:
        leg.adjust_samples = -(frame // 4)
    else:
        leg.adjust_samples = 0


@inline_kernel
def put_audio(leg: Any, packet: Any, first: Any, end: Any, ts: Any) -> None:
    """Decode a payload into the leg's ring from timestamp `ts` on. Samples before the playout clock are left out by the
    caller."""
    size = np.int64(leg.ring_samples)
    ring = samples_at(leg.ring_address, size)
    at = np.int64(ts) & (size - 1)
    count = (end - first) // np.int64(leg.sample_bytes)
    straight: Any = min(count, size - at)
    middle = first + straight * np.int64(leg.sample_bytes)
    decode_run(packet[first:middle], ring[at : at + straight], leg.law)
    if straight < count:
        decode_run(packet[middle:end], ring[: count - straight], leg.law)


@inline_kernel
def decode_run(payload: Any, samples: Any, law: Any) -> None:
    """Decode a payload into as many samples. `payload`: uint8, one or two bytes a sample · `samples`: int16, written."""
    if law == LAW_MU:  # as media.codecs.g711, in 32 bits and without look-ups: the compiler makes vector instructions of it
        for i in range(samples.shape[0]):
            code = np.int32(payload[i]) ^ np.int32(0xFF)
            step = ((code & np.int32(15)) << np.int32(3)) + np.int32(0x84)
            magnitude = np.int32((step << ((code >> np.int32(4)) & np.int32(7))) - np.int32(0x84))
            samples[i] = np.int16(-magnitude if code & np.int32(0x80) else magnitude)
    elif law == LAW_A:
        for i in range(samples.shape[0]):
            code = np.int32(payload[i]) ^ np.int32(0x55)
            exponent = (code >> np.int32(4)) & np.int32(7)
            step = ((code & np.int32(15)) << np.int32(4)) + np.int32(8)
            raised = np.int32((step + np.int32(0x100)) << max(exponent - np.int32(1), np.int32(0)))
            magnitude = raised if exponent else np.int32(step)
            samples[i] = np.int16(magnitude if code & np.int32(0x80) else -magnitude)
    else:  # linear, network byte order
        for i in range(samples.shape[0]):
            value = np.int16((np.uint16(payload[2 * i]) << np.uint16(8)) | np.uint16(payload[2 * i + 1]))
            samples[i] = max(value, np.int16(-32767))


@inline_kernel
def accept_audio(leg: Any, packet: Any, first: Any, end: Any, ts: Any, counters: Any) -> None:
    """Put an audio payload where it will be played, when anybody listens and it came in time."""
    count = (end - first) // np.int64(leg.sample_bytes)
    if not leg.listened or leg.ring_address == 0 or count > leg.ring_samples // 2:
        leg.primed = 0
        return
    margin = adapt_playout(leg, ts, count, counters)
    skipped = -margin if margin < 0 else 0
    if skipped < count:
        put_audio(leg, packet, first + skipped * np.int64(leg.sample_bytes), end, ts + skipped)


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


@kernel
def put_decoded(legs: Any, row: Any, samples: Any, ts: Any, counters: Any) -> None:
    """Put a library codec's decoded samples into a leg's ring. `ts`: their timestamp, in samples."""
    leg = legs[row]
    count = np.int64(samples.shape[0])
    if not leg.listened or leg.ring_address == 0 or count > leg.ring_samples // 2:
        return
    margin = adapt_playout(leg, ts, count, counters)
    size = np.int64(leg.ring_samples)
    ring = samples_at(leg.ring_address, size)
    for i in range(max(-margin, 0), count):
        ring[(np.int64(ts) + i) & (size - 1)] = max(samples[i], np.int16(-32767))


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
    if not is_digit and kind != leg.payload_type_receive:
        if kind != COMFORT_NOISE:
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
    elif leg.law == NATIVE:
        keep_coded(leg, row, packet, first, end, sequence, ts, socket, index, counters, notes, note_count, coded)
    else:
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
    for index in range(count):
        packet = datagrams[index]
        length = np.int64(lengths[index])
        counters[RECEIVED] += 1
        counters[BYTES] += length
        if is_rtcp(packet, length):
            high, low, tail = name_key(names[index], socket)
            accept_report(legs, table, find(table, high, low, tail), packet, length, now_ns, epoch_ns, counters)
            continue
        first, end = payload_bounds(packet, length)
        if end == 0:
            counters[MALFORMED] += 1
            continue
        high, low, tail = name_key(names[index], socket)
        found = find(table, high, low, tail)
        if found >= 0 and table[found].row == RESTING:
            if table[found].expires_ns > now_ns:
                counters[RESTED] += 1
                continue
            found = -1
        row = np.int64(table[found].row) if found >= 0 else np.int64(waiting[socket])
        if row < 0:
            counters[STRANGER] += 1
            continue
        name = names[index]
        receive_packet(
            legs[row], row, packet, first, end, table, found, socket, index, name, now_ns, counters, notes, note_count, coded
        )


def empty_notes() -> tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.uint8]]:
    """Return a note array, its count, and the payloads that notes keep."""
    return np.zeros(MAX_NOTES, NOTE), np.zeros(1, np.int64), np.zeros((MAX_NOTES, LONGEST_CODED), np.uint8)
