# SPDX-License-Identifier: GPL-2.0-or-later
"""What a REGISTER asks for: its Contact values, Expires, CSeq, and where it came from. Pure; any header text is read or refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from di.sip.headers import first_header, is_sip_uri, long_name, parse_uri, uri_of

_VALUES = re.compile(r'(?:"(?:\\.|[^"\\])*"|<[^>]*>|[^",<])+')
_MOST_CONTACTS = 20


@dataclass(frozen=True, slots=True)
class ContactOrder:
    """One contact. `expires_s`: None when its value does not say."""

    uri: str
    expires_s: int | None = None
    q: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSource:
    """Which REGISTER, and where it came from. `transport`: `udp`, `tcp`, `tls`, `ws`, `wss`."""

    call_id: str = ""
    cseq: int = 0
    source_ip: str = ""
    source_port: int = 0
    transport: str = "udp"
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class RegisterOrder(RegisterSource):
    """A REGISTER. `star`: all bindings are to go. `expires_s`: of its Expires header."""

    contacts: tuple[ContactOrder, ...] = ()
    star: bool = False
    expires_s: int | None = None


def read(headers: Sequence[tuple[str, str]], call_id: str, source: tuple[str, int]) -> RegisterOrder:
    """What the headers ask for. Raises ValueError that says what is wrong."""
    texts = [part.strip() for value in all_of(headers, "Contact") for part in _VALUES.findall(value) if part.strip()]
    star = "*" in texts
    if star and len(texts) > 1:
        raise ValueError("Contact: * must stand alone")
    if len(texts) > _MOST_CONTACTS:
        raise ValueError(f"{len(texts)} contacts; {_MOST_CONTACTS} are the most")
    expires_s = _seconds(first_header(headers, "Expires"))
    if star and expires_s != 0:
        raise ValueError("Contact: * needs Expires: 0")
    number = re.match(r"\s*(\d{1,10})\s", f"{first_header(headers, 'CSeq') or ''} ")
    transport = re.match(r"\s*SIP\s*/\s*2\.0\s*/\s*(\w+)", first_header(headers, "Via") or first_header(headers, "v") or "")
    return RegisterOrder(
        () if star else tuple(_contact(text) for text in texts),
        star,
        expires_s,
        call_id=call_id,
        cseq=int(number[1]) if number else 0,
        source_ip=source[0],
        source_port=source[1],
        transport=transport[1].lower() if transport else "udp",
        user_agent=(first_header(headers, "User-Agent") or "")[:200],
    )


def all_of(headers: Sequence[tuple[str, str]], name: str) -> list[str]:
    """Every value under a name, compact form included."""
    return [value for known, value in headers if long_name(known).lower() == name.lower()]


def _contact(text: str) -> ContactOrder:
    uri = uri_of(text)
    if not is_sip_uri(uri) or "?" in uri or parse_uri(uri).scheme == "tel":
        raise ValueError(f"contact {text[:80]!r} is no SIP URI")
    parameters = text.rpartition(">")[2] if "<" in text else text.partition(";")[2]
    found = dict(re.findall(r"(?:^|;)\s*(\w+)\s*=\s*([^;\s]+)", parameters))
    wanted = re.fullmatch(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?", found.get("q", "1"))
    return ContactOrder(uri, _seconds(found.get("expires")), float(wanted[0]) if wanted else 1.0)


def _seconds(text: str | None) -> int | None:
    """A malformed one counts as not given (RFC 3261 §20.19 lets it be the default)."""
    return min(int(text), 1 << 31) if text is not None and re.fullmatch(r"\s*[0-9]{1,12}\s*", text) else None


def aor_of(uri: str, any_domain: bool = False) -> str:
    """The address-of-record of a URI: `user@host`, without port and parameters (RFC 3261 §10.3 step 5). Empty for none."""
    found = parse_uri(uri)
    if not found.user or not found.host:
        return ""
    return found.user if any_domain else f"{found.user}@{found.host.lower()}"
