# SPDX-License-Identifier: GPL-2.0-or-later
"""One file a codec; ``find`` looks them up by rtpmap name and clock. Codecs whose library this machine lacks are left out."""

from __future__ import annotations

from media.codecs import g711, gsm, itu, l16, opus, speex
from media.codecs.codec import Codec

ALL: tuple[Codec, ...] = (*g711.CODECS, *l16.CODECS, *itu.CODECS, *gsm.CODECS, *speex.CODECS, *opus.CODECS)


def find(rtpmap: str, clock_hz: int) -> Codec | None:
    """Return the codec of that rtpmap name and RTP clock, or None when there is none."""
    for codec in ALL:
        if codec.rtpmap == rtpmap.upper() and codec.clock_hz == clock_hz:
            return codec
    return None


def names() -> str:
    """Return the known codecs as text, for messages."""
    return " ".join(f"{codec.rtpmap}/{codec.clock_hz}" for codec in ALL)
