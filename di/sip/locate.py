# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a request may be sent: RFC 3263 over whatever answers DNS questions. Pure; the order of equal records is by the given random source.

sip:a@192.0.2.1          ─► that address
sip:a@gw.example:5070    ─► A/AAAA, that port
sip:a@gw.example;transport=tcp  ─► SRV of _sip._tcp, else A/AAAA
sip:a@gw.example         ─► NAPTR: which transports, by preference ─► SRV of each ─► A/AAAA of each, by priority and weight (RFC 2782)
                            none ─► SRV of UDP, then of TCP ─► none ─► A/AAAA, port 5060, UDP
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from random import Random
from typing import Protocol

from di.sip.headers import parse_uri

SIP_PORT, SIPS_PORT = 5060, 5061
_SERVICES = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_SRV_NAMES = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
MOST_WAYS = 16
MOST_FAILURES = 4
"""Names of one service that may have no answer, for each of which somebody waits some seconds: what a callee's redirection names is his to choose."""
"""So many addresses are tried at most, whatever a zone holds."""


@dataclass(frozen=True, slots=True)
class Naptr:
    """A NAPTR record (RFC 3403)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Srv:
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


class LookupFailed(Exception):
    """Nobody has answered a question, or the answer says that the zone is out of order; an empty answer is none."""


class Dns(Protocol):
    """Who answers questions. An empty list: there is no such record. Raises LookupFailed."""

    async def naptr(self, name: str) -> Sequence[Naptr]:
        """NAPTR records of a name."""

    async def srv(self, name: str) -> Sequence[Srv]:
        """SRV records of a name."""

    async def addresses(self, name: str, ipv6: bool) -> Sequence[str]:
        """A or AAAA records of a name."""


@dataclass(frozen=True, slots=True)
class Way:
    """An address that a request may be sent to. `transport`: udp, tcp or tls."""

    ip: str
    port: int
    transport: str = "udp"

    @property
    def uri(self) -> str:
        """As a URI that names nothing else."""
        return f"sip:{f'[{self.ip}]' if ':' in self.ip else self.ip}:{self.port};transport={self.transport}"

    def __str__(self) -> str:
        return f"{f'[{self.ip}]' if ':' in self.ip else self.ip}:{self.port}/{self.transport}"


@dataclass(frozen=True, slots=True)
class SipPlace:
    """Where somebody wants to send to. Empty `transport`, `port` 0: not said. `secure`: sips."""

    host: str
    port: int = 0
    transport: str = ""
    secure: bool = False

    @property
    def is_address(self) -> bool:
        """Whether there is nothing to be asked."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True


def place_of(uri: str) -> SipPlace:
    """Where a URI leads to."""
    parts = parse_uri(uri)
    host = parts.params.get("maddr") or parts.host
    secure = parts.scheme == "sips"
    transport = parts.params.get("transport", "").lower()
    return SipPlace(host.strip("[]").lower().removesuffix("."), parts.port, "tls" if secure else transport, secure)


def parse_places(text: str) -> tuple[SipPlace, ...]:
    """Read `host[:port][/transport]`, several separated by commas, the first one preferred. Raises ValueError that says what is right."""
    places = []
    for part in (part.strip() for part in text.split(",")):
        address, _, transport = part.partition("/")
        uri = parse_uri(f"sip:{address}")
        if not uri.host or uri.user or uri.params or (transport.lower() not in ("", "udp", "tcp", "tls")):
            raise ValueError(
                f"{part!r}: right is host[:port][/transport] with transport udp, tcp or tls; several separated by commas"
            )
        places.append(SipPlace(uri.host.strip("[]").lower(), uri.port, transport.lower()))
    return tuple(places)


async def locate(
    place: SipPlace, dns: Dns, random: Random, families: Sequence[bool] = (False,), *, services: bool = True
) -> list[Way]:
    """The addresses of a place, the best one first, none twice.

    `families`: which addresses we can send from, IPv6 or not, the preferred one first. `services` False: no NAPTR, no SRV. Raises
    LookupFailed when nothing is known because somebody has not answered.
    """
    finder = _Finder(dns, random, families)
    transport = place.transport or "udp"
    if place.is_address or place.port:
        return await finder.hosts([(place.host, place.port or _port(transport), transport)])
    if services and "." in place.host:
        wanted = await _records(place, dns)
        ordered = [(one.target, one.port, transport) for transport, records in wanted for one in by_priority(records, random)]
        if ordered:
            return await finder.hosts(ordered)
    return await finder.hosts([(place.host, _port(transport), transport)])


def _port(transport: str) -> int:
    return SIPS_PORT if transport == "tls" else SIP_PORT


async def _records(place: SipPlace, dns: Dns) -> list[tuple[str, Sequence[Srv]]]:
    """(transport, its SRV records), the preferred transport first. Nobody's answer is like none: the address may be known all the same."""
    try:
        if place.transport:
            return [(place.transport, await dns.srv(f"{_SRV_NAMES.get(place.transport, '_sip._udp')}.{place.host}"))]
        found = []
        for record in sorted(await dns.naptr(place.host), key=lambda one: (one.order, one.preference)):
            transport = _SERVICES.get(record.service.upper())
            if transport is not None and record.flags.lower() == "s":
                found.append((transport, await dns.srv(record.replacement)))
        if found:
            return found
        return [(transport, await dns.srv(f"{_SRV_NAMES[transport]}.{place.host}")) for transport in ("udp", "tcp")]
    except LookupFailed:
        return []


def by_priority(records: Iterable[Srv], random: Random) -> list[Srv]:
    """The order in which SRV records are tried: by priority, of one priority by chance according to weight (RFC 2782).

    A single record with target `.` says that the service is not there.
    """
    left = sorted((one for one in records if one.target.rstrip(".")), key=lambda one: (one.priority, one.weight))
    ordered = []
    while left:
        same = [one for one in left if one.priority == left[0].priority]
        number = random.randint(0, sum(one.weight for one in same))
        for one in same:
            number -= one.weight
            if number <= 0:
                break
        left.remove(one)
        ordered.append(one)
    return ordered


class _Finder:
    """Addresses of hosts, for as long as there are few enough."""

    def __init__(self, dns: Dns, random: Random, families: Sequence[bool]) -> None:
        self._dns, self._random, self._families = dns, random, families

    async def hosts(self, wanted: Iterable[tuple[str, int, str]]) -> list[Way]:
        ways: dict[Way, None] = {}
        failed: LookupFailed | None = None
        failures = 0
        for host, port, transport in wanted:
            try:
                ips = await self._ips(host)
            except LookupFailed as error:
                failed, failures = error, failures + 1
                if failures == MOST_FAILURES:
                    break
                continue
            ways.update(dict.fromkeys(Way(ip, port, transport) for ip in ips))
            if len(ways) >= MOST_WAYS:
                break
        if not ways and failed is not None:
            raise failed
        return list(ways)[:MOST_WAYS]

    async def _ips(self, host: str) -> list[str]:
        try:
            return [str(ip_address(host))]
        except ValueError:
            pass
        found: list[str] = []
        for ipv6 in self._families:
            found += await self._dns.addresses(host.rstrip("."), ipv6)
        return found
