# SPDX-License-Identifier: GPL-2.0-or-later
"""Which codecs are accepted and which of them are offered, in which order (spec core.md §8).

what the media process has ─► less exclude_payloads ─► codec_order first ─► accepted; those of everyday use among them: offered
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from di.kernel.errors import ConfigError
from media.control.records import AudioFormat

NAMES = "PCMU PCMA GSM G722 G721 G726-16 G726-24 G726-32 G726-40 G729 OPUS SPEEX ILBC L16".split()
"""Payload names that a media process may have."""

ELSEWHERE = "ISAC SILK CODEC2_3200 CODEC2_2400 CODEC2_1600 CODEC2_1400 TELEPHONE-EVENT".split()
"""Payload names of SEMS that a configuration may hold, to no effect."""

EVERYDAY = ("PCMU/8000", "GSM/8000", "PCMA/8000", "G722/8000", "G729/8000", "OPUS/48000", "ILBC/8000", "SPEEX/8000")
"""Offered without being named in `codec_order`. The rest would make an INVITE too long for one UDP packet (RFC 3261 §18.1.1)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`accepted`: every codec that may be used, most wanted first · `offered`: those of them in our own offers."""

    accepted: tuple[AudioFormat, ...]
    offered: tuple[AudioFormat, ...]


def check(order: Sequence[str], excluded: Sequence[str], file: str, line: int) -> None:
    """Judge the configuration before it is known what the media process has. Raises ConfigError as `choose` does, and for a name in
    `codec_order` that is none; `exclude_payloads` may hold any.
    """
    for name in order:
        if name.partition("/")[0].upper() not in (*NAMES, *ELSEWHERE):
            raise ConfigError(file, line, "codec_order", f"{name!r} is no codec; there are: {', '.join(NAMES)}")
    choose([AudioFormat(name, 8000) for name in NAMES], (), excluded, file, line)


def choose(
    formats: Sequence[AudioFormat], order: Sequence[str], excluded: Sequence[str], file: str = "", line: int = 0
) -> Choice:
    """Choose among what the media process has. A name (`speex`) means all its rates, with a clock (`speex/16000`) one.

    Order: as in `codec_order`, then by static payload number, then as the media process lists them. Raises ConfigError when
    nothing is left.
    """
    unnamed = sorted(formats, key=lambda known: known.payload_type if known.payload_type >= 0 else 128)
    named = [known for name in order for known in unnamed if _means(name, known)]
    accepted = [known for known in dict.fromkeys(named + unnamed) if not any(_means(name, known) for name in excluded)]
    if not accepted:
        here = ", ".join(known.codec for known in unnamed) or "none"
        raise ConfigError(file, line, "exclude_payloads", f"no codec is left; there are: {here}")
    offered = [known for known in accepted if known in named or known.codec in EVERYDAY]
    return Choice(tuple(accepted), tuple(offered or accepted[:1]))


def _means(name: str, known: AudioFormat) -> bool:
    return name.upper() in (known.codec, known.name.upper())
