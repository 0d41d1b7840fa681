# SPDX-License-Identifier: GPL-2.0-or-later
"""The media process's codecs made known to pjmedia, so that pjsua negotiates them; pjmedia itself never codes a frame here.

Listen.formats ─► take_over ─► shim/codecs.c ─► pjmedia's codec manager ─► offers, answers, one empty codec a stream
"""

from __future__ import annotations

from collections.abc import Sequence

from interfaces.sip.shim import ffi, lib
from media.control.records import AudioFormat

_G722 = 9


class CodecsRefused(Exception):
    """pjmedia has no place for the codecs."""


def take_over(formats: Sequence[AudioFormat]) -> None:
    """Replace pjmedia's codecs, once a process. Raises CodecsRefused."""
    texts = [
        [ffi.new("char[]", text.encode()) for text in (known.name, known.fmtp)] for known in formats
    ]  # must outlive the call
    table = ffi.new("shim_format[]", len(formats))
    for place, known, (name, fmtp) in zip(table, formats, texts, strict=True):
        place.name, place.fmtp = name, fmtp
        place.payload_type, place.clock_hz = known.payload_type, pjmedia_clock_hz(known)
        place.channels, place.bit_rate = known.channels, known.bit_rate
    if lib.shim_codecs(table, len(formats)) != 0:
        raise CodecsRefused(f"this pjproject has no place for {len(formats)} codecs: run make setup, which builds one that has")


def pjmedia_clock_hz(known: AudioFormat) -> int:
    """pjmedia's clock of a format: that of the samples for G.722, whose RTP clock is half of it (RFC 3551 §4.5.2)."""
    return known.rate_hz if known.payload_type == _G722 else known.clock_hz
