# SPDX-License-Identifier: GPL-2.0-or-later
"""What phones and carriers write, as pjsip takes it: one pass over each description that comes, before pjsip sees it.

pjsip refuses the whole call for one line that it cannot use. Here that line is left out, or said as it was meant (``mended``): what only a
stream needs and lacks refuses that stream, what nobody needs is gone. A description in which all is well is returned as it is.

Two kinds of address are kept from pjsip, which answers the first with the same and cannot use the second: none at all (hold as RFC 2543
had it, and a name below `.invalid`: RFC 6157 §3.1), and host names. It gets one of the documentation networks instead (``with_stand_ins``);
nothing is sent there, since the hub is told what the peer wrote (``interfaces.sip.mapping``).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection
from functools import lru_cache

from interfaces.sip.sdp.model import (
    END,
    EVENT,
    ConnectionData,
    MediaDescription,
    Rtpmap,
    SessionDescription,
    closed,
    connection_of,
    described_format,
    number,
    rtpmap_of,
)

STAND_IN = {"IP4": "192.0.2.1", "IP6": "2001:db8::1"}
"""RFC 5737, RFC 3849."""
_FIRST = {"v=": "v=0", "o=": "o=- 0 0 IN IP4 127.0.0.1", "s=": "s=-"}
"""Lines that every description begins with."""
MOST_FORMATS, MOST_ATTRIBUTES = 64, 68
"""Of a stream: what comes after is passed over. Formats in pjmedia as set-up builds it, attributes in one that is built by default."""
_FIRST_DYNAMIC, _LAST_TYPE = 96, 127
_LARGEST_NUMBER = 2**63 - 1
_TOKEN = frozenset("!#$%&'*+-.^_`{|}~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_ONE_WAY = {"sendrecv": "sendonly", "recvonly": "inactive"}
"""The direction of who cannot receive."""
_NEEDED = ("rtpmap", "fmtp", "ptime", "maxptime", "sendrecv", "sendonly", "recvonly", "inactive", "rtcp", "rtcp-mux", "crypto")
"""Attributes that stand first where there are too many."""


_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?", re.ASCII)
_PJSIP_TAKES = ("address", "wrong")
"""Sorts of host that it takes, or refuses as it should."""
_PLAIN = re.compile(
    r"v=0\r\no=[^ \r\n]+ [0-9]{1,18} [0-9]{1,18} IN IP[46] [^ \r\n]+\r\ns=[^ \r\n][^\r\n]*\r\n"
    r"(?:c=IN (?:IP4 [^ /:\r\n]+|IP6 [^ /\r\n]*:[^ /\r\n]*)\r\n|t=[0-9]{1,18} [0-9]{1,18}\r\n|b=[A-Z]+:[0-9]{1,9}\r\n|"
    r"m=[a-z]+ [0-9]+ [A-Z/]+(?: [0-9]+)+\r\n|"
    r"a=rtpmap:[0-9]+ [^ /\r\n]+/[1-9][0-9]{0,8}(?:/[1-9])?\r\n|a=(?!rtpmap)[a-z][-a-z0-9]*(?::[^\r\n]*)?\r\n)*",
    re.ASCII,
)
"""Lines that need no look one by one, as nearly everybody writes them."""


def mended(description: SessionDescription, known: Collection[str] = ()) -> SessionDescription:
    """The description as it was meant, the same object when nothing was wrong. `known`: the codecs (`NAME/clock`) that can be spoken.

    Addresses stay as they are: see ``with_stand_ins``.
    """
    plain = _PLAIN.fullmatch(str(description)) is not None
    session = description.lines if plain else _session(description.lines)
    media = tuple([_stream(stream, description, known, plain) for stream in description.media])
    if session == description.lines and all(new is old for new, old in zip(media, description.media, strict=True)):
        return description
    if media:
        session = closed(session)
    return SessionDescription(session, tuple(MediaDescription(closed(one.lines)) for one in media))


def with_stand_ins(description: SessionDescription) -> SessionDescription:
    """With an address that pjsip can do with in place of each that it cannot; the same object when there is none."""
    found = [one for one in (description.connection, *(stream.connection for stream in description.media)) if one is not None]
    if all(_address(one.host)[1] in _PJSIP_TAKES for one in found):
        return description
    return SessionDescription(
        tuple(_stand_in(line) for line in description.lines),
        tuple(MediaDescription(tuple(_stand_in(line) for line in stream.lines)) for stream in description.media),
    )


def _stand_in(line: str) -> str:
    said = connection_of(line) if line.startswith("c=") else None
    if said is None or _address(said.host)[1] in _PJSIP_TAKES:
        return line
    family = _address(said.host)[0] or said.family
    return f"c=IN {family} {STAND_IN[family]}{END}"


def is_on_hold(connection: ConnectionData | None) -> bool:
    """Whether an address says that nothing can be received there."""
    if connection is None:
        return False
    host = connection.host.rstrip(".").lower()
    return host == "invalid" or host.endswith(".invalid") or _address(host)[1] == "none"


def unspecified_of(description: SessionDescription, stream: MediaDescription | None) -> str:
    """The unspecified address of a stream's family where the stream is at none, or at a host name; empty where it is at an address."""
    connection = description.connection_of(stream) if stream is not None else None
    if connection is None or _address(connection.host)[1] == "address":
        return ""
    family = _address(connection.host)[0] or connection.family
    return "::" if family == "IP6" else "0.0.0.0"


@lru_cache(1024)
def _address(host: str) -> tuple[str, str]:
    """Family and sort of a host: an `address`, `none` at all (0.0.0.0), a `name`, or `wrong`: no host can be called so."""
    if host == "0":
        return "", "none"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "", "name" if _NAME.fullmatch(host) and not host.rstrip(".").rpartition(".")[2].isdigit() else "wrong"
    return f"IP{address.version}", "none" if address.is_unspecified else "address"


# ---------------------------------------------------------------------------------------------------------------- lines
def _origin(line: str) -> str | None:
    words = line[2:].split()
    said = words[-5:] if len(words) >= 5 else ["", "", "", "", ""]
    fine = (
        number(said[0], _LARGEST_NUMBER) >= 0
        and number(said[1], _LARGEST_NUMBER) >= 0
        and said[2:4] in (["IN", "IP4"], ["IN", "IP6"])
    )
    if fine and len(words) == 6 and line[2:3] not in " \t":
        return line
    numbers = [word if number(word, _LARGEST_NUMBER) >= 0 else str(_low(word)) for word in said[:2]]
    family = said[3].upper() if said[3].upper() in STAND_IN else "IP4"
    user = "_".join(words[:-5]) or "-"
    return f"o={user} {numbers[0]} {numbers[1]} IN {family} {said[4] or STAND_IN['IP4']}{END}"


def _low(word: str) -> int:
    """A number that is too large, or none at all, as one that is not: equal for equal words."""
    return (
        int(word) if word.isascii() and word.isdigit() and len(word) < 100 else sum(word.encode("utf-8", "replace"))
    ) % _LARGEST_NUMBER


def _name(line: str) -> str | None:
    return line if line[2:].strip() else f"s=-{END}"


def _time(line: str) -> str | None:
    words = line[2:].split()
    fine = (
        len(words) >= 2
        and all(number(word, _LARGEST_NUMBER) >= 0 for word in words[:2])
        and line.startswith(f"t={words[0]} {words[1]}")
    )
    return line if fine else f"t=0 0{END}"


def _bandwidth(line: str) -> str | None:
    modifier, colon, value = line[2:].strip().partition(":")
    return line if colon and modifier and number(value, _LARGEST_NUMBER) >= 0 else None


def _attribute(line: str) -> str | None:
    if line[2:3] not in _TOKEN or line[2:3] == "":
        return None
    name = line[2:].partition(":")[0].rstrip()
    if name != name.lower() and name.lower() in _NEEDED:
        line = f"a={name.lower()}{line[2 + len(name) :]}"
    return None if line.startswith("a=rtpmap:") and rtpmap_of(line[9:]) is None else line


def _connection(line: str) -> str | None:
    said = connection_of(line)
    if said is None or not said.host:
        return None
    family = _address(said.host)[0] or (said.family if said.family in STAND_IN else "IP4")
    right = f"c=IN {family} {said.host}"
    numbers = line[len(right) :].rstrip("\r\n").split("/")  # of a multicast address
    fine = line.startswith(right) and not numbers[0] and all(number(one, 255) >= 0 for one in numbers[1:])
    return line if fine else right + END


_LINES: dict[str, Callable[[str], str | None]] = {
    "v=": lambda line: line if line.startswith("v=0") else f"v=0{END}",
    "o=": _origin, "s=": _name, "t=": _time, "b=": _bandwidth, "a=": _attribute, "c=": _connection,
}  # fmt: skip


def _line(line: str) -> str | None:
    """A line as pjsip takes it, None when it is left out."""
    mend = _LINES.get(line[:2])
    if mend is not None:
        return mend(line)
    if line[1:2] == "=" and "a" <= line[0] <= "z":
        return line
    stripped = line.lstrip(" \t")
    return _line(stripped) if stripped is not line and stripped != line and stripped.strip() else None


def _session(lines: tuple[str, ...]) -> tuple[str, ...]:
    kept = tuple(good for line in lines if (good := _line(line)) is not None)
    said = {start: next((line for line in kept if line.startswith(start)), "") for start in _FIRST}
    if all(said.values()):
        return kept
    first = tuple(said[start] or default + END for start, default in _FIRST.items())
    return (*(closed((line,))[0] for line in first), *(line for line in kept if line not in first))


# -------------------------------------------------------------------------------------------------------------- streams
def _stream(stream: MediaDescription, session: SessionDescription, known: Collection[str], plain: bool) -> MediaDescription:
    new = stream
    if not plain:
        kept = tuple(good for line in stream.lines[1:] if (good := _line(line)) is not None)
        new = stream if kept == stream.lines[1:] else MediaDescription((stream.lines[0], *kept))
    if not stream.port:
        return _refused(new)
    connection = session.connection_of(stream)
    if connection is None:
        new = _at_origin(new, session)
    elif is_on_hold(connection) and (direction := session.direction_of(stream)) in _ONE_WAY:
        new = new.with_direction(_ONE_WAY[direction])
    new = _one_meaning_each(new, known)
    formats = _formats(new)
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
    kind = words[0] if words and set(words[0]) <= _TOKEN else "audio"
    protocol = words[2] if len(words) > 2 else "RTP/AVP"
    formats = [word for word in words[3:] if set(word) <= _TOKEN and _is_format(word)][:MOST_FORMATS] or ["0"]
    line = " ".join((f"m={kind} 0 {protocol}", *formats))
    return stream if stream.lines[0].rstrip("\r\n") == line else MediaDescription((line + END, *stream.lines[1:]))


def _is_format(word: str) -> bool:
    """A payload type, or a name where a kind of stream has such."""
    return not word[:1].isdigit() or number(word, _LAST_TYPE) >= 0


def _formats(stream: MediaDescription) -> list[str]:
    """Those that can be answered: each once, and no number that nothing is said about."""
    maps = stream.rtpmaps
    names = stream.kind not in ("audio", "video")

    def is_good(kind: str) -> bool:
        value = number(kind, _LAST_TYPE)
        return (value >= 0 and (value < _FIRST_DYNAMIC or kind in maps)) or (names and _is_format(kind) and set(kind) <= _TOKEN)

    return [kind for kind in dict.fromkeys(stream.formats) if is_good(kind)][:MOST_FORMATS]


def _at_origin(stream: MediaDescription, session: SessionDescription) -> MediaDescription:
    """Without any c= line the writer's address is taken, if it says one."""
    words = next((line[2:].split() for line in session.lines if line.startswith("o=")), [])
    family, sort = _address(words[-1]) if len(words) >= 5 else ("", "name")
    if sort != "address":
        return stream
    return MediaDescription((stream.lines[0], f"c=IN {family} {words[-1]}{END}", *stream.lines[1:]))


def _one_meaning_each(stream: MediaDescription, known: Collection[str]) -> MediaDescription:
    """Of several rtpmaps of one payload type leave one: the first, of telephone-event the one that fits the codec to be spoken."""
    if len(stream.values("rtpmap")) == len(stream.said_rtpmaps):
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
        return line.startswith("a=") and line[2:].partition(":")[0].strip() not in _NEEDED

    return MediaDescription((stream.lines[0], *sorted(closed(stream.lines[1:]), key=rank)))
