# SPDX-License-Identifier: GPL-2.0-or-later
"""Sums of rooms as media processes exchange them: the datagram, and the kernels that write and read it.

    words: MAGIC · epoch · tick (two words) · last · entries │ number · samples · sum … │ number · samples · sum … │ …

All int32 in the machine's order: both ends are this machine's. A datagram holds what one process's legs said in one tick, a room an
entry, for one other process; rooms in which nobody spoke are left out, and a tick without any entry is sent too, so that silence
differs from lateness. A tick with much to say takes several datagrams, the last of which says so. Sums are exact, not clipped: what
comes of adding them to one's own is what one process would have added up.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.dsp.kernel import borrowed, inline_kernel, kernel
from media.dsp.resample import DOWN_HISTORY, MOST_RATIO, resample_frame

Words = NDArray[np.int32]

MAGIC = 0x53504E31
HEADER_WORDS = 6
_HEADER = struct.Struct("=iiqii")
ENTRY_WORDS = 2
MOST_SAMPLES = 960
MOST_WORDS = 32768
"""128 KiB a datagram: a Unix socket's buffer takes it, whatever the system's defaults."""

WORK_SAMPLES = DOWN_HISTORY + MOST_SAMPLES


def read_header(words: Words) -> tuple[int, int, bool] | None:
    """Return (epoch, tick, last) of a datagram; None when it is none of ours."""
    if len(words) < HEADER_WORDS:
        return None
    magic, epoch, tick, last, _ = _HEADER.unpack_from(words.data)
    return (epoch, tick, bool(last)) if magic == MAGIC else None


def write_header(words: Words, epoch: int, tick: int, last: bool, entries: int) -> None:
    """Write the first words of a datagram."""
    _HEADER.pack_into(words.data, 0, MAGIC, epoch, tick, last, entries)


@inline_kernel
def find_slot(by_number: Any, number: Any) -> Any:
    """Return the slot of a room's number, -1 when it is not known. `by_number`: SlotNumbers."""
    numbers, slots = by_number.numbers, by_number.slots
    low, high = 0, numbers.shape[0]
    while low < high:
        middle = (low + high) // 2
        if numbers[middle] < number:
            low = middle + 1
        else:
            high = middle
    return slots[low] if low < numbers.shape[0] and numbers[low] == number else -1


@inline_kernel
def add_converted(entry: Any, history: Any, sums: Any, work: Any, sinc: Any) -> None:
    """Add a sum of another rate. It is clipped to 16 bits before, as what a listener of a room of several rates hears is."""
    frame = np.empty(entry.shape[0], np.int16)
    for i in range(entry.shape[0]):
        frame[i] = max(min(entry[i], 32767), -32767)
    out = np.empty(sums.shape[0], np.int16)
    resample_frame(frame, history, out, work, sinc)
    for i in range(sums.shape[0]):
        sums[i] += out[i]


class SlotNumbers(NamedTuple):
    """Which slot a room's number has: int32 (n,) both, `numbers` ascending."""

    numbers: NDArray[np.int32]
    slots: NDArray[np.int32]


class Sums(NamedTuple):
    """What is said elsewhere, added up. `wanted`: int32 (s,), samples a frame of each slot's room here; 0: nobody wants it · `sums`:
    int32 (s, most samples).
    """

    wanted: NDArray[np.int32]
    sums: NDArray[np.int32]


class Past(NamedTuple):
    """What converting one sender's sums needs of the ticks before. `history`: int16 (s, DOWN_HISTORY), ends of past frames · `fed`:
    int64 (s, 2), tick and samples of the last one.
    """

    history: NDArray[np.int16]
    fed: NDArray[np.int64]


@kernel
def add_sums(words: Any, tick: Any, by_number: Any, into: Any, past: Any, work: Any, sinc: Any) -> Any:
    """Add one datagram's entries to the rooms they belong to; return how many were added, -1 when the datagram breaks off.

    `by_number`: SlotNumbers · `into`: Sums, added to · `past`: Past, written · `work`: float32 (WORK_SAMPLES,), scratch.
    """
    words, by_number, into, past = borrowed(words), borrowed(by_number), borrowed(into), borrowed(past)
    work, sinc = borrowed(work), borrowed(sinc)
    wanted, sums, history, fed = into.wanted, into.sums, past.history, past.fed
    offset, added = np.int64(HEADER_WORDS), 0
    for _ in range(words[5]):
        if offset + ENTRY_WORDS > words.shape[0]:
            return -1
        number, count = words[offset], np.int64(words[offset + 1])
        offset += ENTRY_WORDS
        if count <= 0 or count > MOST_SAMPLES or offset + count > words.shape[0]:
            return -1
        slot = find_slot(by_number, number)
        samples = np.int64(wanted[slot]) if slot >= 0 else np.int64(0)
        if samples == count:
            for i in range(count):
                sums[slot, i] += words[offset + i]
            added += 1
        elif samples > 0 and count <= samples * MOST_RATIO and samples <= count * MOST_RATIO:
            if fed[slot, 0] != tick - 1 or fed[slot, 1] != count:
                history[slot] = 0
            fed[slot, 0], fed[slot, 1] = tick, count
            add_converted(words[offset : offset + count], history[slot], sums[slot, :samples], work, sinc)
            added += 1
        offset += count
    return added


@kernel
def pack_sums(partials: Any, samples: Any, numbers: Any, sent: Any, first: Any, words: Any, bounds: Any) -> None:
    """Write entries from slot `first` on, for one receiver, as many as one datagram holds; silent rooms are left out.

    `partials`: int32 (s, most samples) · `samples`: int32 (s,), 0: not mixed in this tick · `numbers`: int32 (s,) · `sent`: uint8
    (s,), whether this receiver gets the slot · `words`: int32 (MOST_WORDS,), written after the header · `bounds`: int64 (3,),
    written: slot to go on from, words used, entries.
    """
    partials, samples, numbers, sent = borrowed(partials), borrowed(samples), borrowed(numbers), borrowed(sent)
    words, bounds = borrowed(words), borrowed(bounds)
    offset, entries, slot = np.int64(HEADER_WORDS), 0, np.int64(first)
    while slot < samples.shape[0]:
        count = np.int64(samples[slot]) if sent[slot] else np.int64(0)
        quiet = True
        for i in range(count):
            if partials[slot, i] != 0:
                quiet = False
                break
        if not quiet:
            if offset + ENTRY_WORDS + count > words.shape[0]:
                break
            words[offset], words[offset + 1] = numbers[slot], count
            offset += ENTRY_WORDS
            for i in range(count):
                words[offset + i] = partials[slot, i]
            offset += count
            entries += 1
        slot += 1
    bounds[0], bounds[1], bounds[2] = slot, offset, entries


@kernel
def begin_sums(legs: Any, rooms: Any, spanned: Any, into: Any) -> None:
    """Say how many samples a frame of each room that spans has here, that of its fastest leg as ``mix_rooms`` takes it, and
    begin its sum.

    `legs`: LEG (n,) · `rooms`: RoomArrays · `spanned`: int32 (rooms,), slot or -1 · `into`: Sums, written for the slots found.
    """
    legs, rooms, spanned, into = borrowed(legs), borrowed(rooms), borrowed(spanned), borrowed(into)
    for room in range(spanned.shape[0]):
        if spanned[room] < 0:
            continue
        most = np.int32(0)
        for k in range(rooms.starts[room], rooms.starts[room + 1]):
            most = max(most, legs[rooms.members[k]].frame_samples)
        for k in range(rooms.feed_starts[room], rooms.feed_starts[room + 1]):
            most = max(most, legs[rooms.feeders[k, 0]].frame_samples)
        into.wanted[spanned[room]] = most
        into.sums[spanned[room], :most] = 0
