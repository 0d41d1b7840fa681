# SPDX-License-Identifier: GPL-2.0-or-later
"""What makes pjsip's description ours: codecs left out and put in order, direction, address (RFC 3264).

pjsip does offer/answer; the addresses that it writes belong to no socket, since media is another process's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, wraps
from typing import TypeVarTuple

from interfaces.sip.sdp.memories import bounded
from interfaces.sip.sdp.model import (
    END,
    EVENT_CLOCK_HZ,
    STANDARD_PTIME_MS,
    STATIC,
    Meaning,
    MediaDescription,
    SessionDescription,
    lines_of,
    parse,
)

Streams = Callable[[MediaDescription], MediaDescription]
OWN_NAME = "sems"
"""Origin user and session name (spec core.md §7.3)."""
Given = TypeVarTuple("Given")

_EACH_ITS_OWN = ("a=rtcp:", "a=ssrc:")
_NOT_OURS = (*_EACH_ITS_OWN, "a=ptime:", "b=AS:", "b=TIAS:")
"""pjsip's: reports go to RTP's port plus one, and its bandwidths are those of the widest codec that it knows, whichever is spoken."""
_EVENT_NUMBERS = ("101", *map(str, range(96, 128)))
"""Payload types for telephone-event, the usual one first."""


def _remembered(
    change: Callable[[SessionDescription, *Given], SessionDescription],
) -> Callable[[SessionDescription, *Given], SessionDescription]:
    """A change that looks at the streams alone, and at values that can be compared: what it made of the same ones before is kept.

    pjsip writes the same streams for every call (see ``steady``), and phones of one model offer the same.
    """

    @bounded
    @lru_cache(512)
    def streams(media: tuple[MediaDescription, ...], given: tuple[*Given]) -> tuple[MediaDescription, ...]:
        return change(SessionDescription((), media), *given).media

    @wraps(change)
    def changed(description: SessionDescription, *given: *Given) -> SessionDescription:
        return SessionDescription(description.lines, streams(description.media, given))

    return changed


def parsed(text: str) -> SessionDescription:
    """As `parse`, of a description that pjsip has written: its streams are mostly those of the call before."""
    at = text.find("\nm=") + 1
    return SessionDescription(lines_of(text[:at]), _streams(text[at:])) if at else parse(text)


@bounded
@lru_cache(256)
def _streams(text: str) -> tuple[MediaDescription, ...]:
    return parse(text).media


def steady(text: str) -> str:
    """pjsip's description without what it writes differently into each: the port of its first stream, which is no socket's, and its SSRC."""
    head, stream, rest = text.partition("\nm=audio ")
    port, blank, rest = rest.partition(" ")
    if not stream or not port.isdigit() or port == "0":
        return text
    for start in _EACH_ITS_OWN:
        before, found, after = rest.partition(f"\n{start}")
        rest = f"{before}\n{after.partition(chr(10))[2]}" if found else rest
    return f"{head}{stream}9{blank}{rest}"


def _audio(description: SessionDescription, change: Streams) -> SessionDescription:
    """With each audio stream that is not refused changed."""
    return replace(description, media=tuple(change(one) if one.is_live_audio else one for one in description.media))


def placed(
    description: SessionDescription, ip: str, port: int, user: str = OWN_NAME, ptime_ms: int = STANDARD_PTIME_MS
) -> SessionDescription:
    """Point the audio at `ip:port`: its m= port, every c= line and the origin. A stream that is refused stays so.

    `user` becomes origin user and session name. `ptime_ms`: wished for in the first audio stream when it is not the
    20 ms that need no word.
    """
    family = "IP6" if ":" in ip else "IP4"
    connection = f"c=IN {family} {ip}{END}"

    lines = []
    for line in description.lines:
        start = line[:2]
        if start == "c=":
            lines.append(connection)
        elif start == "s=":
            lines.append(f"s={user}{END}")
        elif start == "o=" and len(words := line[2:].split()) == 6:
            lines.append(f"o={user} {words[1]} {words[2]} IN {family} {ip}{END}")
        elif not line.startswith(_NOT_OURS):
            lines.append(line)
    there = _at(description, connection).media
    moved = SessionDescription(tuple(lines), tuple([one.with_head(port=port) if one.is_live_audio else one for one in there]))
    if ptime_ms != STANDARD_PTIME_MS and moved.media and moved.media[0].kind == "audio":
        moved = replace(moved, media=(moved.media[0].with_lines(f"a=ptime:{ptime_ms}"), *moved.media[1:]))
    return moved


def at_address(description: SessionDescription, family: str, host: str) -> SessionDescription:
    """With this address in every c= line; the origin stays."""

    def line_of(line: str) -> str:
        return f"c=IN {family} {host}{END}" if line.startswith("c=") else line

    media = tuple(MediaDescription(tuple(line_of(line) for line in stream.lines)) for stream in description.media)
    return SessionDescription(tuple(line_of(line) for line in description.lines), media)


@_remembered
def _at(description: SessionDescription, connection: str) -> SessionDescription:
    """With this c= line in place of each of the streams', and without what is not ours."""

    def stream(one: MediaDescription) -> MediaDescription:
        rest = (connection if line.startswith("c=") else line for line in one.lines[1:] if not line.startswith(_NOT_OURS))
        return MediaDescription((one.lines[0], *rest))

    return replace(description, media=tuple(stream(one) for one in description.media))


@_remembered
def keep_codecs(description: SessionDescription, wanted: frozenset[str]) -> SessionDescription:
    """Leave only codecs of these upper-case `NAME/clock` in the audio, and telephone-event at their clocks.

    Where none would be left a stream stays as it is.
    """
    return _audio(description, lambda stream: _thinned(stream, wanted))


@_remembered
def answering(description: SessionDescription, offer: Meaning) -> SessionDescription:
    """Our answer to an offer, of all that we can speak."""
    return agree_on_mode(keep_offered(description, offer), offer)


def _thinned(stream: MediaDescription, wanted: frozenset[str]) -> MediaDescription:
    maps = stream.rtpmaps
    kept = {kind for kind in stream.formats if kind in maps and maps[kind].codec in wanted}
    clocks = {maps[kind].clock_hz for kind in kept}
    kept |= {kind for kind, clock_hz in stream.events.items() if clock_hz in clocks}
    if not clocks or len(kept) == len(stream.formats):
        return stream
    return stream.keeping(kind for kind in stream.formats if kind in kept)


@_remembered
def keep_offered(description: SessionDescription, offer: Meaning) -> SessionDescription:
    """Leave only what an offer has: what pjsip keeps of ours a call is then short. By name, and static types by number too."""
    numbered = {STATIC[kind].codec for kind in offer.formats if kind in STATIC}
    return keep_codecs(description, frozenset(numbered.union(offer.codecs)))


@_remembered
def only(description: SessionDescription, codecs: tuple[str, ...]) -> SessionDescription:
    """Like ``keep_codecs``, but without any of them the audio is refused (port 0). Empty `codecs` change nothing."""
    if not codecs:
        return description
    if any(name in codecs for name in description.codecs):
        return keep_codecs(description, frozenset(codecs))
    return _audio(description, lambda stream: stream.with_head(port=0))


@_remembered
def with_events_of(description: SessionDescription, offer: Meaning) -> SessionDescription:
    """Our answer with telephone-event at each clock at which an offer has it.

    It should be the audio's (RFC 4733 §2.1), but many phones offer 8000 Hz beside any codec. pjsip leaves the fitting ones in, else the first.
    """
    clocks_hz = tuple(offer.events.values())
    return _audio(description, lambda stream: _with_events(stream, clocks_hz))


@_remembered
def with_own_events(description: SessionDescription) -> SessionDescription:
    """Our offer with telephone-event at the clock of each codec and, for the phones that know no other, at 8000 Hz."""

    def stream(one: MediaDescription) -> MediaDescription:
        maps = one.rtpmaps
        return _with_events(one, (*(maps[kind].clock_hz for kind in one.formats if kind in maps), EVENT_CLOCK_HZ))

    return _audio(description, stream)


def _with_events(stream: MediaDescription, clocks_hz: tuple[int, ...]) -> MediaDescription:
    """With telephone-event at these clocks, too, as long as payload types are free."""
    for clock_hz in dict.fromkeys(clocks_hz):
        kind = next((one for one in _EVENT_NUMBERS if one not in stream.formats), "")
        if kind and clock_hz not in stream.events.values():
            lines = (f"a=rtpmap:{kind} telephone-event/{clock_hz}", f"a=fmtp:{kind} 0-16")
            stream = stream.with_head(formats=[*stream.formats, kind]).with_lines(*lines)
    return stream


def refused(description: SessionDescription) -> SessionDescription:
    """With every stream refused (RFC 3264 §6)."""
    return replace(description, media=tuple(one.with_head(port=0) for one in description.media))


@_remembered
def in_order(description: SessionDescription, codecs: tuple[str, ...]) -> SessionDescription:
    """Name the audio's codecs in this order, the most wanted first; what is not among them, and telephone-event, comes after."""
    rank = {name: place for place, name in enumerate(codecs)}
    return _audio(
        description,
        lambda one: one.with_head(formats=sorted(one.formats, key=lambda kind: rank.get(one.codec(kind), len(rank)))),
    )


@_remembered
def with_direction(description: SessionDescription, direction: str) -> SessionDescription:
    """Give the audio this direction (RFC 4566 §6), in place of the one that it has."""
    return _audio(description, lambda stream: stream if stream.direction == direction else stream.with_direction(direction))


@_remembered
def agree_on_mode(description: SessionDescription, offer: Meaning) -> SessionDescription:
    """Make our answer's iLBC frame length the offer's: 30 ms unless that says 20 (RFC 3952 §5). `description`: with all that we take."""
    if "ILBC/8000" not in description.codecs:
        return description
    asked = [offer.fmtp(kind) for kind in offer.formats if offer.codec(kind) == "ILBC/8000"]
    if any("mode=20" in fmtp.replace(" ", "").split(";") for fmtp in asked):
        return description
    return _audio(description, _slower)


def _slower(stream: MediaDescription) -> MediaDescription:
    ours = tuple(f"a=fmtp:{kind} " for kind in stream.formats if stream.codec(kind) == "ILBC/8000")
    lines = (f"{line[: line.find(' ')]} mode=30{END}" if ours and line.startswith(ours) else line for line in stream.lines)
    return MediaDescription(tuple(lines))
