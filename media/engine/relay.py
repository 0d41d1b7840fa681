# SPDX-License-Identifier: GPL-2.0-or-later
"""Payloads passed on undecoded from one leg to another: kernels. Which legs, and how a relay ends, is ``relays.py``.

    packet ─► slot of the sending leg, by timestamp ─► when its playout clock gets there ─► packet of the other leg

The playout clock runs as if the audio were decoded, in steps of whole frames, so that at any tick decoding can take over where the
last payload ended, and a relay where decoding ended; a codec's own delay, which decoding and encoding adds once more, is made up for.
What the network lost stays lost: sequence numbers and timestamps go on by as much as the sender's, and the listening phone conceals. A
clock that drifts is followed by a packet half a tick later, or by a pause of a tick.

A slot is 16 bytes of header (timestamp in samples, sequence number, length, marker, state) and a payload.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from media.dsp.coding import NATIVE
from media.dsp.kernel import borrowed, bytes_at, inline_kernel, kernel
from media.engine.arrival import adapt_playout
from media.engine.leg_table import (
    HEADER_BYTES,
    RELAY_PURE,
    SLOT_HEADER,
    SOURCE_RELAY,
)

EMPTY, FRESH, SENT = 0, 1, 2

RUN_TO_START = 8
"""Packets of 20 ms in a row before a leg's payloads are passed on."""

MOST_MISSING = 3
"""Ticks without a payload before decoding takes over, which then sends silence."""

RELAY = np.dtype(
    [
        ("speaker", "i4"),  # rows
        ("listener", "i4"),
        ("mode", "u1"),  # RELAY_PURE, or RELAY_BOTH: decoded as well, for its level
        ("active", "u1"),
        ("missing", "u1"),
        ("fresh", "u1"),  # nothing has been passed on yet
        ("extra", "u1"),  # another payload is to go half a tick later
        ("sequence_in", "u2"),  # of the last payload passed on, and what became of it
        ("sequence_out", "u2"),
        ("samples_in", "u4"),
        ("ts_out", "u4"),
    ],
    align=True,
)


@inline_kernel
def slot_of(leg: Any, samples: Any) -> Any:
    """Return a leg's slot for a timestamp in samples: uint8 (SLOT_HEADER + slot_bytes,)."""
    size = SLOT_HEADER + np.int64(leg.slot_bytes)
    number = (np.int64(samples) // np.int64(leg.frame_samples)) & (np.int64(leg.slots) - 1)
    return bytes_at(leg.slots_address + np.uint64(number * size), size)


@inline_kernel
def slot_number(slot: Any, first: Any, count: Any) -> Any:
    value = np.int64(0)
    for i in range(count):
        value |= np.int64(slot[first + i]) << (8 * i)
    return value


@inline_kernel
def holds(slot: Any, samples: Any) -> Any:
    """Return whether a slot holds the payload of that time, not yet passed on."""
    return slot[9] == FRESH and slot_number(slot, 0, 4) == np.int64(samples)


@inline_kernel
def follow_run(leg: Any, sequence: Any, ts: Any) -> None:
    """Count packets whose timestamps say that each is one frame; pauses of the sender count against it, other steps end the run."""
    step = np.int64(np.int16(sequence - leg.relay_sequence))
    ticks = np.int64(np.int32(ts - leg.relay_ts))
    if ticks == step * leg.frame_ticks:
        if step > 0:
            leg.relay_run = min(leg.relay_run + 1, 100)
    elif step == 1 and 0 < ticks <= leg.clock_hz and ticks % leg.frame_ticks == 0:
        run: Any = min(np.int64(leg.relay_run), 9)
        leg.relay_run = max(run - 3, 0)
    else:
        leg.relay_run = 0
    if step > 0 or leg.relay_run == 0:
        leg.relay_sequence = sequence
        leg.relay_ts = ts


@inline_kernel
def keep_payload(leg: Any, packet: Any, first: Any, end: Any, sequence: Any, ts: Any, counters: Any) -> None:
    """Put an audio payload into its slot; without decoding, this is where the playout clock learns of it."""
    count = end - first
    follow_run(leg, sequence, ts)
    if count > leg.slot_bytes or (leg.coding != NATIVE and count != leg.frame_bytes):
        leg.relay_run = 0
        return
    samples = np.uint32(np.int64(ts) * leg.samples_per_tick)
    if leg.relays == RELAY_PURE and adapt_playout(leg, np.int64(samples), np.int64(leg.frame_samples), counters) < 0:
        return
    slot = slot_of(leg, samples)
    if holds(slot, samples):
        return
    for i in range(4):
        slot[i] = (np.int64(samples) >> (8 * i)) & 255
    slot[4], slot[5] = sequence & 255, sequence >> 8
    slot[6], slot[7] = count & 255, count >> 8
    slot[8], slot[9] = packet[1] >> 7, FRESH
    for i in range(count):
        slot[SLOT_HEADER + i] = packet[first + i]


@inline_kernel
def pass_on(relay: Any, leg: Any, listener: Any, packet: Any, samples: Any) -> Any:
    """Make the payload of that time the listener's packet, when it is there; its header follows by ``render.finish``.

    One that comes after later ones have been passed on is left out: what a listener is sent only goes forward.
    """
    slot = slot_of(leg, samples)
    sequence, count = np.uint16(slot_number(slot, 4, 2)), slot_number(slot, 6, 2)
    forward = relay.fresh or np.int64(np.int16(sequence - relay.sequence_in)) > 0
    listener.due = forward and holds(slot, samples)
    if not listener.due:
        return False
    relay.fresh = 0
    for i in range(count):
        packet[HEADER_BYTES + i] = slot[SLOT_HEADER + i]
    slot[9] = SENT
    ticks = np.int64(np.int32(np.uint32(samples) - relay.samples_in)) // leg.samples_per_tick
    relay.sequence_out += np.uint16(sequence - relay.sequence_in)
    relay.ts_out += np.uint32(ticks)
    relay.sequence_in = sequence
    relay.samples_in = samples
    listener.sequence_out = relay.sequence_out
    listener.ts_out = relay.ts_out
    listener.marker |= slot[8]
    listener.send_bytes = count
    return True


@inline_kernel
def may_start(leg: Any, listener: Any) -> Any:
    """Return whether a relay can begin with the frame that is to be played now; bring the clock to a frame's beginning if not."""
    if leg.relay_run < RUN_TO_START or not leg.primed or not listener.due or not leg.listened:
        return False
    frame = np.int64(leg.frame_samples)
    begins = np.uint32(leg.play_ts - leg.coding_delay)
    ahead = np.int64(np.int32(np.uint32(np.int64(leg.relay_ts) * leg.samples_per_tick) - begins))
    off = ahead % frame
    if off:
        if leg.adjust_samples == 0:
            leg.adjust_samples = off if 2 * off <= frame and ahead > frame else off - frame
            leg.margin_count = 0
        return False
    return holds(slot_of(leg, begins), begins)


@inline_kernel
def start(relay: Any, leg: Any, listener: Any) -> None:
    """Begin where decoding ended."""
    relay.active, relay.missing, relay.extra, relay.fresh = 1, 0, 0, 1
    leg.play_ts -= np.uint32(leg.coding_delay)
    relay.samples_in, relay.ts_out = leg.play_ts, listener.ts_out
    relay.sequence_in = np.uint16(slot_number(slot_of(leg, leg.play_ts), 4, 2))
    relay.sequence_out = listener.sequence_out
    leg.relays, leg.relay_shift, leg.adjust_samples, leg.margin_count = relay.mode, 0, 0, 0
    if relay.mode == RELAY_PURE:
        leg.listened = leg.heard = 0
    listener.source = SOURCE_RELAY


@kernel
def relay_tick(relays: Any, legs: Any, packets: Any, ended: Any, counts: Any) -> None:
    """Pass on this tick's payloads. Runs when it is known who is due, before anything is played out.

    `relays`: RELAY (m,), written · `legs`: LEG (n,), written · `packets`: uint8 (n, most), payloads written · `ended`: int32 (≥ m,),
    indexes of relays that cannot go on and wait for ``Relays`` to end them, `counts[0]` of them · `counts`: int64 (3,), written: also
    payloads that wait for ``relay_more``, and, added up, those passed on.
    """
    relays, legs, packets = borrowed(relays), borrowed(legs), borrowed(packets)
    counts[0] = counts[1] = 0
    for index in range(relays.shape[0]):
        relay = relays[index]
        row = np.int64(relay.listener)
        leg, listener = legs[np.int64(relay.speaker)], legs[row]
        if not relay.active:
            if not may_start(leg, listener):
                continue
            start(relay, leg, listener)
        elif not leg.primed or not leg.relay_run or not listener.due or relay.missing >= MOST_MISSING:
            ended[counts[0]] = index
            counts[0] += 1
            continue
        samples = np.uint32(leg.play_ts)
        frame = np.uint32(leg.frame_samples)
        pure = relay.mode == RELAY_PURE
        if leg.relay_shift < 0:  # the sender is slow: wait a tick
            leg.relay_shift = 0
            listener.due = 0
            listener.ts_out += np.uint32(leg.frame_ticks)
            if not pure:
                leg.play_ts -= frame
            continue
        if pass_on(relay, leg, listener, packets[row], samples):
            relay.missing = 0
            counts[2] += 1
        else:
            relay.missing += 1
            listener.ts_out += np.uint32(leg.frame_ticks)
        if pure:
            leg.play_ts += frame
        following = np.uint32(samples + frame)
        if leg.relay_shift > 0 and holds(slot_of(leg, following), following):  # the sender is fast: one more
            leg.relay_shift = 0
            relay.extra = 1
            counts[1] += 1
            leg.play_ts += frame


@kernel
def relay_more(relays: Any, legs: Any, packets: Any, counts: Any) -> None:
    """Pass on the payloads that a fast sender is ahead by. Arguments as ``relay_tick``; nobody is due before."""
    relays, legs, packets = borrowed(relays), borrowed(legs), borrowed(packets)
    counts[1] = 0
    for index in range(relays.shape[0]):
        relay = relays[index]
        if relay.extra:
            relay.extra = 0
            row = np.int64(relay.listener)
            leg = legs[np.int64(relay.speaker)]
            counts[2] += pass_on(relay, leg, legs[row], packets[row], np.uint32(relay.samples_in + leg.frame_samples))
