# SPDX-License-Identifier: GPL-2.0-or-later
"""RTCP sender and receiver reports (RFC 3550 §6.4) between packets and the leg table.

Reports of all legs are written by a kernel, spread over the ticks of an interval. Reading takes any bytes: what is no RTCP is
left.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from media.dsp.kernel import inline_kernel, kernel

SENDER_REPORT = 200
RECEIVER_REPORT = 201
DESCRIPTION = 202

NAME_CHARACTERS = 16
"""Length of our CNAME (RFC 3550 §6.5.1), one random text a process: it joins a process's streams and tells nothing else."""

REPORT_BYTES = 28 + 24 + 8 + 2 + NAME_CHARACTERS + 2
"""Room for the longest compound that we send: sender report, one block, our CNAME."""

NTP_EPOCH_S = 2208988800
"""Seconds from 1900 to 1970."""


@inline_kernel
def put_number(packet: Any, first: Any, count: Any, value: Any) -> None:
    """Write an unsigned number in network byte order."""
    number = np.uint64(value)
    for i in range(count):
        packet[first + count - 1 - i] = np.uint8((number >> np.uint64(8 * i)) & np.uint64(255))


@inline_kernel
def get_number(packet: Any, first: Any, count: Any) -> Any:
    """Read an unsigned number in network byte order, as int64."""
    value = np.int64(0)
    for i in range(count):
        value = (value << 8) | np.int64(packet[first + i])
    return value


@inline_kernel
def ntp_middle(epoch_ns: Any) -> Any:
    """Return the middle 32 bits of the NTP time of a wall-clock time."""
    seconds = epoch_ns // 1000000000 + NTP_EPOCH_S
    fraction = ((epoch_ns % 1000000000) << 16) // 1000000000
    return ((seconds & 0xFFFF) << 16) | fraction


@inline_kernel
def put_block(leg: Any, packet: Any, at: Any, now_ns: Any) -> None:
    """Write the report block about what the leg receives (RFC 3550 §6.4.1, §A.3)."""
    highest = np.int64(leg.sequence_max) + (np.int64(leg.sequence_cycles) << 16)
    expected = highest - np.int64(leg.sequence_base) + 1
    lost = max(min(expected - leg.packets_received, 0x7FFFFF), -0x800000)
    expected_now = expected - np.int64(leg.expected_prior)
    lost_now = expected_now - (leg.packets_received - np.int64(leg.received_prior))
    leg.expected_prior = expected
    leg.received_prior = leg.packets_received
    fraction = (lost_now << 8) // expected_now if expected_now > 0 and lost_now > 0 else np.int64(0)
    put_number(packet, at, 4, leg.ssrc_in)
    put_number(packet, at + 4, 1, min(fraction, 255))
    put_number(packet, at + 5, 3, lost & 0xFFFFFF)
    put_number(packet, at + 8, 4, highest & 0xFFFFFFFF)
    put_number(packet, at + 12, 4, np.int64(leg.jitter_q4) >> 4)
    put_number(packet, at + 16, 4, leg.ssrc_seen_ntp)
    since = ((now_ns - leg.ssrc_seen_ns) << 16) // 1000000000 if leg.ssrc_seen_ns else np.int64(0)
    put_number(packet, at + 20, 4, min(since, 0xFFFFFFFF))


@kernel
def write_report(leg: Any, packet: Any, now_ns: Any, epoch_ns: Any, name: Any) -> Any:
    """Write a leg's compound report and return its length.

    `packet`: uint8 (≥ REPORT_BYTES,) · `now_ns`: the engine's clock · `epoch_ns`: wall clock · `name`: uint8 (NAME_CHARACTERS,).
    """
    blocks = 1 if leg.started else 0
    sends = leg.packets_sent > 0
    at = 28 if sends else 8
    packet[0] = 0x80 | blocks
    packet[1] = SENDER_REPORT if sends else RECEIVER_REPORT
    put_number(packet, 2, 2, (at + 24 * blocks) // 4 - 1)
    put_number(packet, 4, 4, leg.ssrc_out)
    if sends:
        put_number(packet, 8, 4, (epoch_ns // 1000000000 + NTP_EPOCH_S) & 0xFFFFFFFF)
        put_number(packet, 12, 4, ((epoch_ns % 1000000000) << 32) // 1000000000)
        put_number(packet, 16, 4, leg.ts_out)
        put_number(packet, 20, 4, leg.packets_sent & 0xFFFFFFFF)
        put_number(packet, 24, 4, leg.bytes_sent & 0xFFFFFFFF)
    if blocks:
        put_block(leg, packet, at, now_ns)
        at += 24
    words = (4 + 2 + name.shape[0] + 1 + 3) // 4
    packet[at] = 0x81
    packet[at + 1] = DESCRIPTION
    put_number(packet, at + 2, 2, words)
    put_number(packet, at + 4, 4, leg.ssrc_out)
    packet[at + 8] = 1
    packet[at + 9] = name.shape[0]
    for i in range(name.shape[0]):
        packet[at + 10 + i] = name[i]
    for i in range(at + 10 + name.shape[0], at + 4 + 4 * words):
        packet[i] = 0
    return at + 4 + 4 * words


@inline_kernel
def read_block(leg: Any, packet: Any, at: Any, epoch_ns: Any) -> None:
    """Take the peer's report about what we send: its loss, its jitter, the round trip (RFC 3550 §6.4.1)."""
    leg.peer_lost_q8 = packet[at + 4]
    leg.peer_jitter = get_number(packet, at + 12, 4) & 0x7FFFFFFF
    last = get_number(packet, at + 16, 4)
    if last:
        trip = (ntp_middle(epoch_ns) - last - get_number(packet, at + 20, 4)) & 0xFFFFFFFF
        leg.round_trip_us = (trip * 1000000) >> 16 if trip < 0x80000000 else np.int64(0)


@kernel
def read_compound(leg: Any, packet: Any, length: Any, now_ns: Any, epoch_ns: Any) -> Any:
    """Take a compound from a leg's peer; return how many reports in it were understood. Any bytes are taken."""
    understood = 0
    at = np.int64(0)
    while at + 8 <= length and packet[at] >> 6 == 2:
        end = at + 4 + 4 * get_number(packet, at + 2, 2)
        if end > length:
            break
        kind = packet[at + 1]
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            first = at + (28 if kind == SENDER_REPORT else 8)
            if first > end:
                break
            if kind == SENDER_REPORT and get_number(packet, at + 4, 4) == leg.ssrc_in:
                leg.ssrc_seen_ntp = get_number(packet, at + 10, 4)
                leg.ssrc_seen_ns = now_ns
            for block in range(packet[at] & 31):
                at = first + 24 * block
                if at + 24 > end:
                    break
                if get_number(packet, at, 4) == leg.ssrc_out:
                    read_block(leg, packet, at, epoch_ns)
            understood += 1
        at = end
    return understood
