# SPDX-License-Identifier: GPL-2.0-or-later
"""Attribute lines that mean something to another phone only: a call that is connected with another may carry them over.

What describes codecs, direction, keys, addresses and the packets themselves is a matter of each side and its own media, and stays there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from interfaces.sip.sdp.crypto import PROFILE
from interfaces.sip.sdp.memories import bounded
from interfaces.sip.sdp.model import MediaDescription, SessionDescription

_OF_ONE_SIDE = frozenset(
    "rtpmap fmtp ptime maxptime sendrecv sendonly recvonly inactive rtcp rtcp-mux rtcp-mux-only rtcp-rsize rtcp-fb rtcp-xr crypto "
    "key-mgmt fingerprint setup connection tls-id candidate end-of-candidates remote-candidates ice-ufrag ice-pwd ice-options ice-lite "
    "ice-pacing ice-mismatch mid group bundle-only msid msid-semantic ssrc ssrc-group extmap extmap-allow-mixed rid simulcast "
    "imageattr source-filter rtcp-unicast acap tcap pcfg acfg csup creq".split()
) | {PROFILE}
"""Ours is for the SIP process alone. RFC 4566 §6, RFC 3264, 3605, 4568, 4585, 5245, 5285, 5576, 5763, 5888, 5939, 8285, 8839, 8843, 9143."""
_LINE = re.compile(r"a=([!#-'*+\-.0-9A-Z^-~]+)(?::[^\x00-\x1f\x7f]*)?")
MOST_LINES, LONGEST_LINE = 32, 512
"""What comes after, and longer lines, stay behind: an INVITE by UDP has no room for them."""


def may_carry(lines: Iterable[str]) -> tuple[str, ...]:
    """Those of some lines, without their ends, that are attributes of this kind; at most `MOST_LINES`."""
    found = []
    for line in lines:
        known = _LINE.fullmatch(line) if len(line) <= LONGEST_LINE else None
        if known is not None and known[1].lower() not in _OF_ONE_SIDE:
            found.append(line)
    return tuple(found[:MOST_LINES])


def carried(stream: MediaDescription | None) -> tuple[str, ...]:
    """Those of a stream, without line ends."""
    return _carried(stream.attributes) if stream is not None else ()


@bounded
@lru_cache(1024)  # phones of one model say the same in each call
def _carried(lines: tuple[str, ...]) -> tuple[str, ...]:
    return may_carry(line.rstrip("\r\n") for line in lines)


def carrying(description: SessionDescription, lines: tuple[str, ...]) -> SessionDescription:
    """With such lines at the end of the audio; what is none of them is left out."""
    if not lines:
        return description
    at = next((place for place, stream in enumerate(description.media) if stream.is_live_audio), -1)
    good = may_carry(lines)
    if at < 0 or not good:
        return description
    media = list(description.media)
    media[at] = media[at].with_lines(*good)
    return SessionDescription(description.lines, tuple(media))
