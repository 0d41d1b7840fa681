# SPDX-License-Identifier: GPL-2.0-or-later
"""The little of SIP's grammar that deciding needs: parts of a URI, the URI in a header value, headers by name. Any text is accepted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?:(?P<user>[^@;?]*(?:;[^@?]*)?)@)?(?P<rest>.*)", re.DOTALL)
_HOST = re.compile(r"(?P<host>\[[^\]]*\]|[^:;?>]*)(?::(?P<port>[0-9]{1,5}))?(?P<params>[^?]*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Uri:
    """A SIP URI's parts; `user` without password and escapes. `params` keys are lower case, a bare parameter has an empty value."""

    scheme: str = ""
    user: str = ""
    host: str = ""
    port: int = 0
    params: dict[str, str] = field(default_factory=dict)


def parse_uri(text: str) -> Uri:
    """Take a URI apart; what is no URI gives empty parts."""
    match = _URI.match(text.strip())
    if match is None:
        return Uri()
    place = _HOST.match(match["rest"])
    assert place is not None
    params: dict[str, str] = {}
    for part in (place["params"] or "").split(";"):
        name, _, value = part.partition("=")
        if name.strip():
            params.setdefault(name.strip().lower(), unquote(value.strip(), errors="surrogateescape"))
    user = unquote((match["user"] or "").partition(":")[0], errors="surrogateescape")
    return Uri(match["scheme"].lower(), user, place["host"], int(place["port"] or 0), params)


def is_sip_uri(text: str) -> bool:
    """Whether a text can stand as SIP or tel URI in a request: a scheme, a place, nothing that ends a line or a bracket."""
    uri = parse_uri(text)
    return (
        uri.scheme in ("sip", "sips", "tel")
        and bool(uri.host)
        and not any(c in '<>" ' or ord(c) < 33 or c == "\x7f" for c in text)
    )


def uri_of(header: str) -> str:
    """The URI in a From, To, Contact or Route value: what stands in <…>, else the value up to its first parameter."""
    match = re.match(r'(?:"(?:\\.|[^"\\])*"|[^"<])*<([^>]*)>', header)
    return match.group(1).strip() if match else header.split(";", 1)[0].strip()


def first_header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """The first value of a header, or None; names are compared without case."""
    wanted = name.lower()
    return next((value for key, value in headers if key.lower() == wanted), None)


def header_lines(text: str, newline: str = "|") -> list[str]:
    """Split a block of header lines; `newline` also stands for a line end (applications.md §1.5). Lines without a name are dropped."""
    lines = re.split(r"[\r\n]+", text.replace(newline, "\n") if newline else text)
    return [line.strip() for line in lines if re.match(r"\s*[A-Za-z0-9!%*_+`'~.-]+\s*:", line)]


_OF_ONE_DIALOG = frozenset(
    "via from to call-id cseq contact max-forwards content-length content-type content-disposition content-encoding route record-route "
    "authorization proxy-authorization www-authenticate proxy-authenticate authentication-info allow supported require proxy-require "
    "unsupported session-expires min-se user-agent server expires min-expires date rack rseq accept accept-encoding accept-language "
    "allow-events mime-version replaces v f t i m l c e k x u".split()
)
"""Headers that belong to one dialog, hop or body, with their short forms: a call that is connected with another never copies them."""


def end_to_end(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Those headers, as lines, that one leg of a pair may pass to the other."""
    return tuple(f"{name}: {value}" for name, value in headers if name.lower() not in _OF_ONE_DIALOG)
