# SPDX-License-Identifier: GPL-2.0-or-later
"""What a reply to REGISTER says: for how long a contact of ours is bound, how long to wait, how long is long enough.

Whatever a registrar writes is read as far as it can be understood; nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from di.sip.headers import Uri, long_name, parse_uri, uri_of
from di.sip.registration.account import MAX_EXPIRES_S

Headers = tuple[tuple[str, str], ...]
_EXPIRES = re.compile(r';[ \t]*expires[ \t]*=[ \t]*"?[ \t]*(\d{1,10})', re.IGNORECASE)
_NUMBER = re.compile(r"[ \t]*(\d{1,10})")
_PORTS = {"sips": 5061}


def granted_s(headers: Headers, contact: str, without_word_s: int) -> int | None:
    """For how long `contact` (a URI) is bound by a 2xx; None: it is not (RFC 3261 §10.2.4).

    Its own `expires` counts, else the Expires header, else `without_word_s`. Registrars that write another host into it, as border
    controllers do, are understood when one binding alone has our user part.
    """
    ours = parse_uri(contact)
    bound = [value for value in contacts(headers) if value.strip() != "*"]
    same = [value for value in bound if _same(parse_uri(uri_of(value)), ours)]
    if not same:
        same = [value for value in bound if parse_uri(uri_of(value)).user == ours.user]
        same = same if len(bound) == 1 else []
    if not same:
        return None
    word = _EXPIRES.search(_behind(same[0]))
    if word is not None:
        return min(int(word[1]), MAX_EXPIRES_S)
    common = seconds(headers, "Expires")
    return without_word_s if common is None else common


def seconds(headers: Headers, name: str) -> int | None:
    """The number at the beginning of a header: Expires, Min-Expires, Retry-After; None without one."""
    for known, value in headers:
        if long_name(known).lower() == name.lower():
            found = _NUMBER.match(value)
            return min(int(found[1]), MAX_EXPIRES_S) if found is not None else None
    return None


def contacts(headers: Headers) -> Iterator[str]:
    """Every value of every Contact header, lists taken apart (RFC 3261 §7.3.1)."""
    for name, value in headers:
        if long_name(name).lower() == "contact":
            yield from _listed(value)


def _listed(value: str) -> list[str]:
    """At the commas outside quotes and brackets."""
    parts, start = [], 0
    quoted = escaped = bracketed = False
    for at, character in enumerate(value):
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = character == "\\", character != '"'
        elif character == '"' and not bracketed:
            quoted = True
        elif character in "<>":
            bracketed = character == "<"
        elif character == "," and not bracketed:
            parts.append(value[start:at])
            start = at + 1
    parts.append(value[start:])
    return [part.strip() for part in parts if part.strip()]


def _behind(value: str) -> str:
    """A value's own parameters: those of its URI stand inside the brackets, where there are any."""
    closing = value.rfind(">")
    return value[closing + 1 :] if closing >= 0 else value


def _same(one: Uri, other: Uri) -> bool:
    """Whether two URIs are the same as far as bindings go (RFC 3261 §19.1.4): user with case, host without, ports, transport."""
    return (
        one.scheme == other.scheme
        and one.user == other.user
        and one.host.lower() == other.host.lower()
        and (one.port or _PORTS.get(one.scheme, 5060)) == (other.port or _PORTS.get(other.scheme, 5060))
        and one.params.get("transport", "udp").lower() == other.params.get("transport", "udp").lower()
    )
