# SPDX-License-Identifier: GPL-2.0-or-later
"""A tick's frame of each leg out of its playout ring: lost parts concealed, the sender's clock followed, level and gain."""

from __future__ import annotations

from typing import Any

import numpy as np

from media.dsp.kernel import borrowed, fetch_ahead, inline_kernel, kernel, samples_at
from media.engine.leg_table import MISSING

CONCEALED_FRAMES = 3
"""Frames that are concealed by repeating the last one, each 6 dB quieter, before a gap is silence."""

UNITY_Q12 = 4096

FETCH_AHEAD = 3
"""So many legs before its turn a leg's ring is fetched: about as long as memory takes."""


@inline_kernel
def pitch_period(frame: Any, count: Any, rate_hz: Any) -> Any:
    """Return the period, in samples, with which the end of a frame repeats itself best: 4 to 12 ms (speech of 83 to 250 Hz)."""
    shortest, longest = rate_hz * 4 // 1000, rate_hz * 12 // 1000
    template = count - longest
    best, best_score = longest, np.float32(-1.0)
    for period in range(shortest, longest + 1):
        product = np.float32(0)
        energy = np.float32(1)
        for i in range(template):
            now, before = np.float32(frame[longest + i]), np.float32(frame[longest + i - period])
            product += now * before
            energy += before * before
        score = product / np.sqrt(energy)
        if score > best_score:
            best, best_score = period, score
    return best


@inline_kernel
def conceal(leg: Any, frame: Any, count: Any) -> Any:
    """Fill a frame of which nothing came by repeating the last pitch period, fading; False: the gap is too long.

    `frame` still holds what was played last.
    """
    leg.missing_in_row = min(leg.missing_in_row + 1, 255)
    if not leg.heard or leg.missing_in_row > CONCEALED_FRAMES:
        return False
    if leg.missing_in_row == 1:
        leg.loss_run = pitch_period(frame, count, np.int64(leg.frame_samples) * 50)
    period = np.int64(leg.loss_run)
    for i in range(period):  # one period to the front, so that the rest can be copied from it
        frame[i] = frame[count - period + i]
    for i in range(period, count):
        frame[i] = frame[i - period]
    if leg.missing_in_row > 1:
        for i in range(count):
            gain = 256 - (256 * (i + (leg.missing_in_row - 2) * count)) // (count * (CONCEALED_FRAMES - 1))
            before = 256 - (256 * max(leg.missing_in_row - 3, 0)) // (CONCEALED_FRAMES - 1)
            frame[i] = np.int16(np.int64(frame[i]) * gain // max(before, 1))
    leg.frames_concealed += 1
    return True


@inline_kernel
def take_run(ring: Any, frame: Any) -> Any:
    """Move samples from a stretch of a ring to a stretch of a frame, MISSING where none came; return how many did not."""
    missing = 0
    for i in range(frame.shape[0]):
        missing += ring[i] == MISSING
        frame[i] = ring[i]
        ring[i] = MISSING
    return missing


@inline_kernel
def any_came(ring: Any) -> Any:
    """Return whether a stretch of a ring holds any sample."""
    for i in range(ring.shape[0]):  # noqa: SIM110 - kernels know no generators
        if ring[i] != MISSING:
            return True
    return False


@inline_kernel
def calmest(frame: Any, count: Any) -> Any:
    """Return the index in a frame where two neighbours differ least: there a sample more or less is heard least."""
    best, best_step = 1, np.int64(65536)
    for i in range(1, count):
        step = np.int64(frame[i]) - np.int64(frame[i - 1])
        step = max(step, -step)
        if step < best_step:
            best, best_step = i, step
    return best


@inline_kernel
def shift_playout(leg: Any, ring: Any, frame: Any, count: Any) -> None:
    """Follow the sender's clock: play one sample less or more than arrives, at the calmest point of the frame just read."""
    calm = calmest(frame, count)
    if leg.adjust_samples > 0:
        at = np.int64(leg.play_ts) & (ring.shape[0] - 1)
        if ring[at] == MISSING:
            return
        for i in range(calm, count - 1):
            frame[i] = frame[i + 1]
        frame[count - 1] = ring[at]
        ring[at] = MISSING
        leg.play_ts += np.uint32(1)
        leg.adjust_samples -= 1
    else:
        last = frame[count - 1]
        for i in range(count - 1, calm, -1):
            frame[i] = frame[i - 1]
        leg.play_ts -= np.uint32(1)
        ring[np.int64(leg.play_ts) & (ring.shape[0] - 1)] = last
        leg.adjust_samples += 1


@inline_kernel
def read_ring(leg: Any, row_frame: Any) -> Any:
    """Move one frame from the ring to the frame and clear it there; return whether it holds audio."""
    count = np.int64(leg.frame_samples)
    size = np.int64(leg.ring_samples)
    ring = samples_at(leg.ring_address, size)
    at = np.int64(leg.play_ts) & (size - 1)
    leg.play_ts += np.uint32(count)
    straight: Any = min(count, size - at)
    first, second = ring[at : at + straight], ring[: count - straight]
    frame = row_frame[:count]
    if not any_came(first) and not any_came(second):
        return conceal(leg, frame, count)
    leg.missing_in_row = 0
    missing = take_run(first, frame[:straight])
    if straight < count:
        missing += take_run(second, frame[straight:])
    if missing:  # a hole inside the frame: fade from the last sample
        last = np.int32(0)
        for i in range(count):
            last = np.int32(frame[i]) if frame[i] != MISSING else last * 15 >> 4
            frame[i] = last
    else:
        most = count // 160 if leg.relays else 1  # on the way to a frame's beginning: as fast at any rate
        for _ in range(most):
            if leg.adjust_samples != 0:
                shift_playout(leg, ring, frame, count)
    return True


@inline_kernel
def measure(leg: Any, frame: Any) -> None:
    """Update a leg's smoothed energy (time constant about 100 ms)."""
    total = np.int64(0)
    for i in range(frame.shape[0]):
        total += np.int32(frame[i]) * np.int32(frame[i])
    mean = np.float32(total) / np.float32(frame.shape[0]) * np.float32(1.0 / 32768 / 32768)
    leg.energy += (mean - leg.energy) * np.float32(0.2)


@inline_kernel
def fetch_frame(leg: Any) -> None:
    """Have the part of a leg's ring fetched that will be played next."""
    if leg.listened and leg.primed:
        at = np.int64(leg.play_ts) & (np.int64(leg.ring_samples) - 1)
        fetch_ahead(leg.ring_address + np.uint64(2 * at), 2 * leg.frame_samples)


@kernel
def play_out(legs: Any, frames: Any) -> None:
    """Take each listened leg's next frame. `legs`: LEG (n,), written · `frames`: int16 (n, most), rows of legs with `heard` set."""
    legs, frames = borrowed(legs), borrowed(frames)
    for row in range(legs.shape[0]):
        if row + FETCH_AHEAD < legs.shape[0]:
            fetch_frame(legs[row + FETCH_AHEAD])
        leg = legs[row]
        if not leg.listened:
            continue
        if not leg.primed:
            leg.heard = 0
            leg.energy *= np.float32(0.8)
            continue
        heard = read_ring(leg, frames[row])
        leg.heard = heard
        if not heard:
            leg.energy *= np.float32(0.8)
            continue
        frame = frames[row, : leg.frame_samples]
        measure(leg, frame)
        if leg.gain_q12 != UNITY_Q12 and leg.missing_in_row == 0:  # a concealed frame comes from one that has its gain
            for i in range(frame.shape[0]):
                loud = np.int64(frame[i]) * leg.gain_q12 >> 12
                frame[i] = max(min(loud, 32767), -32767)
