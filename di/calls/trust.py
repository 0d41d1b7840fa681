# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose word counts (`trusted_peers`): what a caller's headers may steer, and what of them a stranger's INVITE keeps.

    trusted peer ─► all headers
    stranger     ─► without private headers (`P-…`, Remote-Party-ID): they are a network's own, set or checked by its proxies (RFC 3325 §5)

So nothing above asks who sent a header: one that is not to count is not there. Applications whose configuration names a header of its own
(webconference's participant id) ask `CallInfo.trusted`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeVar

from di.calls.call_info import CallInfo
from di.sip.headers import parse_uri, uri_of
from di.sip.records import CallConfirmed, CallEnded, CallEvent, CallOffered, RequestReceived

E = TypeVar("E", bound=CallEvent)
_REMEMBERED = 4096
"""Addresses that are read once: a caller's stands in several records of a call, and reading it anew costs 20 us a call."""
_LONGEST_ADDRESS = 64
"""Texts come from strangers: thousands of a message's length would be kept for ever. RFC 4291 §2.2: 45 characters, and a scope."""
_SHORT = 200
"""The same of Contact."""
_RECEIVED = re.compile(r";\s*received\s*=\s*\[?([0-9A-Fa-f.:]+)")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """What a text says as an IP address; None for what is none."""
    return _read(text) if len(text) <= _LONGEST_ADDRESS else None


@lru_cache(_REMEMBERED)
def _read(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def trusts(networks: Collection[IPv4Network | IPv6Network], ip: str) -> bool:
    """Whether an address lies in one of the networks; an IPv4 address that is written as IPv6 counts as what it is."""
    address = _address(ip) if networks else None
    if address is None:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


def return_path_known(info: CallInfo, media_ip: str) -> bool:
    """Whether media may go to a caller's address before anything has come from there, or been acknowledged.

    An INVITE by UDP may have been sent by anybody in anybody's name, and name anybody's address: it is no reason to send there. So it is
    where who signals has shown that he is at that address (by TCP or TLS, or being a trusted peer), and where a peer answers for it.
    """
    if not info.incoming or info.vouched:
        return True
    return (info.connected or info.trusted) and _same_host(info.source_ip, media_ip)


def _same_host(one: str, other: str) -> bool:
    address = _address(one)
    return address is not None and address == _address(other)


def _is_private(name: str) -> bool:
    return name[:2].lower() == "p-" or name.lower() == "remote-party-id"


def private_headers(headers: Sequence[tuple[str, str]]) -> list[str]:
    """Names of those headers that count from trusted peers only."""
    found = [name for name, _ in headers if name[:1] in "pPrR" and _is_private(name)]  # nearly always none
    return sorted(set(found)) if found else found


def counting_headers(headers: Sequence[tuple[str, str]], trusted: bool) -> tuple[tuple[str, str], ...]:
    """Those of a request's headers that count."""
    return tuple((name, value) for name, value in headers if trusted or not _is_private(name))


def of_stranger(record: E) -> E:
    """A record of a stranger's call, without what does not count."""
    if isinstance(record, (CallOffered, RequestReceived, CallConfirmed, CallEnded)) and private_headers(record.headers):
        return replace(record, headers=tuple((name, value) for name, value in record.headers if not _is_private(name)))
    return record


def signalling_of(source_ip: str, headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Addresses that a message's sender has been seen at: where it came from, what each proxy on its way has noted of the one before.

    Contact counts where it names a public address, which a proxy has put there for a phone behind NAT, or the phone knows by itself.
    """
    found = [source_ip] if source_ip else []
    for name, value in headers:
        if name[:1] not in "vVcCmM":
            continue
        known = name.lower()
        if known in ("via", "v"):
            found += _RECEIVED.findall(value) if "received" in value else ()
        elif known in ("contact", "m"):
            found += _public_host(value) if len(value) <= _SHORT else _public_host.__wrapped__(value)
    return tuple(dict.fromkeys(found))


@lru_cache(_REMEMBERED)
def _public_host(contact: str) -> tuple[str, ...]:
    """The host that a Contact names, if that is a public address."""
    host = parse_uri(uri_of(contact)).host.strip("[]")
    return (host,) if is_public(host) else ()


def is_public(host: str) -> bool:
    """Whether a text is an IP address that the whole internet knows."""
    address = _address(host)
    return address is not None and _is_global(address)


@lru_cache(_REMEMBERED)
def _is_global(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global


def same_identity(info: CallInfo, offer: CallOffered) -> bool:
    """Whether a new call is of the caller of one that is there: the same From URI from the same address."""
    one, other = parse_uri(uri_of(info.from_header)), parse_uri(uri_of(offer.from_header))
    same = (one.scheme, one.user, one.host.lower(), one.port) == (other.scheme, other.user, other.host.lower(), other.port)
    return info.incoming and bool(info.source_ip) and info.source_ip == offer.source_ip and same
