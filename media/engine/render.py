# SPDX-License-Identifier: GPL-2.0-or-later
"""One tick's outgoing packets from the leg table, for every leg at once.

    choose_due    which legs send       (what they said is in the frames: ``playout.py``)
    mix_rooms     frames → packets      those who are in a room (``mix_rooms.py``)
    fill_others   stored audio, echo, silence → packets
    finish        RTP headers

Audio already stored in the wire codec is only copied: no decoding, no mixing, no encoding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from media.dsp.coding import LINEAR_16, NATIVE
from media.dsp.kernel import borrowed, bytes_at, inline_kernel, kernel, steady_kernel
from media.engine.leg_table import (
    HEADER_BYTES,
    SOURCE_CODED,
    SOURCE_ECHO,
    SOURCE_SILENCE,
    SOURCE_STORED,
)


@inline_kernel
def put_samples(packet: Any, samples: Any, count: Any, coding: Any, encode: Any) -> None:
    """Encode samples, clipped to 16 bits, as a packet's payload."""
    if coding in (LINEAR_16, NATIVE):
        first = 8 if coding == LINEAR_16 else 0
        for i in range(count):
            clipped = max(min(np.int32(samples[i]), np.int32(32767)), np.int32(-32768)) & 0xFFFF
            packet[HEADER_BYTES + 2 * i] = (clipped >> first) & 255
            packet[HEADER_BYTES + 2 * i + 1] = (clipped >> (8 - first)) & 255
    else:
        table = encode[coding]
        for i in range(count):
            value = max(min(samples[i], 32767), -32768)
            packet[HEADER_BYTES + i] = table[value & 0xFFFF]


@inline_kernel
def put_silence(leg: Any, packet: Any) -> None:
    for i in range(leg.frame_bytes):
        packet[HEADER_BYTES + i] = leg.silence_byte


@inline_kernel
def advance_stored(leg: Any, packet: Any) -> Any:
    """Copy the next frame of stored audio; return whether it was the last."""
    source = bytes_at(leg.stored_address, leg.stored_length)
    count = np.int64(leg.frame_bytes)
    at = leg.stored_position
    straight = min(count, leg.stored_length - at)
    for i in range(straight):
        packet[HEADER_BYTES + i] = source[at + i]
    at += straight
    done = straight
    while done < count and leg.loops and leg.stored_length > 0:
        part = min(count - done, leg.stored_length)
        for i in range(part):
            packet[HEADER_BYTES + done + i] = source[i]
        done += part
        at = part
    for i in range(done, count):
        packet[HEADER_BYTES + i] = leg.silence_byte
    leg.stored_position = at
    return not leg.loops and at >= leg.stored_length


@inline_kernel
def advance_coded(leg: Any, packet: Any) -> Any:
    """Copy the next frames of a precoded file when their time has come; return whether they were the last."""
    leg.coded_credit += leg.frame_ticks
    ticks = leg.coded_bytes // leg.coded_frame_bytes * leg.coded_frame_ticks
    if leg.coded_credit < ticks:
        leg.due = 0
        return False
    leg.coded_credit -= ticks
    if leg.stored_position >= leg.stored_length and leg.loops:
        leg.stored_position = 0
    source = bytes_at(leg.stored_address, leg.stored_length)
    count = min(np.int64(leg.coded_bytes), leg.stored_length - leg.stored_position)
    for i in range(count):
        packet[HEADER_BYTES + i] = source[leg.stored_position + i]
    leg.stored_position += count
    leg.send_bytes = count
    leg.send_ticks = count // leg.coded_frame_bytes * leg.coded_frame_ticks
    if count == 0:
        leg.due = 0
    return not leg.loops and leg.stored_position >= leg.stored_length


@inline_kernel
def put_echo(leg: Any, packet: Any, frame: Any, encode: Any) -> None:
    """Encode what the leg said itself; silence when it said nothing or may not be heard."""
    if leg.heard and leg.speaks and leg.hears:
        put_samples(packet, frame, np.int64(leg.frame_samples), leg.coding, encode)
    else:
        put_silence(leg, packet)


@steady_kernel
def fill_others(legs: Any, encode: Any, ended: Any, ended_count: Any) -> None:
    """Give every due leg that is not listening to a room its payload, and move playlists on.

    `legs`: LegArrays · `ended`: int32 (n,), rows whose current item has just given its last frame, from `ended_count[0]` on.
    """
    legs, encode, ended, ended_count = borrowed(legs), borrowed(encode), borrowed(ended), borrowed(ended_count)
    rows, frames, packets = legs.rows, legs.frames, legs.packets
    for row in range(rows.shape[0]):
        leg = rows[row]
        if not leg.running:
            continue
        over = False
        if leg.source == SOURCE_STORED:
            over = advance_stored(leg, packets[row])
        elif leg.source == SOURCE_CODED:
            over = advance_coded(leg, packets[row])
        elif leg.due:
            if leg.source == SOURCE_ECHO:
                put_echo(leg, packets[row], frames[row], encode)
            elif leg.source == SOURCE_SILENCE:
                put_silence(leg, packets[row])
        if leg.remaining_samples >= 0:
            leg.remaining_samples = max(leg.remaining_samples - leg.frame_samples, 0)
            over = over or leg.remaining_samples == 0
        if over:
            ended[ended_count[0]] = row
            ended_count[0] += 1


@kernel
def choose_due(legs: Any) -> None:
    """Mark the legs that send in this tick; the packet clock of the others goes on, so that a pause is a gap in time."""
    for row in range(legs.shape[0]):
        leg = legs[row]
        leg.due = leg.running and leg.sending and leg.name_bytes > 0 and leg.allowance != 0
        if leg.connected and not leg.due:
            leg.ts_out += np.uint32(leg.frame_ticks)
            leg.marker = 1


@kernel
def nobody_due(legs: Any) -> None:
    """Take the marks of a tick's packets away, before a second round of packets."""
    for row in range(legs.shape[0]):
        legs[row].due = 0


@kernel
def finish(legs: Any, packets: Any) -> None:
    """Write the RTP header of every due leg (RFC 3550 §5.1) and count the packet as sent.

    byte   0      1                  2 3             4 5 6 7      8 9 10 11
           0x80   M payload type     sequence        timestamp    SSRC
    row    V=2    `marker`,          `sequence_out`  `ts_out`     `ssrc_out`
                  `payload_type_send`
    then   –      marker = 0         + 1             + send_ticks –
    """
    legs, packets = borrowed(legs), borrowed(packets)
    for row in range(legs.shape[0]):
        leg = legs[row]
        if leg.allowance >= 0:
            leg.due = leg.due and leg.allowance > 0
            leg.allowance -= leg.due
        if not leg.due:
            continue
        packet = packets[row]
        packet[0] = 0x80
        packet[1] = leg.payload_type_send | (leg.marker << 7)
        packet[2] = leg.sequence_out >> 8
        packet[3] = leg.sequence_out & 255
        for i in range(4):
            shift = 24 - 8 * i
            packet[4 + i] = (leg.ts_out >> shift) & 255
            packet[8 + i] = (leg.ssrc_out >> shift) & 255
        leg.packet_bytes = HEADER_BYTES + leg.send_bytes
        leg.marker = 0
        leg.sequence_out += np.uint16(1)
        leg.ts_out += np.uint32(leg.send_ticks)
        leg.packets_sent += 1
        leg.bytes_sent += leg.send_bytes
