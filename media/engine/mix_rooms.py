# SPDX-License-Identifier: GPL-2.0-or-later
"""What each member of a room hears: the sum of all who speak there, less the own voice. Frames in, packets out, for all rooms of a tick.

    members' frames ─┐
    feeders' frames ─┼─► total ─┬─ less the own frame ─► encoded ─► a speaker's packet
    announcement    ─┤          └──────────────────────► encoded once a codec ─► every listener's packet
    other processes ─┘

Members of one rate are summed as they are; in a room of several rates everybody is brought to the fastest one first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.dsp.kernel import borrowed, inline_kernel, steady_kernel
from media.dsp.resample import UP_HISTORY, resample_frame
from media.engine.leg_table import HEADER_BYTES, SOURCE_ROOM
from media.engine.render import put_samples, put_silence


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


@steady_kernel
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
