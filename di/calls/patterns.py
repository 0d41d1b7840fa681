# SPDX-License-Identifier: GPL-2.0-or-later
"""Replacement patterns of call control and sbc (spec applications.md §22.4): texts with values of a call in them. Pure.

    fill("$fU-$H(P-Tenant)", values_of(session.info))      →  "alice-acme"

A pattern that is not known gives nothing, and a warning in the log.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from di.calls.call_info import CallInfo
from di.sip.app_params import lookup
from di.sip.headers import first_header, parse_uri, uri_of

log = logging.getLogger(__name__)
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t"}
_URI_PARTS = "uUdhpHPn"
_CONTROLS = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class PatternValues:
    """What patterns stand for. `headers`: of the request; `variables`: `$V(name)`; `maps`: name → regex map of `$M`.

    `local`: our address and port, `public_ip`: what others know it by, `interface`: number and name; `next_hop`: where it goes, as URI.
    """

    method: str = "INVITE"
    request_uri: str = ""
    from_header: str = ""
    to_header: str = ""
    call_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    source: tuple[str, int] = ("", 0)
    local: tuple[str, int] = ("", 0)
    public_ip: str = ""
    interface: tuple[int, str] = (0, "default")
    next_hop: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    maps: Mapping[str, Callable[[str], str | None]] = field(default_factory=dict)
    registered: tuple[str, str, str] = ("", "", "")
    """What a registration cache knows of the called user: contact, source (host:port), interface."""
    origin: tuple[str, str] = ("", "")
    """What it knows of who sent the request: address of record, alias."""


def values_of(info: CallInfo, variables: Mapping[str, str] | None = None) -> PatternValues:
    """What they stand for in a call."""
    return PatternValues(
        request_uri=info.request_uri,
        from_header=info.from_header,
        to_header=info.to_header,
        call_id=info.call_id,
        headers=info.headers,
        source=(info.source_ip, info.source_port),
        variables=variables or {},
    )


def fill(text: str, values: PatternValues, change: Callable[[str], str] | None = None) -> str:
    """The text with its patterns replaced. What they give comes from callers: its control characters become %XX, as a URI has them, so that
    it ends no line. `change` is done to it too; the rest of the text stays.
    """
    return _Filler(text, values, change).run()


class _Filler:
    """One pass over a text."""

    def __init__(self, text: str, values: PatternValues, change: Callable[[str], str] | None) -> None:
        self._text = text
        self._change = change
        self._values = values
        self._at = 0

    def run(self) -> str:
        parts = []
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter == "\\" and self._at + 1 < len(self._text):
                following = self._text[self._at + 1]
                parts.append(_ESCAPES.get(following, following))
                self._at += 2
            elif letter == "$" and self._at + 1 < len(self._text):
                self._at += 1
                found = _CONTROLS.sub(lambda control: f"%{ord(control[0]):02X}", self._pattern())
                parts.append(self._change(found) if self._change is not None else found)
            else:
                parts.append(letter)
                self._at += 1
        return "".join(parts)

    # ------------------------------------------------------------------------------------------------------------ patterns
    def _pattern(self) -> str:
        began = self._at
        first = self._take()
        found = self._known(first)
        if found is None:
            log.warning("there is no replacement pattern $%s in %r", self._text[began : began + 3], self._text)
            return ""
        return found

    def _take(self) -> str:
        letter = self._text[self._at : self._at + 1]
        self._at += 1
        return letter

    def _known(self, first: str) -> str | None:
        if first in ("r", "f", "t", "a", "p"):
            return self._address(first)
        if first in ("s", "d", "R", "u", "U"):
            return self._place(first, self._take())
        if first == "c":
            return self._values.call_id if self._take() == "i" else None
        if first == "m":
            return self._values.method
        if first == "_":
            return self._function(self._take(), self._argument())
        simple: dict[str, Callable[[str], str | None]] = {
            "P": lambda name: lookup(self._values.headers, name) or "",
            "V": lambda name: self._values.variables.get(name, ""),
            "#": lambda text: quote(fill(text, self._values), safe="", errors="surrogateescape"),
            "M": self._map,
        }
        if first == "H":
            return self._header()
        return simple[first](self._argument()) if first in simple else None

    def _argument(self) -> str:
        """What stands in the brackets that follow; patterns may stand in it, with brackets of their own."""
        if self._text[self._at : self._at + 1] != "(":
            return ""
        depth, began = 0, self._at + 1
        for at in range(self._at, len(self._text)):
            depth += {"(": 1, ")": -1}.get(self._text[at], 0)
            if not depth:
                self._at = at + 1
                return self._text[began:at]
        self._at = len(self._text)
        return self._text[began:]

    def _address(self, first: str) -> str | None:
        whole = {
            "r": lambda: self._values.request_uri,
            "f": lambda: self._values.from_header,
            "t": lambda: self._values.to_header,
            "a": lambda: first_header(self._values.headers, "P-Asserted-Identity") or "",
            "p": lambda: first_header(self._values.headers, "P-Preferred-Identity") or "",
        }[first]()
        part = self._text[self._at : self._at + 1]
        if part in ("", "."):  # SEMS's rule: the whole value stands alone, or before a full stop
            return whole
        self._at += 1
        if first == "r":
            whole = f"<{whole}>"  # what follows reads values of headers, in which a bare URI ends at its first parameter
        if part == "t" and first in "ft":
            return _header_parameter(whole, "tag")
        if part == "i" and first in "ap":
            part = "u"
        if part == "P" and self._text[self._at : self._at + 1] == "(":
            return parse_uri(uri_of(whole)).params.get(self._argument().lower(), "")
        return _uri_part(whole, part) if part in _URI_PARTS else None

    def _place(self, first: str, second: str) -> str | None:
        values = self._values
        hop = parse_uri(values.next_hop or values.request_uri)
        known = {
            "si": values.source[0], "sp": str(values.source[1] or ""), "di": hop.host, "dp": str(hop.port or 5060),
            "Ri": values.local[0], "Rp": str(values.local[1] or ""), "RI": values.public_ip or values.local[0],
            "Rf": str(values.interface[0]), "Rn": values.interface[1],
        }  # fmt: skip
        registered = dict(zip(("uc", "us", "ui", "Ua", "UA"), (*values.registered, *values.origin), strict=True))
        return known.get(first + second, registered.get(first + second))

    def _header(self) -> str | None:
        part = "" if self._text[self._at : self._at + 1] == "(" else self._take()
        value = first_header(self._values.headers, self._argument()) or ""
        if part == "P" and self._text[self._at : self._at + 1] == "(":
            return parse_uri(uri_of(value)).params.get(self._argument().lower(), "")
        if not part:
            return value
        return _uri_part(value, part) if part in _URI_PARTS else None

    def _map(self, argument: str) -> str | None:
        text, arrow, name = argument.rpartition("=>")
        found = self._values.maps.get(name.strip())
        if not arrow or found is None:
            return None
        return found(fill(text, self._values)) or ""

    def _function(self, name: str, argument: str) -> str | None:
        text = fill(argument, self._values)
        if name == "5":
            return hashlib.md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
        if name == "r":
            return str(secrets.randbelow(int(text))) if text.isdecimal() and int(text) > 0 else ""
        plain = {"u": text.upper(), "l": text.lower(), "s": str(len(text)), "t": text[-3:]}
        return plain.get(name)


def _uri_part(value: str, part: str) -> str:
    """A part of the URI in a value; `n` the name before it."""
    text = uri_of(value)
    uri = parse_uri(text)
    if part == "n":
        name = value.partition("<")[0].strip() if "<" in value else ""
        return name[1:-1].replace('\\"', '"').replace("\\\\", "\\") if len(name) > 1 and name[0] == name[-1] == '"' else name
    port = f":{uri.port}" if uri.port else ""
    rest, _, uri_headers = text.partition("?")
    params = rest.partition("@")[2] or rest
    return {
        "u": f"{uri.user}@{uri.host}{port}" if uri.user else f"{uri.host}{port}",
        "U": uri.user,
        "d": f"{uri.host}{port}",
        "h": uri.host,
        "p": str(uri.port or ""),
        "H": uri_headers,
        "P": params.partition(";")[2],
    }[part]


def _header_parameter(value: str, name: str) -> str:
    for part in value.rpartition(">")[2].split(";")[1:]:
        key, _, text = part.partition("=")
        if key.strip().lower() == name:
            return text.strip()
    return ""
