# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests ask of a session description's text."""

from __future__ import annotations

from interfaces.sip.sdp.model import parse


def audio_address(text: str) -> tuple[str, int]:
    """Where its audio goes."""
    return parse(text).audio_address


def audio_codecs(text: str) -> list[str]:
    """The codecs of its audio, as upper-case `NAME/clock`."""
    return list(parse(text).codecs)


def fmtp_of(text: str, payload_type: int) -> str:
    """The parameters of a payload type of its audio."""
    audio = parse(text).audio
    return audio.fmtp(str(payload_type)) if audio is not None else ""
