# SPDX-License-Identifier: GPL-2.0-or-later
"""A packet's audio on its way into a leg's playout ring: reception statistics, playout clock, decoding.

The ring is addressed by timestamp: packets of any length may come in any order, twice or never. How early a packet comes before its
playing is its *margin*; the clock moves so that the smallest margin stays small, yet not negative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from media.dsp.coding import A_LAW, MU_LAW
from media.dsp.kernel import inline_kernel, kernel, samples_at
from media.engine.counters import LATE, OUT_OF_TIME, TOO_LONG
from media.engine.leg_table import RELAY_KEEPS, RELAY_PURE

MARGIN_WINDOW = 128
"""Packets (about 2.5 s) over which the smallest margin decides whether the playout buffer may shrink."""

LONGEST_FRAMES = 10
"""Of 20 ms: packets of up to 200 ms are played, longer ones counted. Every playout ring has room for one beside its delay."""

RESYNC_S = 1
"""A timestamp that jumps by more than this restarts the playout clock."""

IN_A_ROW = 3
"""So many packets that are all too late, or alike too early, are a change of the stream; fewer are somebody's who wants to disturb it."""


@inline_kernel
def track_sequence(leg: Any, sequence: Any, ts: Any, ssrc: Any, now_ns: Any) -> Any:
    """Update a leg's reception statistics (RFC 3550 §A.1, §A.8); False for the duplicate of the newest packet.

    A change of SSRC from the locked address starts a new stream (RFC 3550 §8.2).
    """
    clock = (now_ns // 1000) * leg.clock_hz // 1000000
    transit = np.int32(np.uint32(clock & 0xFFFFFFFF) - np.uint32(ts))
    if not leg.started or leg.ssrc_in != ssrc:
        if leg.packets_received:
            highest = np.int64(leg.sequence_max) + (np.int64(leg.sequence_cycles) << 16)
            leg.lost_before += max(highest - np.int64(leg.sequence_base) + 1 - leg.packets_received, 0)
            leg.received_before += leg.packets_received
        leg.started = 1
        leg.ssrc_in = ssrc
        leg.sequence_max = sequence
        leg.sequence_base = sequence
        leg.sequence_cycles = 0
        leg.transit = transit
        leg.primed = 0
        leg.packets_received = 0
        leg.expected_prior = leg.received_prior = 0
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
def steer_playout(leg: Any) -> None:
    """At the end of a window: bring the smallest margin back to between a quarter and one and a half frames.

    A small difference (the two clocks are never equal) is worked off a sample a frame; a large one, left over from a burst of
    jitter, at once. While payloads are passed on, only whole frames can be gained or lost.
    """
    frame = np.int64(leg.frame_samples)
    margin = np.int64(leg.margin_min)
    if leg.relays >= RELAY_PURE:
        if margin > 4 * frame:
            leg.play_ts += np.uint32((margin // frame - 1) * frame)
        elif margin > frame + frame // 2:
            leg.relay_shift = 1
        elif margin < frame // 4:
            leg.relay_shift = -1
    elif margin > 4 * frame:
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
def whole(leg: Any, samples: Any) -> Any:
    """Return the samples (≥ 0) by which the playout clock may step: whole frames while payloads are passed on."""
    if leg.relays < RELAY_PURE:
        return samples
    frame = np.int64(leg.frame_samples)
    return (samples + frame - 1) // frame * frame


@inline_kernel
def is_doubtful(leg: Any, margin: Any, limit: Any) -> Any:
    """Return whether a packet of that margin is to be left out: no delay of the network explains it, and no other has said the same."""
    if not leg.primed or (margin <= leg.max_delay_samples and margin >= -limit):
        leg.odd_in_row = 0
        return False
    off = margin - np.int64(leg.odd_margin)
    alike = off <= 2 * leg.frame_samples and -off <= 2 * leg.frame_samples
    leg.odd_in_row = leg.odd_in_row + 1 if leg.odd_in_row and alike else 1
    leg.odd_margin = margin
    if leg.odd_in_row < IN_A_ROW:
        return True
    leg.odd_in_row = 0
    return False


@inline_kernel
def adapt_playout(leg: Any, ts: Any, count: Any, counters: Any) -> Any:
    """Return how many samples before its playing a packet came, after adapting the playout clock; negative: too late.

    The first packet of a stream sets the clock one delay back. One that is earlier than the bound, or off by more than RESYNC_S, is
    left out until as many as IN_A_ROW say the same. A late one moves the clock back by what was missing, up to the bound. When no packet
    of a window was needed as early as it came, the clock moves on by the surplus.
    """
    margin = np.int64(np.int32(np.uint32(ts) - leg.play_ts))
    limit = np.int64(leg.clock_hz) * RESYNC_S
    if is_doubtful(leg, margin, limit):
        counters[OUT_OF_TIME] += 1
        return -np.int64(count)
    if not leg.primed or margin > limit or margin < -limit or margin + count > leg.ring_samples:
        leg.resyncs += leg.primed
        leg.relay_run = 0
        leg.primed = 1
        leg.play_ts = np.uint32(ts) - np.uint32(leg.delay_samples)
        if leg.relays == RELAY_KEEPS:  # where a relay can begin: see relay.may_start
            leg.play_ts += np.uint32(leg.coding_delay)
        leg.margin_count = 0
        leg.late_in_row = 0
        return np.int64(np.int32(np.uint32(ts) - leg.play_ts))
    if margin > leg.max_delay_samples:  # the hard bound
        step = whole(leg, margin - leg.max_delay_samples)
        leg.play_ts += np.uint32(step)
        margin -= step
    if leg.fixed:
        leg.packets_late += margin < 0
        counters[LATE] += margin < 0
        leg.late_in_row = leg.late_in_row + 1 if margin < 0 else 0
        if leg.late_in_row >= IN_A_ROW:  # it will not get better by itself
            leg.late_in_row = 0
            leg.resyncs += 1
            leg.play_ts = np.uint32(ts) - np.uint32(leg.delay_samples)
            return np.int64(leg.delay_samples)
        return margin
    if margin < 0:
        leg.packets_late += 1
        counters[LATE] += 1
        leg.late_in_row += 1
        step = whole(leg, -margin)
        if leg.late_in_row >= IN_A_ROW:
            step += np.int64(leg.frame_samples)
        if leg.delay_samples + step <= leg.max_delay_samples or leg.late_in_row >= IN_A_ROW:
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
def decode_run(payload: Any, samples: Any, coding: Any) -> None:
    """Decode a payload into as many samples. `payload`: uint8, one or two bytes a sample · `samples`: int16, written."""
    if coding == MU_LAW:  # as media.codecs.g711, in 32 bits and without look-ups: the compiler makes vector instructions of it
        for i in range(samples.shape[0]):
            code = np.int32(payload[i]) ^ np.int32(0xFF)
            step = ((code & np.int32(15)) << np.int32(3)) + np.int32(0x84)
            magnitude = np.int32((step << ((code >> np.int32(4)) & np.int32(7))) - np.int32(0x84))
            samples[i] = np.int16(-magnitude if code & np.int32(0x80) else magnitude)
    elif coding == A_LAW:
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
def put_audio(leg: Any, packet: Any, first: Any, end: Any, ts: Any) -> None:
    """Decode a payload into the leg's ring from timestamp `ts` on. Samples before the playout clock are left out by the caller."""
    size = np.int64(leg.ring_samples)
    ring = samples_at(leg.ring_address, size)
    at = np.int64(ts) & (size - 1)
    count = (end - first) // np.int64(leg.sample_bytes)
    straight: Any = min(count, size - at)
    middle = first + straight * np.int64(leg.sample_bytes)
    decode_run(packet[first:middle], ring[at : at + straight], leg.coding)
    if straight < count:
        decode_run(packet[middle:end], ring[: count - straight], leg.coding)


@inline_kernel
def accept_audio(leg: Any, packet: Any, first: Any, end: Any, ts: Any, counters: Any) -> None:
    """Put an audio payload where it will be played, when anybody listens and it came in time."""
    count = (end - first) // np.int64(leg.sample_bytes)
    if not leg.listened or leg.ring_address == 0:
        leg.primed = 0
        return
    if count > LONGEST_FRAMES * np.int64(leg.frame_samples):
        counters[TOO_LONG] += 1
        leg.packets_too_long += 1
        return
    margin = adapt_playout(leg, ts, count, counters)
    skipped = -margin if margin < 0 else 0
    if skipped < count:
        put_audio(leg, packet, first + skipped * np.int64(leg.sample_bytes), end, ts + skipped)


@inline_kernel
def accept_pause(leg: Any, ts: Any, counters: Any) -> None:
    """Put a frame of silence where a comfort noise packet says that the sender pauses: what follows is not concealed as a loss."""
    if not leg.listened or leg.ring_address == 0:
        return
    count = np.int64(leg.frame_samples)
    start = (ts * leg.samples_per_tick) & 0xFFFFFFFF
    margin = adapt_playout(leg, start, count, counters)
    size = np.int64(leg.ring_samples)
    ring = samples_at(leg.ring_address, size)
    for i in range(max(-margin, 0), count):
        ring[(start + i) & (size - 1)] = 0


@kernel
def put_decoded(legs: Any, row: Any, samples: Any, ts: Any, counters: Any) -> None:
    """Put a library codec's decoded samples into a leg's ring. `ts`: their timestamp, in samples."""
    leg = legs[row]
    count = np.int64(samples.shape[0])
    if not leg.listened or leg.ring_address == 0:
        return
    if count > LONGEST_FRAMES * np.int64(leg.frame_samples):
        counters[TOO_LONG] += 1
        leg.packets_too_long += 1
        return
    margin = adapt_playout(leg, ts, count, counters)
    size = np.int64(leg.ring_samples)
    ring = samples_at(leg.ring_address, size)
    for i in range(max(-margin, 0), count):
        ring[(np.int64(ts) + i) & (size - 1)] = max(samples[i], np.int16(-32767))
