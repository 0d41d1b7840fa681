# SPDX-License-Identifier: GPL-2.0-or-later
"""One tick's outgoing packets from the leg table, for every leg at once.

    choose_due    which legs send       (what they said is in the frames: ``playout.py``)
    mix_rooms     frames → packets      every member of a room hears the others, and who is teed into it
    fill_others   stored audio, echo, silence → packets
    finish        RTP headers

Audio already stored in the wire codec is only copied: no decoding, no mixing, no encoding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.dsp.coding import LINEAR_16, NATIVE
from media.dsp.kernel import borrowed, bytes_at, inline_kernel, kernel
from media.dsp.resample import UP_HISTORY, resample_frame
from media.engine.leg_table import (
    HEADER_BYTES,
    SOURCE_CODED,
    SOURCE_ECHO,
    SOURCE_ROOM,
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


class Announced(NamedTuple):
    """What is announced in this tick. `rows`: int32 (rooms,), row of each room in `frames` or -1 · `frames`: int32 (a, most samples),
    at the rate of the room.
    """

    rows: NDArray[np.int32]
    frames: NDArray[np.int32]


class Scratch(NamedTuple):
    """Memory for mixing, of no meaning between two rooms.

    `total`, `own`: int32 (most samples,), the room's sum and what one member hears · `wide`: int16 (largest room, most samples), every
    member at the room's rate · `work`: float32 (HISTORY + most samples,), for the resampler.
    """

    total: NDArray[np.int32]
    own: NDArray[np.int32]
    wide: NDArray[np.int16]
    work: NDArray[np.float32]


@inline_kernel
def mix_even_room(  # noqa: C901 - one kernel: its loops share what is in registers
    legs: Any, members: Any, feeders: Any, total: Any, own: Any, encode: Any
) -> None:
    """Mix a room whose members and feeders all have one rate. `total` holds the room's announcement, or silence."""
    rows, frames, packets = legs.rows, legs.frames, legs.packets
    talking = 0
    quiet = True
    for i in range(total.shape[0]):
        quiet = quiet and total[i] == 0
    for row in members:
        leg = rows[row]
        if leg.speaks and leg.heard:
            talking += 1
            for i in range(leg.frame_samples):
                total[i] += frames[row, i]
    for k in range(feeders.shape[0]):
        leg = rows[feeders[k, 0]]
        if leg.feeds and leg.heard:
            talking += 1
            for i in range(leg.frame_samples):
                total[i] += frames[feeders[k, 0], i]
    copied_from = np.full(4, -1, np.int64)
    for row in members:
        leg = rows[row]
        if not leg.due or leg.source != SOURCE_ROOM:
            continue
        speaking = leg.speaks and leg.heard
        if not leg.hears or (quiet and talking - speaking == 0):
            put_silence(leg, packets[row])
        elif speaking:
            for i in range(leg.frame_samples):
                own[i] = total[i] - frames[row, i]
            put_samples(packets[row], own, leg.frame_samples, leg.coding, encode)
        elif copied_from[leg.coding] >= 0:
            model = packets[copied_from[leg.coding]]
            for i in range(HEADER_BYTES, HEADER_BYTES + leg.frame_bytes):
                packets[row, i] = model[i]
        else:
            put_samples(packets[row], total, leg.frame_samples, leg.coding, encode)
            copied_from[leg.coding] = row


@inline_kernel
def mix_uneven_room(  # noqa: C901 - as above
    legs: Any, members: Any, feeders: Any, feed_history: Any, room_samples: Any, scratch: Any, encode: Any, sinc: Any
) -> None:
    """Mix a room at its fastest member's rate: every member is brought to it and hears the sum brought back to his own.

    `scratch.total` holds the room's announcement, or silence.
    """
    rows, frames, packets, history = legs.rows, legs.frames, legs.packets, legs.history
    total, own, wide, work = scratch.total, scratch.own, scratch.wide, scratch.work
    narrow = np.zeros(room_samples, np.int16)
    for k in range(members.shape[0]):
        row = members[k]
        leg = rows[row]
        count = np.int64(leg.frame_samples)
        if not (leg.speaks and leg.heard):
            history[row, :UP_HISTORY] = 0
            continue
        if count == room_samples:
            wide[k, :room_samples] = frames[row, :count]
        else:
            resample_frame(frames[row, :count], history[row, :UP_HISTORY], wide[k, :room_samples], work, sinc)
        for i in range(room_samples):
            total[i] += wide[k, i]
    for k in range(feeders.shape[0]):
        row, history_row = feeders[k, 0], feeders[k, 1]
        leg = rows[row]
        count = np.int64(leg.frame_samples)
        if not (leg.feeds and leg.heard):
            feed_history[history_row] = 0
            continue
        if count == room_samples:
            narrow[:] = frames[row, :count]
        else:
            resample_frame(frames[row, :count], feed_history[history_row], narrow, work, sinc)
        for i in range(room_samples):
            total[i] += narrow[i]
    for k in range(members.shape[0]):
        row = members[k]
        leg = rows[row]
        count = np.int64(leg.frame_samples)
        if not leg.due or leg.source != SOURCE_ROOM:
            continue
        speaking = leg.speaks and leg.heard and leg.hears
        for i in range(room_samples):
            value = total[i] - (wide[k, i] if speaking else 0)
            own[i] = max(min(value, 32767), -32768) if leg.hears else 0
        if count == room_samples:
            put_samples(packets[row], own, count, leg.coding, encode)
        else:
            resample_frame(own[:room_samples], history[row, UP_HISTORY:], narrow[:count], work, sinc)
            put_samples(packets[row], narrow, count, leg.coding, encode)


@inline_kernel
def fewest_and_most_samples(rows: Any, members: Any, feeders: Any) -> Any:
    """Return the least and the most samples a frame of those who are in a room or feed it."""
    most, least = np.int64(0), np.int64(1 << 30)
    for row in members:
        most = max(most, np.int64(rows[row].frame_samples))
        least = min(least, np.int64(rows[row].frame_samples))
    for k in range(feeders.shape[0]):
        samples = np.int64(rows[feeders[k, 0]].frame_samples)
        if samples > 0:
            most, least = max(most, samples), min(least, samples)
    return least, most


@kernel
def mix_rooms(legs: Any, rooms: Any, feed_history: Any, announced: Any, spans: Any, scratch: Any, encode: Any, sinc: Any) -> None:
    """Give each member of a room the sum of the others, of those in other processes and of the room's announcement.

    `legs`: LegArrays, whose `packets` get the payloads of members that are due and whose source is the room, and whose `history` is
    written · `rooms`: RoomArrays · `feed_history`: ``Rooms.feed_history``, written · `announced`: Announced · `spans`: SpanArrays, of
    which `partials` and `samples` are written · `scratch`: Scratch.
    """
    legs, rooms, feed_history, announced = borrowed(legs), borrowed(rooms), borrowed(feed_history), borrowed(announced)
    spans, scratch, encode, sinc = borrowed(spans), borrowed(scratch), borrowed(encode), borrowed(sinc)
    total = scratch.total
    for room in range(rooms.starts.shape[0] - 1):
        members = rooms.members[rooms.starts[room] : rooms.starts[room + 1]]
        feeders = rooms.feeders[rooms.feed_starts[room] : rooms.feed_starts[room + 1]]
        least, most = fewest_and_most_samples(legs.rows, members, feeders)
        if announced.rows[room] >= 0:
            total[:] = announced.frames[announced.rows[room], : total.shape[0]]
        else:
            total[:] = 0
        slot = spans.spanned[room]
        if slot >= 0:
            for i in range(most):
                total[i] += spans.remote[slot, i]
                spans.partials[slot, i] = -total[i]
        if least == most:
            mix_even_room(legs, members, feeders, total[:most], scratch.own, encode)
        else:
            mix_uneven_room(legs, members, feeders, feed_history, most, scratch, encode, sinc)
        if slot >= 0:
            spans.samples[slot] = most
            for i in range(most):
                spans.partials[slot, i] += total[i]


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


@kernel
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
        leg.due = leg.running and leg.sending and leg.name_bytes > 0
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
