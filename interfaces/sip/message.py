# SPDX-License-Identifier: GPL-2.0-or-later
"""A SIP message's text as values: start line, headers in order, body (RFC 3261 §7).

Lenient on purpose: pjsip has parsed the message before and has refused what it must; whatever comes here, nothing raises.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from di.sip.headers import header_problem, long_name
from interfaces.sip.multipart import find_part
from interfaces.sip.sdp.once import once

log = logging.getLogger(__name__)

SDP = "application/sdp"
_NO_CHARACTER = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of UTF-16 pairs that stand for no byte either (PEP 383)."""
_CONTROLS = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Message:
    """One request or reply. `headers` has compact names written out, values as received with folds joined."""

    start_line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The first value under a name of any case; empty when there is none."""
        return self._first.get(name.lower(), "")

    def has(self, name: str) -> bool:
        """Whether there is a header of that name, given in lower case, be it empty."""
        return name in self._first

    @once
    def _first(self) -> dict[str, str]:
        """The first value under each name in lower case: a dozen are asked for in each INVITE."""
        return {name.lower(): value for name, value in reversed(self.headers)}

    @property
    def method(self) -> str:
        """Of a request; empty for a reply."""
        first = self.start_line.split(" ", 1)[0]
        return "" if first.upper().startswith("SIP/") else first

    @property
    def request_uri(self) -> str:
        """Of a request; empty for a reply."""
        words = self.start_line.split()
        return words[1] if self.method and len(words) >= 2 else ""

    @property
    def code(self) -> int:
        """Of a reply; 0 for a request."""
        words = self.start_line.split(" ", 2)
        return int(words[1]) if not self.method and len(words) > 1 and words[1].isascii() and words[1].isdigit() else 0

    @property
    def reason(self) -> str:
        """Of a reply."""
        words = self.start_line.split(" ", 2)
        return words[2].strip() if not self.method and len(words) == 3 else ""

    @property
    def content_type(self) -> str:
        """As received, parameters included."""
        return self.header("Content-Type")

    @property
    def description(self) -> str:
        """The text of the session description in its body, alone or among other parts; empty without."""
        found = find_part(self.content_type, self.body, SDP) if self.body else None
        return text_of(found) if found else ""

    @property
    def has_sdp(self) -> bool:
        """Whether a session description is in its body."""
        return bool(self.description)


@lru_cache(4)  # several callbacks look at the message that pjsip works on
def parse(text: str) -> Message:
    """Take a message apart. Never raises; what is no header line is left out."""
    head, body = _split(text)
    lines = head.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    headers: list[tuple[str, str]] = []
    for line in lines[1:]:
        if line[:1] in (" ", "\t") and headers:
            name, value = headers[-1]
            headers[-1] = (name, f"{value} {line.strip()}".strip())
            continue
        name, colon, value = line.partition(":")
        name = name.strip()
        if colon and name:
            headers.append((long_name(name) if len(name) == 1 else name, value.strip()))
    return Message(lines[0].strip(), tuple(headers), wire_bytes(body))


def text_of(data: bytes) -> str:
    """What came from the network as text; bytes that are no UTF-8 stay and come back by `wire_bytes`."""
    return data.decode("utf-8", "surrogateescape")


def wire_bytes(text: str) -> bytes:
    """A text as it goes to the network, the counterpart of `text_of`. Never raises: what is no character at all becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _NO_CHARACTER.sub("\ufffd", text).encode("utf-8", "surrogateescape")


def one_line(text: str) -> str:
    """A text that ends no line of a message: control characters, which no reason phrase and no media type may hold, become spaces."""
    return text if text.isprintable() else _CONTROLS.sub(" ", text)


def escaped(uri: str) -> str:
    """A URI, or a header value with one, in which bytes that are no UTF-8 are written as %XX (RFC 3261 §25.1)."""
    return "".join(f"%{ord(c) & 0xFF:02X}" if "\udc80" <= c <= "\udcff" else c for c in _NO_CHARACTER.sub("", uri))


def in_characters(text: str) -> str:
    """The same with "?" for each byte that is no UTF-8: for descriptions of ours."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _split(text: str) -> tuple[str, str]:
    at = text.find("\r\n\r\n")
    if at >= 0:
        return text[:at], text[at + 4 :]
    at = text.find("\n\n")
    return (text[:at], text[at + 2 :]) if at >= 0 else (text, "")


def uri_of(value: str) -> str:
    """The bare URI of a From, To or Contact value, header parameters left out (RFC 3261 §20.10)."""
    opening = _outside_quotes(value, "<")
    if opening >= 0:
        closing = value.find(">", opening)
        return value[opening + 1 : closing].strip() if closing > opening else ""
    return value.split(";", 1)[0].split(",", 1)[0].strip()


_TAGGED = re.compile(r'(?:"[^"\\<>]*"|[^"<>;]*) ?<[^<>]*>;tag=([!-:<-~]+)')
"""A From or To value as nearly everybody writes it."""


def tag_of(value: str) -> str:
    """The tag parameter of a From or To value; empty without one."""
    if (found := _TAGGED.fullmatch(value)) is not None:
        return found[1]
    opening = _outside_quotes(value, "<")
    rest = value[value.find(">", opening) + 1 :] if opening >= 0 else value[_outside_quotes(value, ";") :]
    for part in rest.split(";"):
        name, equals, tag = part.partition("=")
        if equals and name.strip().lower() == "tag":
            return tag.strip()
    return ""


def _outside_quotes(value: str, wanted: str) -> int:
    """Where a character first stands outside a quoted string; -1 if nowhere."""
    first = value.find(wanted)
    if first < 0 or '"' not in value[:first]:
        return first
    quoted = escaped = False
    for at, character in enumerate(value):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == wanted and not quoted:
            return at
    return -1


def header_values(message: Message, name: str) -> tuple[str, ...]:
    """Every value under a name, lists taken apart at the commas outside quotes and brackets (RFC 3261 §7.3.1), in order."""
    wanted = name.lower()
    found: list[str] = []
    for known, value in message.headers:
        if known.lower() == wanted:
            found += _listed(value)
    return tuple(found)


def _listed(value: str) -> list[str]:
    parts, start = [], 0
    quoted = escaped = bracketed = False
    for at, character in enumerate(value):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"' and not bracketed:
            quoted = not quoted
        elif not quoted and character in "<>":
            bracketed = character == "<"
        elif character == "," and not quoted and not bracketed:
            parts.append(value[start:at])
            start = at + 1
    parts.append(value[start:])
    return [part.strip() for part in parts if part.strip()]


def host_of(uri: str) -> str:
    """The host of a SIP URI, brackets of IPv6 removed, lower case; empty if it has none."""
    rest = uri.partition(":")[2] if uri.lower().startswith(("sip:", "sips:")) else uri
    rest = rest.split(";", 1)[0].split("?", 1)[0].rpartition("@")[2]
    if rest.startswith("["):
        return rest[1:].split("]", 1)[0].lower()
    return rest.split(":", 1)[0].lower()


def transport_of(uri: str) -> str:
    """`udp`, `tcp` or `tls`: how a URI is reached (RFC 3263 §4.1, without DNS)."""
    if uri.lower().startswith("sips:"):
        return "tls"
    for part in uri.split("?", 1)[0].split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "transport":
            return value.strip().lower()
    return "udp"


def split_header(line: str, contact: bool = False) -> tuple[str, str] | None:
    """Name and value of a header line that the hub hands over; None, and a line in the log, for what `header_problem` names."""
    line = line.rstrip("\r\n")
    problem = header_problem(line, contact)
    if problem:
        log.error("%s; it was left out", problem)
        return None
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


MOST_HEADER_BYTES = 64_000
"""All lines of the hub's together: a datagram holds 65507 bytes, and what the stack writes itself has some hundred to thousand."""


def header_pairs(lines: Iterable[str], contact: bool = False) -> tuple[tuple[str, str], ...]:
    """Those of the hub's header lines that may be sent, see `split_header`, as long as a message holds them.

    One that does not leave at all would leave a request without an answer, or a call without its end.
    """
    pairs, room = [], MOST_HEADER_BYTES
    for line in lines:
        pair = split_header(line, contact)
        if pair is None:
            continue
        room -= len(wire_bytes(line))
        if room < 0:
            log.error(
                "header %s of %d bytes does not fit into a message any more: it was left out", pair[0], len(wire_bytes(line))
            )
            room += len(wire_bytes(line))
            continue
        pairs.append(pair)
    return tuple(pairs)


def cseq_of(message: Message) -> int:
    """The number in its CSeq; -1 when there is none."""
    number = message.header("CSeq").split(" ", 1)[0].split("\t", 1)[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 10 else -1


def route_of(next_hop: str) -> str:
    """The Route value of an outbound proxy's URI, which is passed by loosely (RFC 3261 §19.1.1, lr)."""
    uri = next_hop.strip("<> ")
    return f"<{uri}{'' if ';lr' in uri else ';lr'}>"


def endpoint_of(address: str) -> tuple[str, int]:
    """Split `ip:port` as pjsip prints it (`[v6]:port`); port 0 when there is none."""
    host, colon, port = address.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or (":" in host and not host.startswith("[")):
        return address.strip("[]"), 0
    return host.strip("[]"), int(port)
