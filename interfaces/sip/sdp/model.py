# SPDX-License-Identifier: GPL-2.0-or-later
"""A session description and its streams (RFC 4566). Any text can be parsed, and is printed as it was.

A description is the lines of the session and then those of each stream, with their line ends; what they mean is worked out when it is
asked for, once. Nothing here raises: what cannot be read counts as not said. `lenient` makes of it what a strict reader takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from interfaces.sip.sdp.memories import bounded
from interfaces.sip.sdp.once import once

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
EVENT, EVENT_CLOCK_HZ = "TELEPHONE-EVENT", 8000
END = "\r\n"
_RTPMAP, _FMTP = _ABOUT_FORMATS = ("a=rtpmap:", "a=fmtp:")

STANDARD_PTIME_MS = 20
SHORTEST_PTIME_MS, LONGEST_PTIME_MS = 10, 120
"""What the media process can send."""


class Rtpmap(NamedTuple):
    """What a payload type stands for. `channels`: 1 when the line has none."""

    name: str
    clock_hz: int
    channels: int = 1

    @property
    def codec(self) -> str:
        """Upper-case `NAME/clock`. Several channels are part of the name, but Opus's, which every one has."""
        name = self.name.upper()
        return f"{name}/{self.clock_hz}" + (f"/{self.channels}" if self.channels != 1 and name != "OPUS" else "")

    @property
    def is_event(self) -> bool:
        """Keys and tones (RFC 4733), no audio."""
        return self.name.upper() == EVENT


class ConnectionData(NamedTuple):
    """A c= line: family `IP4` or `IP6`, and an address or a host name."""

    family: str
    host: str


STATIC: Mapping[str, Rtpmap] = {
    "0": Rtpmap("PCMU", 8000), "2": Rtpmap("G721", 8000), "3": Rtpmap("GSM", 8000), "8": Rtpmap("PCMA", 8000), "9": Rtpmap("G722", 8000),
    "10": Rtpmap("L16", 44100, 2), "11": Rtpmap("L16", 44100), "15": Rtpmap("G728", 8000), "18": Rtpmap("G729", 8000),
}  # fmt: skip
"""Payload types that need no rtpmap (RFC 3551 §6)."""


MOST_CLOCK_HZ = 192_000
"""Beyond that of any audio or video (90 000). A key's duration has 16 bits, in which a packet of the longest kind must fit (RFC 4733 §2.3.5)."""


def number(text: str, most: int) -> int:
    """A decimal number without sign, from 0 to `most`; -1 for anything else."""
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else -1
    return value if value <= most else -1


@bounded
@lru_cache(1024)
def rtpmap_of(value: str) -> tuple[str, Rtpmap] | None:
    """Payload type and meaning of an rtpmap attribute's value; None when it is none."""
    words = value.split()
    parts = words[1].split("/") if len(words) > 1 else []
    clock_hz = number(parts[1], MOST_CLOCK_HZ) if len(parts) > 1 else -1
    if clock_hz <= 0 or not parts[0]:
        return None
    return words[0], Rtpmap(parts[0], clock_hz, max(number(parts[2], 255), 1) if len(parts) > 2 else 1)


def connection_of(line: str) -> ConnectionData | None:
    """What a c= line says; None when it says nothing. The number of multicast addresses and their TTL are left out."""
    words = line[2:].split()
    return ConnectionData(words[1].upper(), words[2].split("/")[0]) if len(words) > 2 else None


def direction_of(line: str) -> str:
    """The direction that a line says; empty when it is none that does."""
    return name if line.startswith("a=") and (name := line[2:].rstrip()) in DIRECTIONS else ""


class Meaning:
    """What the formats of a stream stand for. Never changed.

    `formats`: payload types in order · `said_rtpmaps`: by their first rtpmap · `rtpmaps`: by that, else by RFC 3551 · `codecs`: `NAME/clock`
    of each format in order, telephone-event and unknown ones left out · `events`: the clock of each payload type that is telephone-event, in
    order; what is no number is left out · `repeated`: whether a payload type has more than one rtpmap, or one has none that can be read.
    """

    __slots__ = ("_fmtps", "codecs", "events", "formats", "repeated", "rtpmaps", "said_rtpmaps")

    def __init__(self, formats: tuple[str, ...], lines: tuple[str, ...]) -> None:
        self.formats = formats
        values = [line[len(_RTPMAP) :].strip() for line in lines if line.startswith(_RTPMAP)]
        self.said_rtpmaps: dict[str, Rtpmap] = {}
        for value in values:
            if (known := rtpmap_of(value)) is not None:
                self.said_rtpmaps.setdefault(*known)
        self.repeated = len(values) != len(self.said_rtpmaps)
        maps = self.rtpmaps = {kind: STATIC[kind] for kind in formats if kind in STATIC} | self.said_rtpmaps
        self.codecs = tuple([maps[kind].codec for kind in formats if kind in maps and not maps[kind].is_event])
        self.events = {
            kind: maps[kind].clock_hz for kind in formats if kind in maps and maps[kind].is_event and number(kind, 127) >= 0
        }
        self._fmtps: dict[str, str] = {}
        for line in lines:
            if not line.startswith(_RTPMAP):
                named, _, parameters = line[len(_FMTP) :].strip().partition(" ")
                self._fmtps.setdefault(named, parameters.strip())

    def codec(self, kind: str) -> str:
        """`NAME/clock` of a payload type; empty for an unknown one."""
        known = self.rtpmaps.get(kind)
        return known.codec if known is not None else ""

    def fmtp(self, kind: str) -> str:
        """The parameters of a payload type; empty without."""
        return self._fmtps.get(kind, "")


_meaning = bounded(lru_cache(1024)(Meaning))
"""Phones of one model say the same in each call."""


@dataclass(frozen=True)
class MediaDescription:
    """One stream: its m= line and those that follow, each with its line end."""

    lines: tuple[str, ...]

    def __hash__(self) -> int:
        return self._hash

    @once
    def _hash(self) -> int:
        """Worked out once: what is remembered of descriptions is looked up by their streams."""
        return hash(self.lines)

    @once
    def words(self) -> list[str]:
        """Of the m= line: kind, port, protocol, formats."""
        return self.lines[0][2:].split()

    @property
    def kind(self) -> str:
        """`audio`, `video`, …, in lower case."""
        return self.words[0].lower() if self.words else ""

    @once
    def port(self) -> int:
        """Where RTP goes; 0: the stream is refused, or its port cannot be read."""
        return max(number(self.words[1].partition("/")[0], 65535), 0) if len(self.words) > 1 else 0

    @property
    def is_live_audio(self) -> bool:
        """Audio that is not refused."""
        return self.kind == "audio" and self.port > 0

    @property
    def protocol(self) -> str:
        """`RTP/AVP`, `RTP/SAVP`, …"""
        return self.words[2] if len(self.words) > 2 else ""

    @once
    def attributes(self) -> tuple[str, ...]:
        """Its a= lines."""
        return tuple([line for line in self.lines if line.startswith("a=")])

    @once
    def rtcp(self) -> list[str]:
        """What it says of where reports go to (RFC 3605), word by word; empty when it says nothing."""
        return next((value.split() for value in self.values("rtcp")), [])

    def values(self, name: str) -> list[str]:
        """Of every attribute of that name, in order."""
        start = f"a={name}:"
        return [line[len(start) :].strip() for line in self.attributes if line.startswith(start)]

    @once
    def meaning(self) -> Meaning:
        """What its formats stand for: one object for all streams that say the same."""
        return _meaning(tuple(self.words[3:]), tuple([line for line in self.lines if line.startswith(_ABOUT_FORMATS)]))

    @property
    def formats(self) -> tuple[str, ...]:
        """Payload types, the most wanted first."""
        return self.meaning.formats

    @property
    def rtpmaps(self) -> dict[str, Rtpmap]:
        """As ``Meaning.rtpmaps``."""
        return self.meaning.rtpmaps

    def codec(self, kind: str) -> str:
        """`NAME/clock` of a payload type; empty for an unknown one."""
        return self.meaning.codec(kind)

    @property
    def codecs(self) -> tuple[str, ...]:
        """As ``Meaning.codecs``."""
        return self.meaning.codecs

    @property
    def events(self) -> dict[str, int]:
        """As ``Meaning.events``."""
        return self.meaning.events

    def fmtp(self, kind: str) -> str:
        """The parameters of a payload type; empty without."""
        return self.meaning.fmtp(kind)

    @once
    def connection(self) -> ConnectionData | None:
        """Its own address."""
        return next((connection_of(line) for line in self.lines if line.startswith("c=")), None)

    @once
    def direction(self) -> str:
        """What it says of itself; empty when it says nothing (then the session's holds)."""
        return next((said for line in self.lines if (said := direction_of(line))), "")

    def wished_ptime_ms(self, ptime_ms: int = 0) -> int:
        """How long it wants its packets (RFC 4566 §6): its ptime, at most its maxptime, within what can be sent.

        `ptime_ms`: taken for its ptime when not 0. Attributes that are no numbers are passed over.
        """
        said_ms, most_ms = self.ptimes_ms
        wished = ptime_ms or said_ms or STANDARD_PTIME_MS
        return min(max(min(wished, most_ms or wished), SHORTEST_PTIME_MS), LONGEST_PTIME_MS)

    @once
    def ptimes_ms(self) -> tuple[int, int]:
        """Its ptime and maxptime; 0 for one that it does not say."""
        return self._milliseconds("ptime"), self._milliseconds("maxptime")

    def _milliseconds(self, name: str) -> int:
        return next((found for value in reversed(self.values(name)) if (found := number(value, 99999)) > 0), 0)

    # -------------------------------------------------------------------------------------------------------- changed copies
    def with_head(self, port: int | None = None, formats: Iterable[str] | None = None, protocol: str = "") -> MediaDescription:
        """With another port, other formats or another protocol in its m= line; the rest stays."""
        head = [*self.words, "", "", ""][:3]
        head[2] = protocol or head[2]
        head[1] = str(self.port if port is None else port)
        line = "m=" + " ".join([*head, *(self.formats if formats is None else formats)]) + END
        made = MediaDescription((line, *self.lines[1:]))
        if formats is None:
            made.__dict__.update(meaning=self.meaning, attributes=self.attributes)
        return made

    def keeping(self, formats: Iterable[str]) -> MediaDescription:
        """With these formats only: what is said of others goes too."""
        kept = list(formats)
        rest = [line for line in self.lines[1:] if (about := described_format(line)) is None or about in kept]
        return MediaDescription((self.lines[0], *rest)).with_head(formats=kept)

    def without(self, gone: Callable[[str], bool]) -> MediaDescription:
        """Less the lines behind the m= line for which `gone` holds."""
        return MediaDescription((self.lines[0], *(line for line in self.lines[1:] if not gone(line))))

    def with_lines(self, *lines: str) -> MediaDescription:
        """With further lines at its end, given without line ends."""
        return MediaDescription((*closed(self.lines), *(line + END for line in lines)))

    def with_direction(self, direction: str) -> MediaDescription:
        """With this direction in place of its own."""
        return self.without(lambda line: direction_of(line) != "").with_lines(f"a={direction}")


def described_format(line: str) -> str | None:
    """The format that an rtpmap or fmtp line is about; None for other lines."""
    if not line.startswith(_ABOUT_FORMATS):
        return None
    words = line[line.index(":") + 1 :].split(None, 1)
    return words[0] if words else ""


def closed(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines, the last one with a line end."""
    return lines if not lines or lines[-1].endswith(("\r", "\n")) else (*lines[:-1], lines[-1] + END)


@dataclass(frozen=True)
class SessionDescription:
    """`lines`: those before the first stream, each with its line end."""

    lines: tuple[str, ...] = ()
    media: tuple[MediaDescription, ...] = ()

    def __str__(self) -> str:
        return "".join(self.lines) + "".join(["".join(stream.lines) for stream in self.media])

    @once
    def audio(self) -> MediaDescription | None:
        """The stream that we speak in: the first audio that is not refused, before one that wants SRTP."""
        live = [stream for stream in self.media if stream.is_live_audio]
        return next((stream for stream in live if "SAVP" not in stream.protocol), live[0] if live else None)

    @property
    def meaning(self) -> Meaning:
        """What the formats of the audio stand for."""
        return (self.audio or SILENT).meaning

    @property
    def codecs(self) -> tuple[str, ...]:
        """`NAME/clock` of what is offered in it to be spoken, in order."""
        return self.audio.codecs if self.audio is not None else ()

    @once
    def connection(self) -> ConnectionData | None:
        """The address of all streams that have none of their own."""
        return next((connection_of(line) for line in self.lines if line.startswith("c=")), None)

    def connection_of(self, stream: MediaDescription) -> ConnectionData | None:
        """Where a stream's packets go to."""
        return stream.connection or self.connection

    @property
    def audio_address(self) -> tuple[str, int]:
        """Where its audio goes to, an address or a host name; ("", 0) when it has none."""
        if self.audio is None:
            return "", 0
        connection = self.connection_of(self.audio)
        return connection.host if connection is not None else "", self.audio.port

    def control_address_of(self, stream: MediaDescription) -> tuple[str, int]:
        """Where the reports about a stream go to (RFC 3605); ("", 0): where they always do, one port above the audio."""
        words = stream.rtcp
        port = max(number(words[0], 65535), 0) if words else 0
        connection = connection_of(f"c={' '.join(words[1:4])}") if len(words) > 3 else self.connection_of(stream)
        return (connection.host, port) if port and connection is not None else ("", 0)

    @property
    def direction(self) -> str:
        """Of all streams that say none themselves; empty when it says nothing, which means sendrecv."""
        return next((said for line in self.lines if (said := direction_of(line))), "")

    def direction_of(self, stream: MediaDescription) -> str:
        """A stream's direction, as its writer sees it."""
        return stream.direction or self.direction or DIRECTIONS[0]

    def wished_ptime_ms(self, ptime_ms: int = 0) -> int:
        """How long its audio wants its packets; `ptime_ms` as in ``MediaDescription.wished_ptime_ms``."""
        return (self.audio or SILENT).wished_ptime_ms(ptime_ms)


SILENT = MediaDescription(("m=" + END,))
"""A stream that says nothing."""
NOTHING = SessionDescription()
"""No description."""


_stream = bounded(lru_cache(256)(MediaDescription))
"""pjsip writes the same stream for every call: what is worked out about it is kept."""


def lines_of(text: str) -> tuple[str, ...]:
    """A text line by line, each with its line end."""
    return tuple(_LINE.findall(text))


def parse(text: str) -> SessionDescription:
    """Take a description apart; `str` of it is the same text again. Never raises."""
    lines = lines_of(text)
    starts = [place for place, line in enumerate(lines) if line.startswith("m=")]
    if not starts:
        return SessionDescription(lines)
    ends = [*starts[1:], len(lines)]
    media = tuple([_stream(lines[start:end]) for start, end in zip(starts, ends, strict=True)])
    return SessionDescription(lines[: starts[0]], media)


def parse_like(known: SessionDescription, origin: str, host: str, port: str) -> SessionDescription:
    """A description that differs from a known one in its o= line, in the address of its c= line and in the port of its first stream alone.

    What was worked out about that one holds for this one. `host`: an address of version 4, empty where no c= line is the session's; it then
    stands behind v=, o= and s=. `port`: not 0, and in the m= line one blank is before it.
    """
    old = known.media[0]
    before = old.words[1]
    words = [old.words[0], port, *old.words[2:]]
    first = MediaDescription((old.lines[0].replace(f" {before}", f" {port}", 1), *old.lines[1:]))
    first.__dict__.update(
        words=words, port=int(port), meaning=old.meaning, connection=old.connection, direction=old.direction, ptimes_ms=old.ptimes_ms,
        attributes=old.attributes, rtcp=old.rtcp,
    )  # fmt: skip
    begin, _, name, *rest = known.lines
    if host:
        rest[0] = f"c=IN IP4 {host}{END}"
    alike = SessionDescription((begin, origin, name, *rest), (first, *known.media[1:]))
    audio = known.audio
    alike.__dict__.update(
        connection=ConnectionData("IP4", host) if host else known.connection, audio=first if audio is old else audio
    )
    return alike
