# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of SRTP in session descriptions (RFC 4568, suites also of RFC 7714): lines read and written, streams chosen, keys hidden from logs. Pure.

    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:<key and salt>|2^20|1:4 WSH=128
             │ │                              │              │    │   └ of the session
             │ └ suite                        └ base64       │    └ master key identifier and how many bytes packets carry of it
             └ tag: the answer repeats it                    └ lifetime in packets

A line that cannot be used as a whole counts as not there (§5.1.2): an unknown suite or method, a key of another length, parameters that would
leave something unprotected, or that change how keys are derived.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from interfaces.sip.sdp.model import MediaDescription, SessionDescription
from media.control.records import SrtpKey
from media.control.srtp_library import SUITES

PROFILE = "x-cordboard-profile"
"""Attribute of our descriptions on their way through pjmedia, which negotiates RTP/AVP only: what the stream says when it leaves (shim)."""
PLAIN_PROFILE = "RTP/AVP"
_SECURE = ("RTP/SAVP", "RTP/SAVPF")
LONGEST_MKI_BYTES, MOST_KEYS = 128, 16
"""What libsrtp takes."""
LONGEST_LIFETIME = 2**48
"""Packets under one key (RFC 3711 §9.2)."""

_TAG = re.compile(r"[0-9]{1,9}", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)
_WINDOW = re.compile(r"WSH=[0-9]{2,9}", re.ASCII | re.IGNORECASE)
_LINE = re.compile(rb"(?i)crypto[^\r\n]*")
_KEY = re.compile(rb"(?i)(inline:)([^|;\s]+)")


class Crypto(NamedTuple):
    """A line that can be used. `keys`: the writer's, for what it sends."""

    tag: int
    suite: str
    keys: tuple[SrtpKey, ...]


def crypto_of(value: str) -> Crypto | None:
    """What a crypto attribute's value offers; None when it cannot be used."""
    words = value.split()
    if len(words) < 3 or not _TAG.fullmatch(words[0]):
        return None
    suite = words[1].upper()
    if suite not in SUITES or not all(_can_be_met(parameter) for parameter in words[3:]):
        return None
    keys = [_key_of(part, sum(SUITES[suite])) for part in words[2].split(";")]
    good = tuple(key for key in keys if key is not None)
    if len(good) < len(keys) or len(good) > MOST_KEYS or len({len(key.mki) for key in good}) != 1:
        return None
    if len(good) > 1 and (not good[0].mki or len({key.mki for key in good}) < len(good)):
        return None
    return Crypto(int(words[0]), suite, good)


def _can_be_met(parameter: str) -> bool:
    """Of a session parameter: the window is a hint, one that begins with `-` may be passed over (§6.3.7); others change what packets are."""
    return parameter.startswith("-") or _WINDOW.fullmatch(parameter) is not None


def _key_of(text: str, key_bytes: int) -> SrtpKey | None:
    """A key parameter: `inline:key`, then lifetime and master key identifier, either of which may be left out (§6.1)."""
    method, _, info = text.partition(":")
    key, *more = info.split("|")
    if method.lower() != "inline" or len(more) > 2 or not _BASE64.fullmatch(key):
        return None
    try:
        raw = base64.b64decode(key.rstrip("=") + "=" * (-len(key.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    mki: bytes | None = b""
    if more and ":" in more[-1]:
        mki = _mki_of(more.pop())
    if len(raw) != key_bytes or mki is None or len(more) > 1 or not all(_is_lifetime(one) for one in more):
        return None
    return SrtpKey(raw, mki)


def _mki_of(text: str) -> bytes | None:
    value, _, length = text.partition(":")
    if not (_digits(value, 310) and _digits(length, 3)):
        return None
    count = int(length)
    if not 1 <= count <= LONGEST_MKI_BYTES or int(value) >= 1 << 8 * count:
        return None
    return int(value).to_bytes(count, "big")


def _is_lifetime(text: str) -> bool:
    power = text.startswith("2^")
    number = text[2:] if power else text
    if not _digits(number, 2 if power else 15):
        return False
    return 0 < (1 << int(number) if power else int(number)) <= LONGEST_LIFETIME


def _digits(text: str, most: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= most


def crypto_line(tag: int, suite: str, key: bytes) -> str:
    """A line that offers or accepts a suite with our key; without a line end."""
    return f"a=crypto:{tag} {suite} inline:{base64.b64encode(key).decode()}"


def usable(stream: MediaDescription | None, suites: Sequence[str], first: str = "") -> Crypto | None:
    """The line of a stream that we take: of the suite `first` if it has one, else the one that its writer wants most."""
    if stream is None or not suites:
        return None
    found = [one for value in stream.values("crypto") if (one := crypto_of(value)) is not None and one.suite in suites]
    return next((one for one in found if one.suite == first), found[0] if found else None)


def is_secure(stream: MediaDescription) -> bool:
    """Whether its profile allows nothing but SRTP."""
    return stream.protocol.upper() in _SECURE


def chosen(description: SessionDescription, suites: Sequence[str]) -> SessionDescription:
    """With one kind of audio left: of streams with and without SRTP those that can be had, the others refused (port 0). Without `suites` plain ones.

    The same object where there is no choice.
    """
    live = [place for place, stream in enumerate(description.media) if stream.is_live_audio]
    secure = [place for place in live if is_secure(description.media[place])]
    if len(live) < 2 or not secure:
        return description
    good = [place for place in secure if usable(description.media[place], suites) is not None][:1]
    good = good or [place for place in live if place not in secure] or live[:1]
    media = (
        stream.with_head(port=0) if place in live and place not in good else stream
        for place, stream in enumerate(description.media)
    )
    return replace(description, media=tuple(media))


def for_pjmedia(description: SessionDescription) -> SessionDescription:
    """As pjmedia negotiates it: audio with SRTP as if it were without, and no keys. The same object when there is nothing of that."""

    def plain(stream: MediaDescription) -> MediaDescription:
        bare = stream.without(lambda line: line.startswith("a=crypto:")) if stream.values("crypto") else stream
        return bare.with_head(protocol=PLAIN_PROFILE) if stream.is_live_audio and is_secure(stream) else bare

    media = tuple(plain(stream) for stream in description.media)
    return (
        description
        if all(new is old for new, old in zip(media, description.media, strict=True))
        else replace(description, media=media)
    )


def leaving_as(stream: MediaDescription, profile: str) -> MediaDescription:
    """Our stream, which is to leave with this profile."""
    return stream if profile == PLAIN_PROFILE else stream.with_lines(f"a={PROFILE}:{profile}")


def with_crypto(description: SessionDescription, lines: Sequence[str], profile: str) -> SessionDescription:
    """Our description with these crypto lines in the audio, which leaves with this profile."""

    def stream(one: MediaDescription) -> MediaDescription:
        return leaving_as(one.with_lines(*lines) if lines else one, profile) if one.is_live_audio else one

    return replace(description, media=tuple(stream(one) for one in description.media))


def without_keys(data: bytes) -> bytes:
    """A description, or a message with one, with each key in it crossed out; as long as it was."""
    if b"crypto" not in data.lower():
        return data
    return _LINE.sub(lambda line: _KEY.sub(lambda key: key[1] + b"*" * len(key[2]), line[0]), data)
