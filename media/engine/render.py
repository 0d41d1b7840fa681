# SPDX-License-Identifier: GPL-2.0-or-later
"""One tick's outgoing packets from the leg table, for every leg at once.

    play_out      rings → frames        what each listened leg said, lost parts concealed
    mix_rooms     frames → packets      every member of a room hears the others
    fill_others   stored audio, echo, silence → packets
    finish        RTP headers

Audio already stored in the wire codec is only copied: no decoding, no mixing, no encoding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from media.codecs.codec import LINEAR_16, NATIVE
from media.dsp.kernel import borrowed, bytes_at, inline_kernel, kernel, samples_at
from media.dsp.resample import UP_HISTORY, resample_frame
from media.engine.leg_table import (
    HEADER_BYTES,
    MISSING,
    SOURCE_ECHO,
    SOURCE_ROOM,
    SOURCE_STORED,
)

UNITY_Q12 = 4096

CONCEALED_FRAMES = 3
"""Frames that are concealed by repeating the last one, each 6 dB quieter, before a gap is silence."""


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
    """Return the place in a frame where two neighbours differ least: there a sample more or less is heard least."""
    best, best_step = 1, np.int64(65536)
    for i in range(1, count):
        step = np.int64(frame[i]) - np.int64(frame[i - 1])
        step = max(step, -step)
        if step < best_step:
            best, best_step = i, step
    return best


@inline_kernel
def shift_playout(leg: Any, ring: Any, frame: Any, count: Any) -> None:
    """Follow the sender's clock: play one sample less or more than arrives, at the calmest place of the frame just read."""
    place = calmest(frame, count)
    if leg.adjust_samples > 0:
        at = np.int64(leg.play_ts) & (ring.shape[0] - 1)
        if ring[at] == MISSING:
            return
        for i in range(place, count - 1):
            frame[i] = frame[i + 1]
        frame[count - 1] = ring[at]
        ring[at] = MISSING
        leg.play_ts += np.uint32(1)
        leg.adjust_samples -= 1
    else:
        last = frame[count - 1]
        for i in range(count - 1, place, -1):
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
    elif leg.adjust_samples != 0:
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


@kernel
def play_out(legs: Any, frames: Any) -> None:
    """Take each listened leg's next frame. `legs`: LEG (n,), written · `frames`: int16 (n, most), rows of legs with `heard`
    set."""
    legs, frames = borrowed(legs), borrowed(frames)
    for row in range(legs.shape[0]):
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


@inline_kernel
def put_samples(packet: Any, samples: Any, count: Any, law: Any, encode: Any) -> None:
    """Encode samples, clipped to 16 bits, as a packet's payload."""
    if law in (LINEAR_16, NATIVE):
        first = 8 if law == LINEAR_16 else 0
        for i in range(count):
            clipped = max(min(np.int32(samples[i]), np.int32(32767)), np.int32(-32768)) & 0xFFFF
            packet[HEADER_BYTES + 2 * i] = (clipped >> first) & 255
            packet[HEADER_BYTES + 2 * i + 1] = (clipped >> (8 - first)) & 255
    else:
        table = encode[law]
        for i in range(count):
            value = max(min(samples[i], 32767), -32768)
            packet[HEADER_BYTES + i] = table[value & 0xFFFF]


@inline_kernel
def put_silence(leg: Any, packet: Any) -> None:
    for i in range(leg.frame_bytes):
        packet[HEADER_BYTES + i] = leg.silence_byte


@inline_kernel
def mix_even_room(legs: Any, frames: Any, packets: Any, members: Any, total: Any, own: Any, encode: Any) -> None:
    """Mix a room whose members all have one rate. `total` holds the room's announcement, or silence."""
    talking = 0
    quiet = True
    for i in range(total.shape[0]):
        quiet = quiet and total[i] == 0
    for row in members:
        leg = legs[row]
        if leg.speaks and leg.heard:
            talking += 1
            for i in range(leg.frame_samples):
                total[i] += frames[row, i]
    copied_from = np.full(4, -1, np.int64)
    for row in members:
        leg = legs[row]
        if not leg.due or leg.source != SOURCE_ROOM:
            continue
        speaking = leg.speaks and leg.heard
        if not leg.hears or (quiet and talking - speaking == 0):
            put_silence(leg, packets[row])
        elif speaking:
            for i in range(leg.frame_samples):
                own[i] = total[i] - frames[row, i]
            put_samples(packets[row], own, leg.frame_samples, leg.law, encode)
        elif copied_from[leg.law] >= 0:
            model = packets[copied_from[leg.law]]
            for i in range(HEADER_BYTES, HEADER_BYTES + leg.frame_bytes):
                packets[row, i] = model[i]
        else:
            put_samples(packets[row], total, leg.frame_samples, leg.law, encode)
            copied_from[leg.law] = row


@inline_kernel
def mix_uneven_room(
    legs: Any,
    frames: Any,
    packets: Any,
    members: Any,
    room_samples: Any,
    history: Any,
    total: Any,
    own: Any,
    wide: Any,
    work: Any,
    encode: Any,
    sinc: Any,
) -> None:
    """Mix a room at its fastest member's rate: every member is brought to it and hears the sum brought back to his own."""
    narrow = np.zeros(room_samples, np.int16)
    for k in range(members.shape[0]):
        row = members[k]
        leg = legs[row]
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
    for k in range(members.shape[0]):
        row = members[k]
        leg = legs[row]
        count = np.int64(leg.frame_samples)
        if not leg.due or leg.source != SOURCE_ROOM:
            continue
        speaking = leg.speaks and leg.heard and leg.hears
        for i in range(room_samples):
            value = total[i] - (wide[k, i] if speaking else 0)
            own[i] = max(min(value, 32767), -32768) if leg.hears else 0
        if count == room_samples:
            put_samples(packets[row], own, count, leg.law, encode)
        else:
            resample_frame(own[:room_samples], history[row, UP_HISTORY:], narrow[:count], work, sinc)
            put_samples(packets[row], narrow, count, leg.law, encode)


@kernel
def mix_rooms(
    legs: Any,
    frames: Any,
    packets: Any,
    members: Any,
    starts: Any,
    announced: Any,
    announcements: Any,
    history: Any,
    total: Any,
    own: Any,
    wide: Any,
    work: Any,
    encode: Any,
    sinc: Any,
) -> None:
    """Give each member of a room the sum of the others and of the room's announcement.

    `members`: int32 (k,), rows sorted by room · `starts`: int64 (rooms + 1,), bounds of each room in `members` · `announced`:
    int32 (rooms,), row of each room in `announcements` or -1 · `announcements`: int32 (a, most samples), at the room's rate ·
    `history`: int16 (n, dsp.resample.HISTORY), written · `total`, `own`: int32 (most samples,), `wide`: int16 (largest room,
    most samples), `work`: float32 (HISTORY + most samples,): scratch · `packets`: uint8 (n, most), payloads written for members
    that are due and whose source is the room.
    """
    legs, frames, packets, members, starts = (
        borrowed(legs),
        borrowed(frames),
        borrowed(packets),
        borrowed(members),
        borrowed(starts),
    )
    announced, announcements, history, total, own = (
        borrowed(announced),
        borrowed(announcements),
        borrowed(history),
        borrowed(total),
        borrowed(own),
    )
    wide, work, encode, sinc = borrowed(wide), borrowed(work), borrowed(encode), borrowed(sinc)
    for room in range(starts.shape[0] - 1):
        rows = members[starts[room] : starts[room + 1]]
        most, least = np.int64(0), np.int64(1 << 30)
        for row in rows:
            most = max(most, np.int64(legs[row].frame_samples))
            least = min(least, np.int64(legs[row].frame_samples))
        if announced[room] >= 0:
            total[:] = announcements[announced[room], : total.shape[0]]
        else:
            total[:] = 0
        if least == most:
            mix_even_room(legs, frames, packets, rows, total[:most], own, encode)
        else:
            mix_uneven_room(legs, frames, packets, rows, most, history, total, own, wide, work, encode, sinc)


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
def put_echo(leg: Any, packet: Any, frame: Any, encode: Any) -> None:
    """Encode what the leg said itself; silence when it said nothing or may not be heard."""
    if leg.heard and leg.speaks and leg.hears:
        put_samples(packet, frame, np.int64(leg.frame_samples), leg.law, encode)
    else:
        put_silence(leg, packet)


@kernel
def fill_others(legs: Any, frames: Any, packets: Any, encode: Any, ended: Any, ended_count: Any) -> None:
    """Give every due leg that is not listening to a room its payload, and move playlists on.

    `ended`: int32 (n,), rows whose current item has just given its last frame, from `ended_count[0]` on.
    """
    legs, frames, packets, encode, ended, ended_count = (
        borrowed(legs),
        borrowed(frames),
        borrowed(packets),
        borrowed(encode),
        borrowed(ended),
        borrowed(ended_count),
    )
    for row in range(legs.shape[0]):
        leg = legs[row]
        if not leg.running:
            continue
        over = False
        if leg.source == SOURCE_STORED:
            over = advance_stored(leg, packets[row])
        elif leg.due:
            if leg.source == SOURCE_ECHO:
                put_echo(leg, packets[row], frames[row], encode)
            elif leg.source != SOURCE_ROOM:
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
def finish(legs: Any, packets: Any) -> None:
    """Write the RTP header of every due leg (RFC 3550 §5.1) and count the packet as sent."""
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
        leg.packet_bytes = HEADER_BYTES + leg.frame_bytes
        leg.marker = 0
        leg.sequence_out += np.uint16(1)
        leg.ts_out += np.uint32(leg.frame_ticks)
        leg.packets_sent += 1
        leg.bytes_sent += leg.frame_bytes
