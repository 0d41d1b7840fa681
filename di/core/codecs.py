# SPDX-License-Identifier: GPL-2.0-or-later
"""Which codecs are offered and accepted, in which order (spec core.md §8)."""

from __future__ import annotations

from collections.abc import Sequence

from di.errors import ConfigError

AVAILABLE = ("PCMU/8000", "GSM/8000", "PCMA/8000", "G722/8000", "OPUS/48000")
"""Codecs that media process and SIP stack both have, by rtpmap name and clock, in ascending payload number: the order of the offer."""

_KNOWN_ELSEWHERE = (
    "G721",
    "G726",
    "ILBC",
    "L16",
    "SPEEX",
    "ISAC",
    "SILK",
    "G729",
    "CODEC2",
    "TELEPHONE-EVENT",
)


def offer(order: Sequence[str], excluded: Sequence[str], file: str, line: int) -> tuple[str, ...]:
    """Codecs to offer: those of `codec_order` first, then the rest, less `exclude_payloads`.

    Names of SEMS's other codecs are passed over. Raises ConfigError for an unknown name, or when nothing is left.
    """
    names = {codec.partition("/")[0].upper(): codec for codec in AVAILABLE}
    wanted: list[str] = []
    for name in order:
        codec = names.get(name.partition("/")[0].upper())
        if codec is not None:
            wanted.append(codec)
        elif not name.upper().startswith(_KNOWN_ELSEWHERE):
            raise ConfigError(file, line, "codec_order", f"{name!r} is no codec; there are: {', '.join(names)}")
    wanted += [codec for codec in AVAILABLE if codec not in wanted]
    left = tuple(codec for codec in wanted if codec.partition("/")[0] not in excluded)
    if not left:
        raise ConfigError(file, line, "exclude_payloads", f"no codec is left; there are: {', '.join(names)}")
    return left
