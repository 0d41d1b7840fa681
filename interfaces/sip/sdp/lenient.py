# SPDX-License-Identifier: GPL-2.0-or-later
"""What phones and carriers write, as pjsip takes it: one pass over each description that comes, before pjsip sees it.

pjsip refuses the whole call for one line that it cannot use. Here that line is left out, or said as it was meant (``mended``): what only a
stream needs and lacks refuses that stream, what nobody needs is gone. A description in which all is well is returned as it is.

Two kinds of address are kept from pjsip, which answers the first with the same and cannot use the second: none at all (hold as RFC 2543
had it, and a name below `.invalid`: RFC 6157 §3.1), and host names. It gets one of the documentation networks instead (``with_stand_ins``);
nothing is sent there, since the hub is told what the peer wrote (``interfaces.sip.mapping``).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from interfaces.sip.sdp.lines import NEEDED, PLAIN, STAND_IN, TOKEN, host_sort, mended_line, mended_session
from interfaces.sip.sdp.memories import bounded
from interfaces.sip.sdp.model import (
    END,
    EVENT,
    ConnectionData,
    Meaning,
    MediaDescription,
    Rtpmap,
    SessionDescription,
    closed,
    connection_of,
    described_format,
    number,
    rtpmap_of,
)

MOST_FORMATS, MOST_ATTRIBUTES = 64, 68
"""Of a stream: what comes after is passed over. Formats in pjmedia as set-up builds it, attributes in one that is built by default."""
_FIRST_DYNAMIC, _LAST_TYPE = 96, 127
_ONE_WAY = {"sendrecv": "sendonly", "recvonly": "inactive"}
"""The direction of who cannot receive."""
_PJSIP_TAKES = ("address", "wrong")
"""Sorts of host that it takes, or refuses as it should."""


def mended(description: SessionDescription, known: Collection[str] = ()) -> SessionDescription:
    """The description as it was meant, the same object when nothing was wrong. `known`: the codecs (`NAME/clock`) that can be spoken.

    Addresses stay as they are: see ``with_stand_ins``.
    """
    plain = PLAIN.fullmatch(str(description)) is not None
    session = description.lines if plain else mended_session(description.lines)
    media = tuple([_stream(stream, description, known, plain) for stream in description.media])
    if session == description.lines and all(new is old for new, old in zip(media, description.media, strict=True)):
        return description
    if media:
        session = closed(session)
    return SessionDescription(session, tuple(MediaDescription(closed(one.lines)) for one in media))


def with_stand_ins(description: SessionDescription) -> SessionDescription:
    """With an address that pjsip can do with in place of each that it cannot; the same object when there is none."""
    found = [one for one in (description.connection, *(stream.connection for stream in description.media)) if one is not None]
    if all(host_sort(one.host)[1] in _PJSIP_TAKES for one in found):
        return description
    return SessionDescription(
        tuple(_stand_in(line) for line in description.lines),
        tuple(MediaDescription(tuple(_stand_in(line) for line in stream.lines)) for stream in description.media),
    )


def _stand_in(line: str) -> str:
    said = connection_of(line) if line.startswith("c=") else None
    if said is None or host_sort(said.host)[1] in _PJSIP_TAKES:
        return line
    family = host_sort(said.host)[0] or said.family
    return f"c=IN {family} {STAND_IN[family]}{END}"


def is_on_hold(connection: ConnectionData | None) -> bool:
    """Whether an address says that nothing can be received there."""
    if connection is None:
        return False
    host = connection.host.rstrip(".").lower()
    return host == "invalid" or host.endswith(".invalid") or host_sort(host)[1] == "none"


def unspecified_of(description: SessionDescription, stream: MediaDescription | None) -> str:
    """The unspecified address of a stream's family where the stream is at none, or at a host name; empty where it is at an address."""
    connection = description.connection_of(stream) if stream is not None else None
    if connection is None or host_sort(connection.host)[1] == "address":
        return ""
    family = host_sort(connection.host)[0] or connection.family
    return "::" if family == "IP6" else "0.0.0.0"


def _stream(stream: MediaDescription, session: SessionDescription, known: Collection[str], plain: bool) -> MediaDescription:
    new = stream
    if not plain:
        kept = tuple(good for line in stream.lines[1:] if (good := mended_line(line)) is not None)
        new = stream if kept == stream.lines[1:] else MediaDescription((stream.lines[0], *kept))
    if not stream.port:
        return _refused(new)
    connection = session.connection_of(stream)
    if connection is None:
        new = _at_origin(new, session)
    elif is_on_hold(connection) and (direction := session.direction_of(stream)) in _ONE_WAY:
        new = new.with_direction(_ONE_WAY[direction])
    new = _one_meaning_each(new, known)
    formats = _formats(new.kind, new.meaning)
    if not formats or (connection is None and new.connection is None):
        return _refused(new)
    if formats != new.formats or not _is_plain(new):
        new = new.with_head(formats=formats)
    new = _within_bounds(new)
    return stream if new.lines == stream.lines else new


def _is_plain(stream: MediaDescription) -> bool:
    """Whether its m= line is written as pjsip reads it: single blanks."""
    return stream.lines[0].rstrip("\r\n") == "m=" + " ".join(stream.words)


def _refused(stream: MediaDescription) -> MediaDescription:
    """Port 0; it must still have a kind, a protocol and one format, since the answer names it too."""
    words = stream.words
    kind = words[0] if words and set(words[0]) <= TOKEN else "audio"
    protocol = words[2] if len(words) > 2 else "RTP/AVP"
    formats = [word for word in words[3:] if set(word) <= TOKEN and _is_format(word)][:MOST_FORMATS] or ["0"]
    line = " ".join((f"m={kind} 0 {protocol}", *formats))
    return stream if stream.lines[0].rstrip("\r\n") == line else MediaDescription((line + END, *stream.lines[1:]))


def _is_format(word: str) -> bool:
    """A payload type, or a name where a kind of stream has such."""
    return not word[:1].isdigit() or number(word, _LAST_TYPE) >= 0


@bounded
@lru_cache(1024)
def _formats(kind: str, meaning: Meaning) -> tuple[str, ...]:
    """Those of a stream of a kind that can be answered: each once, and no number that nothing is said about."""
    names = kind not in ("audio", "video")

    def is_good(word: str) -> bool:
        value = number(word, _LAST_TYPE)
        known = value >= 0 and (value < _FIRST_DYNAMIC or word in meaning.rtpmaps)
        return known or (names and _is_format(word) and set(word) <= TOKEN)

    return tuple([word for word in dict.fromkeys(meaning.formats) if is_good(word)][:MOST_FORMATS])


def _at_origin(stream: MediaDescription, session: SessionDescription) -> MediaDescription:
    """Without any c= line the writer's address is taken, if it says one."""
    words = next((line[2:].split() for line in session.lines if line.startswith("o=")), [])
    family, sort = host_sort(words[-1]) if len(words) >= 5 else ("", "name")
    if sort != "address":
        return stream
    return MediaDescription((stream.lines[0], f"c=IN {family} {words[-1]}{END}", *stream.lines[1:]))


def _one_meaning_each(stream: MediaDescription, known: Collection[str]) -> MediaDescription:
    """Of several rtpmaps of one payload type leave one: the first, of telephone-event the one that fits the codec to be spoken."""
    if not stream.meaning.repeated:
        return stream
    said = [found for value in stream.values("rtpmap") if (found := rtpmap_of(value)) is not None]
    clock_hz = _spoken_clock_hz(stream, known)
    chosen: dict[str, Rtpmap] = {}
    for kind, meaning in said:
        before = chosen.setdefault(kind, meaning)
        if meaning.name.upper() == EVENT == before.name.upper() and meaning.clock_hz == clock_hz != before.clock_hz:
            chosen[kind] = meaning
    lines: list[str] = []
    left = dict(chosen)
    for line in stream.lines:
        found = rtpmap_of(line[9:]) if line.startswith("a=rtpmap:") else None
        if found is None:
            lines.append(line)
        elif left.get(found[0]) == found[1]:
            del left[found[0]]
            lines.append(line)
    return MediaDescription(tuple(lines))


def _spoken_clock_hz(stream: MediaDescription, known: Collection[str]) -> int:
    """RTP clock of the codec that will be spoken: the first that we know, else the first."""
    maps = [stream.rtpmaps[kind] for kind in stream.formats if kind in stream.rtpmaps and not stream.rtpmaps[kind].is_event]
    return next((one.clock_hz for one in maps if one.codec in known), maps[0].clock_hz if maps else 0)


def _within_bounds(stream: MediaDescription) -> MediaDescription:
    """The attributes that matter first, where there are more than pjmedia keeps."""
    if len(stream.lines) <= MOST_ATTRIBUTES:
        return stream
    formats = stream.formats

    def rank(line: str) -> int:
        about = described_format(line)
        if about is not None:
            return about not in formats
        return line.startswith("a=") and line[2:].partition(":")[0].strip() not in NEEDED

    return MediaDescription((stream.lines[0], *sorted(closed(stream.lines[1:]), key=rank)))
