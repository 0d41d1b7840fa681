# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages that pjsip's parser refuses. It would drop each without a word for one bad header, even for one that nobody needs.

    bad header that is not needed   ─► the message without it                            (RFC 3261 §8.2: "ignore it and continue")
    bad header that is needed, or
    a bad request line              ─► what a reply repeats, made readable, and a code: 400, or 505 for another version of SIP
    a reply whose own is bad        ─► nothing: who sent it has no use for an answer

Pure: bytes in, bytes out. Whether pjsip takes a header or a URI is asked of it by what is passed in. What comes out is shorter than what
came in, so that it fits into its place in pjsip's buffer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from di.sip.headers import long_name

_REQUEST_LINE = re.compile(rb"([!-9;-~]+) ([^\s<>]+) SIP/2\.0")
_TOKEN = re.compile(rb"[A-Za-z0-9!%*_+`'~.-]+")
_SCHEMES = re.compile(rb"(sips?|tel):", re.IGNORECASE)
_OTHER_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:")
_VERSION = re.compile(rb"SIP/([0-9]+\.[0-9]+)\s*$")
_ADDRESS = re.compile(rb"<[^<>\s]*>")
_TAG = re.compile(rb";\s*tag\s*=\s*([A-Za-z0-9!%*_+`'~.-]+)")
_VIA = re.compile(rb"SIP\s*/\s*[0-9.]+\s*/\s*([A-Za-z]+)\s+([^\s;,]+)")
_BRANCH = re.compile(rb";\s*branch\s*=\s*([A-Za-z0-9!%*_+`'~.-]+)")
_LEAST_URI = b"sip:invalid"
_GREATEST_CSEQ = (1 << 31) - 1

_REPEATED = ("Via", "From", "To", "Call-ID", "CSeq")
"""What a reply repeats (RFC 3261 §8.2.6.2)."""
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
class Mended:
    """`data`: what stands in the message's place. `code` 0: go on with it, else it is to be refused. `left_out`: names of headers."""

    data: bytes
    code: int = 0
    reason: str = ""
    left_out: tuple[str, ...] = ()


def mend(data: bytes, parser: Parser) -> Mended | None:
    """Make a message readable. None: it cannot be, or it is a reply that nobody can use."""
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    first, lines = _unfolded(head)
    reply = first[:4].upper() == b"SIP/"
    method = b"" if reply else first.split(b" ", 1)[0]
    bad = [(name, value) for name, value, _ in lines if not name or not parser.header(name, value)]
    needed = [name for name, _ in bad if _is_needed(name, method)]
    line_is_bad = not reply and not _good_request_line(first, parser)
    if not needed and not line_is_bad:
        names = {name for name, _ in bad}
        kept = [line for name, value, line in lines if name and (name not in names or parser.header(name, value))]
        return _fitting(Mended(b"\r\n".join((first, *kept)) + blank + body, left_out=tuple(sorted(names))), data)
    if reply or not _TOKEN.fullmatch(method):
        return None
    return _fitting(_refusal(first, method, lines, needed, parser), data)


def _unfolded(head: bytes) -> tuple[bytes, list[tuple[str, bytes, bytes]]]:
    """The start line, and of each header its name, its value and its lines as they came. Without a name it is none."""
    first, *rest = head.split(b"\r\n")
    found: list[tuple[str, bytes, bytes]] = []
    for line in rest:
        if line[:1] in (b" ", b"\t") and found:
            name, value, whole = found[-1]
            found[-1] = name, value + b" " + line.strip(), whole + b"\r\n" + line
        else:
            name_bytes, _, value = line.partition(b":")
            token = name_bytes.strip()
            found.append((long_name(token.decode()) if _TOKEN.fullmatch(token) else "", value.strip(), line))
    return first, found


def _is_needed(name: str, method: bytes) -> bool:
    known = name.lower()
    return known in _ALWAYS or method in _BY_TOKEN.get(known, ())


def _good_request_line(line: bytes, parser: Parser) -> bool:
    found = _REQUEST_LINE.fullmatch(line)
    return found is not None and _SCHEMES.match(found[2]) is not None and parser.uri(found[2])


def _fitting(mended: Mended | None, data: bytes) -> Mended | None:
    return mended if mended is not None and len(mended.data) < len(data) else None


def _refusal(
    first: bytes, method: bytes, lines: list[tuple[str, bytes, bytes]], needed: list[str], parser: Parser
) -> Mended | None:
    """The least of a request that can be answered, and with what."""
    parts = [method + b" " + _LEAST_URI + b" SIP/2.0"]
    for wanted in _REPEATED:
        values = [value for name, value, _ in lines if name.lower() == wanted.lower()]
        if not values:
            return None
        for value in values if wanted == "Via" else values[:1]:
            readable = value if parser.header(wanted, value) else _readable(wanted, value, method)
            if not parser.header(wanted, readable):
                return None
            parts.append(wanted.encode() + b":" + readable)
    version = _VERSION.search(first)
    data = b"\r\n".join((*parts, b"l:0", b"", b""))
    if version is not None and version[1] != b"2.0":
        return Mended(data, 505, "Version Not Supported")
    found = _REQUEST_LINE.fullmatch(first)
    if found is not None and _OTHER_SCHEME.match(found[2]) and not _SCHEMES.match(found[2]):
        return Mended(data, 416, "Unsupported URI Scheme")
    return Mended(data, 400, f"Bad {needed[0]}" if needed else "Bad Request-Line")


def _readable(name: str, value: bytes, method: bytes) -> bytes:
    """What is repeated of a header that is bad itself; empty: nothing can be."""
    match name:
        case "Via":
            found, branch = _VIA.search(value), _BRANCH.search(value)
            branched = b";branch=" + branch[1] if branch else b""
            return b"SIP/2.0/" + found[1] + b" " + found[2] + branched + b";rport" if found else b""
        case "From" | "To":
            address, tag = _ADDRESS.search(value), _TAG.search(value)
            return (address[0] if address else b"<" + _LEAST_URI + b">") + (b";tag=" + tag[1] if tag else b"")
        case "CSeq":
            digits = re.match(rb"[0-9]+", value)
            return b"%d %s" % (min(int(digits[0][:20]), _GREATEST_CSEQ) if digits else 0, method)
    return b""
