# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets of legs with SRTP opened as they come and closed as they leave, by kernels that call libsrtp (RFC 3711).

    datagram ─ leg.secure? ─► open_packet ─┬─ plain bytes, in their place: all that follows is as without SRTP
                                           └─ not authentic, replayed: counted, and nobody hears of it
    due packets ─► headers, codecs, digits ─► protect_due ─► sendmmsg

While a peer changes its key, packets under the old one are still on their way, and nobody says whether its rollover counter goes on
(RFC 3711 §3.3.1) or begins anew: then a leg has up to CONTEXTS contexts, tried in turn, until one of the new ones has opened something.
What is steered by commands is in ``secure_legs.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from media.dsp.kernel import borrowed, bytes_at, call_3, call_4, inline_kernel, steady_kernel
from media.engine.counters import NOT_AUTHENTIC, NOT_PROTECTED, REPLAYED
from media.rtp.srtp_numbers import (
    NOT_AUTHENTIC as IS_NOT_AUTHENTIC,
)
from media.rtp.srtp_numbers import (
    OK,
    PROTECT,
    PROTECT_RTCP,
    REPLAY,
    REPLAY_OLD,
    TAG_BYTES,
    UNPROTECT,
    UNPROTECT_RTCP,
    WRONG_MKI,
)

CONTEXTS = 3
MOST_SSRCS = 64
"""Streams that a peer may have under one key: libsrtp keeps a context for each, and only for those that were authentic."""
COPY_BYTES = 2112

SECURE = np.dtype(
    [
        ("incoming", "u8", CONTEXTS),  # contexts in the order in which they are tried; 0: none
        ("opened", "i8", CONTEXTS),  # packets that each has opened
        ("outgoing", "u8"),
        ("not_authentic", "i8"),
        ("replayed", "i8"),
        ("not_protected", "i8"),
        ("mki", "u4"),  # 1: the peer's packets carry one
        ("length", "i4"),  # of the packet that libsrtp works on: it reads and writes it
        ("ssrc_count", "i4"),
        ("ssrcs", "u4", MOST_SSRCS),
        ("copy", "u1", COPY_BYTES),  # of a packet that is tried in several contexts: some write before they know
    ],
    align=True,
)
_BYTES = SECURE.itemsize
_LENGTH = SECURE.fields["length"][1] if SECURE.fields else 0


@inline_kernel
def knows(keys: Any, ssrc: Any) -> Any:
    """Return whether a stream has been heard under these keys."""
    found = False
    for i in range(keys.ssrc_count):
        found = found or keys.ssrcs[i] == ssrc
    return found


@inline_kernel
def open_in_turn(secure: Any, at: Any, function: Any, data: Any, length: Any) -> Any:
    """Open a packet in place by the first context that can; return libsrtp's status."""
    keys = secure[at]
    length_address = np.uint64(secure.ctypes.data + at * _BYTES + _LENGTH)
    several = keys.incoming[1] != 0
    status: Any = np.int32(IS_NOT_AUTHENTIC)
    if several:
        for i in range(length):
            keys.copy[i] = data[i]
    for turn in range(CONTEXTS):
        context = keys.incoming[turn]
        if context == 0:
            break
        if turn:
            for i in range(length):
                data[i] = keys.copy[i]
        keys.length = length
        status = call_4(function, context, np.uint64(data.ctypes.data), length_address, keys.mki)
        if status == OK:
            keys.opened[turn] += 1
            break
        if status not in (IS_NOT_AUTHENTIC, WRONG_MKI):
            break
    return status


@inline_kernel
def open_packet(into: Any, at: Any, data: Any, length: Any, is_report: Any) -> Any:
    """Open a packet in place; return how long it is then, or -1 for one that is to be dropped. `at`: row of the leg's keys."""
    keys = into.secure[at]
    first = 4 if is_report else 8
    if length < first + 4 or length > COPY_BYTES:
        into.counters[NOT_AUTHENTIC] += 1
        keys.not_authentic += 1
        return np.int64(-1)
    ssrc: Any = np.uint32(0)
    for i in range(4):
        ssrc = (ssrc << np.uint32(8)) | np.uint32(data[first + i])
    known = knows(keys, ssrc)
    status: Any = np.int32(IS_NOT_AUTHENTIC)
    if known or keys.ssrc_count < MOST_SSRCS:
        status = open_in_turn(into.secure, at, into.srtp[UNPROTECT_RTCP if is_report else UNPROTECT], data, length)
    if status == OK:
        if not known:
            keys.ssrcs[keys.ssrc_count] = ssrc
            keys.ssrc_count += 1
        return np.int64(keys.length)
    if status in (REPLAY, REPLAY_OLD):
        into.counters[REPLAYED] += 1
        keys.replayed += 1
    else:
        into.counters[NOT_AUTHENTIC] += 1
        keys.not_authentic += 1
    return np.int64(-1)


@inline_kernel
def protect(secure: Any, at: Any, function: Any, data: Any, length: Any) -> Any:
    """Protect a packet in place, with room for what is added; return how long it is then, -1 when it may not leave."""
    keys = secure[at]
    keys.length = length
    length_address = np.uint64(secure.ctypes.data + at * _BYTES + _LENGTH)
    if keys.outgoing != 0 and call_3(function, keys.outgoing, np.uint64(data.ctypes.data), length_address) == OK:
        return np.int64(keys.length)
    keys.not_protected += 1
    return np.int64(-1)


@inline_kernel
def protect_report(secure: Any, functions: Any, at: Any, data: Any, length: Any) -> Any:
    """The same for RTCP."""
    return protect(secure, at, functions[PROTECT_RTCP], data, length)


@steady_kernel
def protect_due(legs: Any, packets: Any, secure: Any, functions: Any, counters: Any) -> None:
    """Protect this tick's packets; one that cannot be does not leave.

    `legs`: LEG (n,), written · `packets`: uint8 (n, most), written · `secure`: SECURE (m,), written · `functions`: ``srtp.functions``.
    """
    legs, packets, secure = borrowed(legs), borrowed(packets), borrowed(secure)
    functions, counters = borrowed(functions), borrowed(counters)
    for row in range(legs.shape[0]):
        leg = legs[row]
        if not leg.due or leg.secure == 0:
            continue
        length: Any = np.int64(-1)
        if leg.packet_bytes + TAG_BYTES <= packets.shape[1]:
            packet = bytes_at(np.uint64(packets.ctypes.data + row * packets.strides[0]), packets.shape[1])
            length = protect(secure, np.int64(leg.secure), functions[PROTECT], packet, np.int64(leg.packet_bytes))
        if length < 0:
            leg.due = 0
            counters[NOT_PROTECTED] += 1
        else:
            leg.packet_bytes = length
