# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages that pjsip's parser refuses. It would drop each without a word for one bad header, even for one that nobody needs.

    bad header that is not needed   ─► the message without it                            (RFC 3261 §8.2: "ignore it and continue")
    bad header that is needed, one
    that is missing, or a bad
    request line                    ─► the reply: 400 with the header's name, or 505, 416
    a reply, an ACK, no SIP at all  ─► nothing: who sent it has no use for an answer

A reply repeats what it must (§8.2.6.2) as it came, byte for byte, so it is made here and not by pjsip, which cannot read it.

Pure: bytes in, bytes out. Whether pjsip takes a header or a URI is asked of it by what is passed in. A message without its bad headers is
shorter than what came, so that it fits into its place in pjsip's buffer.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from di.sip.headers import long_name

_REQUEST_LINE = re.compile(rb"([!-9;-~]+) ([^\s<>]+) SIP/2\.0")
_TOKEN = re.compile(rb"[A-Za-z0-9!%*_+`'~.-]+")
_SCHEMES = re.compile(rb"(sips?|tel):", re.IGNORECASE)
_OTHER_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:")
_VERSION = re.compile(rb"SIP/([0-9]+\.[0-9]+)\s*$")
_LINE_END = re.compile(rb"\r?\n")
_BLANK = re.compile(rb"\r?\n\r?\n")
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_TAG = re.compile(rb";\s*tag\s*=", re.IGNORECASE)
_VIA = re.compile(rb"SIP\s*/\s*[0-9.]+\s*/\s*[A-Za-z]+\s+(\[[0-9A-Fa-f:.]+\]|[^\s;,:]+)(?:\s*:\s*([0-9]{1,5}))?([^,\"]*)")
_RPORT = re.compile(rb";\s*rport\s*(?=[;,]|$)", re.IGNORECASE)
_SIP_PORT = 5060
_LAST_PORT = 65535

_REPEATED = ("Via", "From", "To", "Call-ID", "CSeq")
"""What a reply repeats (RFC 3261 §8.2.6.2), and what no message can do without."""
_BEGINS_DIALOG = frozenset((b"INVITE", b"SUBSCRIBE", b"REFER", b"NOTIFY", b"UPDATE"))
_ALWAYS = frozenset((*(name.lower() for name in _REPEATED), "content-length", "content-type", "require"))
_BY_TOKEN: dict[str, frozenset[bytes]] = {
    "contact": _BEGINS_DIALOG | {b"REGISTER"},
    "record-route": _BEGINS_DIALOG,
    "expires": frozenset((b"REGISTER", b"SUBSCRIBE", b"PUBLISH")),
    "event": frozenset((b"SUBSCRIBE", b"NOTIFY", b"PUBLISH")),
    "subscription-state": frozenset((b"NOTIFY",)),
    "refer-to": frozenset((b"REFER",)),
    "replaces": frozenset((b"INVITE",)),
    "rack": frozenset((b"PRACK",)),
}
"""Headers that some methods cannot do without."""


@dataclass(frozen=True, slots=True)
class Parser:
    """What pjsip takes: a header's value by its name, a URI."""

    header: Callable[[str, bytes], bool]
    uri: Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message came from. `stream`: by a connection, where only Content-Length says where the next one begins."""

    ip: str
    port: int
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Mended:
    """`code` 0: go on with `data`; else `data` is the reply, which goes to `port` of the source, empty: none.

    `left_out`: names of headers · `closes`: where the next message of the connection begins is not known.
    """

    data: bytes
    code: int = 0
    reason: str = ""
    left_out: tuple[str, ...] = ()
    port: int = 0
    closes: bool = False


@dataclass(frozen=True, slots=True)
class _Head:
    """A message's start line and, of each header, its name, its value and its lines as they came. Without a name it is none."""

    first: bytes
    lines: list[tuple[str, bytes, bytes]]
    bad: list[tuple[str, bytes]] = field(default_factory=list)

    def values(self, wanted: str) -> list[bytes]:
        return [value for name, value, _ in self.lines if name.lower() == wanted.lower()]


def mend(data: bytes, parser: Parser, source: Origin, servable: bool = True) -> Mended:
    """Make a message readable, or the reply that refuses it. `servable`: pjsip can be given another one in its place."""
    blank = _BLANK.search(data)
    head = _head(data[: blank.start()] if blank else data)
    reply = head.first[:4].upper() == b"SIP/"
    method = b"" if reply else head.first.split(b" ", 1)[0]
    head.bad.extend((name, value) for name, value, _ in head.lines if not name or not parser.header(name, value))
    missing = [name for name in (*_REPEATED, *("Content-Length",) * source.stream) if not any(head.values(name))]
    needed = [f"Missing {name}" if name in missing else f"Bad {name}" for name in (*missing, *_needed(head, method))]
    if not needed and (reply or _good_request_line(head.first, parser)) and blank and servable:
        names = {name for name, _ in head.bad}
        kept = [line for name, value, line in head.lines if name and (name not in names or parser.header(name, value))]
        left = b"\r\n".join((head.first, *kept)) + b"\r\n\r\n" + data[blank.end() :]
        if len(left) < len(data):
            return Mended(left, left_out=tuple(sorted(names)))
    closes = source.stream and not _is_framed(head, parser)
    if reply or not _TOKEN.fullmatch(method) or not (head.values("Via") or _VERSION.search(head.first)):
        return Mended(b"", 400, needed[0] if needed else "No SIP", closes=closes)
    code, reason = _refusal(head.first, needed, parser)
    if method == b"ACK":
        return Mended(b"", code, reason, closes=closes)
    return Mended(_reply(head, code, reason, source), code, reason, port=_reply_port(head, source), closes=closes)


def _head(data: bytes) -> _Head:
    first, *rest = _LINE_END.split(data)
    found: list[tuple[str, bytes, bytes]] = []
    for line in rest:
        if line[:1] in (b" ", b"\t") and found:
            name, value, whole = found[-1]
            found[-1] = name, value + b" " + line.strip(), whole + b"\r\n" + line
        else:
            name_bytes, _, value = line.partition(b":")
            token = name_bytes.strip()
            found.append((long_name(token.decode()) if _TOKEN.fullmatch(token) else "", value.strip(), line))
    return _Head(first, found)


def _needed(head: _Head, method: bytes) -> list[str]:
    """The names of bad headers that a method cannot do without."""
    usual = {name.lower(): name for name in _REPEATED}
    names = [usual.get(name.lower(), name) for name, _ in head.bad]
    return [name for name in names if name.lower() in _ALWAYS or method in _BY_TOKEN.get(name.lower(), ())]


def _good_request_line(line: bytes, parser: Parser) -> bool:
    found = _REQUEST_LINE.fullmatch(line)
    return found is not None and _SCHEMES.match(found[2]) is not None and parser.uri(found[2])


def _is_framed(head: _Head, parser: Parser) -> bool:
    """Whether a connection's next message can be found behind this one."""
    lengths = head.values("Content-Length")
    return bool(lengths) and all(parser.header("Content-Length", length) for length in lengths)


def _refusal(first: bytes, needed: list[str], parser: Parser) -> tuple[int, str]:
    version = _VERSION.search(first)
    if version is not None and version[1] != b"2.0":
        return 505, "Version Not Supported"
    found = _REQUEST_LINE.fullmatch(first)
    if found is not None and _OTHER_SCHEME.match(found[2]) and not _SCHEMES.match(found[2]):
        return 416, "Unsupported URI Scheme"
    if needed:
        return 400, needed[0]
    return 400, "Bad Request" if _good_request_line(first, parser) else "Bad Request-Line"


def _reply(head: _Head, code: int, reason: str, source: Origin) -> bytes:
    lines = [f"SIP/2.0 {code} {reason}".encode()]
    for wanted in _REPEATED:
        values = [_CONTROLS.sub(b" ", value) for value in head.values(wanted)]
        values = values if wanted == "Via" else values[:1]
        if wanted == "Via":
            values[:1] = [_with_source(value, source) for value in values[:1]]
        elif wanted == "To":
            values = [value if _TAG.search(value) else value + _own_tag(head) for value in values]
        lines += [wanted.encode() + b": " + value for value in values]
    return b"\r\n".join((*lines, b"Content-Length: 0", b"", b""))


def _own_tag(head: _Head) -> bytes:
    """The same for the same request (RFC 3261 §8.2.7)."""
    return b";tag=%08x" % zlib.crc32(b"".join(head.values("Call-ID")))


def _with_source(via: bytes, source: Origin) -> bytes:
    """The first Via with where its request really came from (RFC 3261 §18.2.1, RFC 3581 §4); as it came when it cannot be read."""
    found = _VIA.match(via)
    if found is None:
        return via
    parameters = _RPORT.sub(b";rport=%d" % source.port, found[3].rstrip())
    return via[: found.start(3)] + parameters + b";received=" + source.ip.encode() + via[found.end(3) :]


def _reply_port(head: _Head, source: Origin) -> int:
    """Where the reply goes to (RFC 3261 §18.2.2, RFC 3581 §4): where the request came from when its Via cannot be read."""
    found = _VIA.match(head.values("Via")[0]) if head.values("Via") else None
    if source.stream or found is None or _RPORT.search(found[3]):
        return source.port
    port = int(found[2]) if found[2] else _SIP_PORT
    return port if 0 < port <= _LAST_PORT else source.port
