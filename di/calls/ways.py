# SPDX-License-Identifier: GPL-2.0-or-later
"""By which way a call out goes, and by which one next: addresses of names, failover, a list of the dead, redirections (docs/dialling.md).

    place: next_hop list | Route | Request-URI ─► RFC 3263 (`di.sip.locate`) ─► addresses, those that were dead lately last
    no 100 within timer M, transport error, 503 ─► that address is noted as dead ─► the same call to the next one
    3xx, and `redirects` allow it ─► the dial control is asked ─► the same call to the next Contact

An INVITE by another way is a call of its own to the SIP process and to the peers; here the session, its record and its application go on.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from random import Random
from typing import Protocol

from di.kernel.dns_lookup import DnsLookup, NoAnswer
from di.kernel.server_options import CoreOptions
from di.sip.headers import is_sip_uri, uri_of
from di.sip.locate import Dns, LookupFailed, Naptr, SipPlace, Srv, Way, locate, place_of
from di.sip.records import CallEnded

log = logging.getLogger(__name__)
_MOST_DEAD = 1000
_MOST_CONTACTS = 10


class DeadWays:
    """Addresses that have failed lately. Pure."""

    def __init__(self, ttl_ms: int) -> None:
        self._ttl_ns = ttl_ms * 1_000_000
        self._until_ns: OrderedDict[Way, int] = OrderedDict()

    def add(self, way: Way, now_ns: int) -> None:
        """One has failed."""
        if self._ttl_ns:
            self._until_ns[way] = now_ns + self._ttl_ns
            self._until_ns.move_to_end(way)
            if len(self._until_ns) > _MOST_DEAD:
                self._until_ns.popitem(last=False)

    def is_dead(self, way: Way, now_ns: int) -> bool:
        """Whether it has failed so lately that others come first."""
        until_ns = self._until_ns.get(way)
        if until_ns is not None and until_ns <= now_ns:
            del self._until_ns[way]
            return False
        return until_ns is not None

    def last(self, ways: Iterable[Way], now_ns: int) -> list[Way]:
        """The ways, those that are dead behind the others: when all are, they are tried all the same."""
        return sorted(ways, key=lambda way: self.is_dead(way, now_ns))


class NameServers:
    """`di.sip.locate.Dns` by real questions."""

    def __init__(self, lookup: DnsLookup) -> None:
        self._lookup = lookup

    async def naptr(self, name: str) -> Sequence[Naptr]:
        """NAPTR records of a name."""
        try:
            return [Naptr(*record) for record in await self._lookup.naptr(name)]
        except NoAnswer as error:
            raise LookupFailed(str(error)) from error

    async def srv(self, name: str) -> Sequence[Srv]:
        """SRV records of a name."""
        try:
            return [Srv(*record) for record in await self._lookup.srv(name)]
        except NoAnswer as error:
            raise LookupFailed(str(error)) from error

    async def addresses(self, name: str, ipv6: bool) -> Sequence[str]:
        """A or AAAA records of a name."""
        try:
            return await self._lookup.addresses(name, ipv6)
        except NoAnswer as error:
            raise LookupFailed(str(error)) from error


class Planned(Protocol):
    """What of a call's plan says where it goes (`di.calls.call_info.DialPlan`)."""

    next_hop: str
    places: tuple[SipPlace, ...]


class Ways:
    """Finds addresses, and knows which are dead."""

    def __init__(self, core: CoreOptions, random: Random, dns: Dns | None = None) -> None:
        self._dns: Dns = dns or NameServers(DnsLookup(core.dns_servers))
        self._random = random
        self._services = not core.disable_dns_srv
        own = (core.sip_ip, *(ip for ip, _, _ in core.further_sip))
        self._families = tuple(dict.fromkeys(":" in ip for ip in own))
        self.dead = DeadWays(core.default_bl_ttl)

    def needs_none(self, plan: Planned, request_uri: str) -> bool:
        """Whether the SIP process finds the way by itself: one address is named. TLS to a name, too: its certificate is for the name."""
        places = self._places(plan, request_uri)
        return (
            len(places) == 1 and not plan.places and (places[0].is_address or places[0].transport == "tls" or not places[0].host)
        )

    async def find(self, plan: Planned, request_uri: str, now_ns: int) -> list[Way]:
        """The addresses to try. Raises LookupFailed that says why there is none."""
        ways: dict[Way, None] = {}
        failed = ""
        for place in self._places(plan, request_uri):
            try:
                found = await locate(place, self._dns, self._random, self._families, services=self._services)
            except LookupFailed as error:
                failed = str(error)
                continue
            failed = failed or ("" if found else f"{place.host} has no address")
            ways.update(dict.fromkeys(found))
        if not ways:
            raise LookupFailed(failed or "there is no address")
        return self.dead.last(ways, now_ns)

    @staticmethod
    def _places(plan: Planned, request_uri: str) -> tuple[SipPlace, ...]:
        return plan.places or (place_of(plan.next_hop or request_uri),)


def is_dead_end(ended: CallEnded) -> bool:
    """Whether an INVITE that nobody had answered ended so that another address may do better (RFC 3263 §4.3)."""
    return ended.by in ("timeout", "error") or (ended.by == "remote" and ended.code == 503)


def contacts_of(headers: Iterable[tuple[str, str]]) -> list[str]:
    """Where a redirection leads, the most wanted first (RFC 3261 §8.1.3.4): each URI once, without header fields, what is no URI left out."""
    found: list[tuple[float, str]] = []
    for name, value in headers:
        if name.lower() not in ("contact", "m"):
            continue
        for part in re.findall(r'(?:"(?:\\.|[^"\\])*"|<[^>]*>|[^",<])+', value):
            uri = uri_of(part.strip()).partition("?")[0]
            wanted = re.search(r";\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)", part.rpartition(">")[2])
            if is_sip_uri(uri):
                found.append((float(wanted[1]) if wanted else 1.0, uri))
    ordered = [uri for _, uri in sorted(found, key=lambda one: -one[0])]
    return list(dict.fromkeys(ordered))[:_MOST_CONTACTS]
