# SPDX-License-Identifier: GPL-2.0-or-later
"""One file a codec; ``find`` looks them up by rtpmap name and clock. Codecs whose library this machine lacks are left out."""

from __future__ import annotations

from media.codecs import g711, g729, gsm, ilbc, itu, l16, opus, speex
from media.codecs.codec import Codec
from media.control.records import AudioFormat

ALL: tuple[Codec, ...] = (
    *g711.CODECS, *gsm.CODECS, *opus.CODECS, *itu.CODECS, *g729.CODECS, *speex.CODECS, *ilbc.CODECS, *l16.CODECS,
)  # fmt: skip
"""Those whose payload type is a matter of agreement in the order in which they are offered."""


def find(rtpmap: str, clock_hz: int, fmtp: str = "") -> Codec | None:
    """Return the codec of that rtpmap name and RTP clock for a peer with such parameters, or None when there is none."""
    for codec in ALL:
        if codec.rtpmap == rtpmap.upper() and codec.clock_hz == clock_hz and codec.takes(fmtp):
            return codec
    return None


def names() -> str:
    """Return the known codecs as text, for messages."""
    return " ".join(f"{codec.rtpmap}/{codec.clock_hz}" for codec in ALL)


def formats() -> tuple[AudioFormat, ...]:
    """Return what session descriptions say of the codecs; of one that has several records, what its first one says."""
    made: dict[tuple[str, int], AudioFormat] = {}
    for codec in ALL:
        said = codec.said
        made.setdefault(
            (codec.rtpmap, codec.clock_hz),
            AudioFormat(
                said.name or codec.rtpmap,
                codec.clock_hz,
                codec.channels,
                said.payload_type,
                codec.rate_hz,
                said.bit_rate,
                said.fmtp,
            ),
        )
    return tuple(made.values())
