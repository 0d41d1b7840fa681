# SPDX-License-Identifier: GPL-2.0-or-later
"""The little of SIP's grammar that deciding needs: parts of a URI, the URI in a header value, headers by name. Any text is accepted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?:(?P<user>[^@;?]*(?:;[^@?]*)?)@)?(?P<rest>.*)", re.DOTALL)
_IN_BRACKETS = re.compile(r'(?:"(?:\\.|[^"\\])*"|[^"<])*<([^>]*)>')
_HOST = re.compile(r"(?P<host>\[[^\]]*\]|[^:;?>]*)(?::(?P<port>[0-9]{1,5}))?(?P<params>[^?]*)", re.DOTALL)


_VISUAL_SEPARATORS = str.maketrans("", "", "-.()")
"""RFC 3966 §3: they are for eyes, and no part of a number."""


@dataclass(frozen=True, slots=True)
class Uri:
    """A SIP URI's parts; `user` without password and escapes. `params`, to be read only: keys in lower case, a bare parameter has an empty value.

    Of a tel URI the number is the user, without visual separators, as it is in the SIP URI that means the same (RFC 3261 §19.1.6).
    """

    scheme: str = ""
    user: str = ""
    host: str = ""
    port: int = 0
    params: dict[str, str] = field(default_factory=dict)


def parse_uri(text: str) -> Uri:
    """Take a URI apart; what is no URI gives empty parts."""
    return _parsed_before(text) if len(text) <= _SHORT else _parse_uri(text)


def _parse_uri(text: str) -> Uri:
    match = _URI.match(text.strip())
    if match is None:
        return Uri()
    scheme = match["scheme"].lower()
    if scheme == "tel":
        number, _, parameters = text.strip()[len("tel:") :].partition(";")
        user = unquote(number, errors="surrogateescape").translate(_VISUAL_SEPARATORS)
        return Uri(scheme, user, params=_parameters(parameters))
    place = _HOST.match(match["rest"])
    assert place is not None
    user = unquote((match["user"] or "").partition(":")[0], errors="surrogateescape")
    return Uri(scheme, user, place["host"], int(place["port"] or 0), _parameters(place["params"] or ""))


_SHORT = 200
"""URIs up to this length are remembered: every layer asks for the parts of a call's few, and callers call the same ones."""
_parsed_before = lru_cache(1000)(_parse_uri)


def _parameters(text: str) -> dict[str, str]:
    params: dict[str, str] = {}
    for part in text.split(";"):
        name, _, value = part.partition("=")
        if name.strip():
            params.setdefault(name.strip().lower(), unquote(value.strip(), errors="surrogateescape"))
    return params


def is_sip_uri(text: str) -> bool:
    """Whether a text can stand as SIP or tel URI in a request: a scheme, a place, nothing that ends a line or a bracket."""
    uri = parse_uri(text)
    return (
        uri.scheme in ("sip", "sips", "tel")
        and bool(uri.user if uri.scheme == "tel" else uri.host)
        and not any(c in '<>" ' or ord(c) < 33 or c == "\x7f" for c in text)
    )


def uri_of(header: str) -> str:
    """The URI in a From, To, Contact or Route value: what stands in <…>, else the value up to its first parameter."""
    match = _IN_BRACKETS.match(header)
    return match.group(1).strip() if match else header.split(";", 1)[0].strip()


def first_header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """The first value of a header, or None; names are compared without case."""
    wanted, length = name.lower(), len(name)
    for key, value in headers:  # a look-up of a header that is not there costs a third of what a generator takes
        if len(key) == length and key.lower() == wanted:
            return value
    return None


def header_lines(text: str, newline: str = "|") -> list[str]:
    """Split a block of header lines; `newline` also stands for a line end (applications.md §1.5). Empty lines are dropped, nothing else."""
    lines = re.split(r"\r\n|\n", text.replace(newline, "\n") if newline else text)
    return [line.strip(" \t") for line in lines if line.strip()]


TOKEN = re.compile(r"[A-Za-z0-9!%*_+`'~.-]+")
"""RFC 3261 §25.1."""

# RFC 3261 §7.3.3 and the registrations that came later
_LONG_NAMES = {
    "a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "d": "Request-Disposition", "e": "Content-Encoding",
    "f": "From", "i": "Call-ID", "j": "Reject-Contact", "k": "Supported", "l": "Content-Length", "m": "Contact",
    "o": "Event", "r": "Refer-To", "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via", "x": "Session-Expires",
    "y": "Identity",
}  # fmt: skip


def long_name(name: str) -> str:
    """A header's full name for its compact form."""
    return _LONG_NAMES.get(name.lower(), name) if len(name) == 1 else name


STACK_HEADERS = frozenset(
    "via route record-route from to call-id cseq max-forwards contact content-length content-type content-encoding rack rseq "
    "session-expires min-se".split()
)
"""What the SIP stack writes itself: a second one would break the message, the dialog or its way through the network.

Contact may come from the hub where it is not the dialog's: in redirections (3xx) and registrations.
"""


def header_problem(line: str, contact: bool = False) -> str:
    """Why a text cannot be sent as one header line of ours; empty when it can. `contact`: whether Contact may be one of them."""
    name, colon, _ = line.partition(":")
    name = name.strip(" \t")
    if any((ord(c) < 32 and c != "\t") or c == "\x7f" for c in line):
        return f"header line {line[:80]!r} must not hold control characters"
    if not colon or not TOKEN.fullmatch(name):
        return f"header line {line[:80]!r} must be 'Name: value'"
    if (known := long_name(name).lower()) in STACK_HEADERS and not (contact and known == "contact"):
        return f"header {name} cannot be given: the SIP stack writes it itself"
    return ""


def uri_problem(uri: str) -> str:
    """Why a text cannot stand as the URI of a request of ours; empty when it can.

    Header fields in a URI (`?X=1`, RFC 3261 §19.1.5) are refused: they would become header lines of the request, whatever their names.
    """
    if not is_sip_uri(uri):
        return f"{uri!r} is no SIP URI"
    if "?" in uri:
        return f"{uri!r}: header fields behind `?` cannot be given in a URI; a `?` of the user part is written %3F"
    return ""


_OF_ONE_DIALOG = STACK_HEADERS | frozenset(
    "content-disposition authorization proxy-authorization www-authenticate proxy-authenticate authentication-info allow supported "
    "require proxy-require unsupported user-agent server expires min-expires date accept accept-encoding accept-language "
    "allow-events mime-version replaces x-cordboard-hops".split()
)
"""Headers that belong to one dialog, hop or body, and the one that steers Max-Forwards: a call that is connected with another never copies them."""


def end_to_end(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Those headers, as lines, that one leg of a pair may pass to the other."""
    lines = (f"{name}: {value}" for name, value in headers if long_name(name).lower() not in _OF_ONE_DIALOG)
    return tuple(line for line in lines if not header_problem(line))
