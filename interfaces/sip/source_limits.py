# SPDX-License-Identifier: GPL-2.0-or-later
"""How much one address may ask of us before there is a call: requests outside dialogs, calls that nobody acknowledges, connections. Pure.

    request without To tag ─► the pace of its address ─► PASS │ REFUSE (503, of strangers some a second) │ DROP (no word)
                              a trusted one's is another, for many callers may be behind it

What happens inside a dialog is not counted here: a BYE must always get through. An IPv6 address counts by its /64, which one subscriber has.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from di.sip.records import Limits
from interfaces.sip.pace import Pace

_MOST_ADDRESSES = 20_000
"""Addresses that are remembered; the one that was silent longest goes first. Some 4 MB."""
_BURST_S = 2
"""Who has been silent may send at once what so many seconds allow."""
_REFUSALS_A_SECOND = 10
"""Answers to what is too much, per address; the rest gets none, for an answer would go to whoever the source was forged to be."""


class SourceVerdict(Enum):
    """What becomes of a request."""

    PASS = "pass"
    REFUSE = "refuse"
    DROP = "drop"


class SourceLimits:
    """Counts by source address. Limits of 0 are none."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._trusted = networks(limits.trusted)
        self._allowed, self._denied = networks(limits.allowed), networks(limits.denied)
        self._outsiders: OrderedDict[str, bool] = OrderedDict()
        self._known: OrderedDict[str, tuple[str, bool]] = OrderedDict()
        self._paces: OrderedDict[str, tuple[Pace, Pace]] = OrderedDict()
        self._pending: Counter[str] = Counter()
        self._connections: Counter[str] = Counter()
        self.refused = 0
        """Requests that were too much, since the last `take_refused`."""
        self.kept_out = 0
        """Requests and connections of addresses that may not come in, since the last `take_kept_out`."""

    def request(self, source_ip: str, invite: bool, now_ns: int) -> SourceVerdict:
        """One outside dialogs has come."""
        if not self.lets_in(source_ip):
            self.kept_out += 1
            return SourceVerdict.DROP
        address, trusted = self._address(source_ip)
        limits = self._limits
        rate, most = (
            (limits.trusted_requests_a_second, limits.trusted_pending_calls)
            if trusted
            else (limits.requests_a_second, limits.pending_calls)
        )
        requests, refusals = self._pace(address, rate, now_ns)
        too_many = invite and most and self._pending[address] >= most
        if not too_many and (not rate or requests.take(now_ns)):
            return SourceVerdict.PASS
        self.refused += 1
        return SourceVerdict.REFUSE if trusted or refusals.take(now_ns) else SourceVerdict.DROP

    def _pace(self, address: str, rate: int, now_ns: int) -> tuple[Pace, Pace]:
        """Of the requests of an address, and of our refusals of them."""
        found = self._paces.pop(address, None)
        if found is None:
            found = Pace(rate * _BURST_S, rate, now_ns), Pace(_REFUSALS_A_SECOND, _REFUSALS_A_SECOND, now_ns)
        self._paces[address] = found  # as the last one that was heard
        if len(self._paces) > _MOST_ADDRESSES:
            self._paces.popitem(last=False)
        return found

    def begun(self, source_ip: str) -> None:
        """An INVITE has become a call that waits for its ACK."""
        self._pending[self._address(source_ip)[0]] += 1

    def settled(self, source_ip: str) -> None:
        """Such a call has been acknowledged, or is over."""
        _less(self._pending, self._address(source_ip)[0])

    def trusts(self, source_ip: str) -> bool:
        """Whether it is a trusted address."""
        return self._address(source_ip)[1]

    def connected(self, source_ip: str) -> bool:
        """A peer has opened a connection. False: it has too many, or all have; `disconnected` follows in either case."""
        address, trusted = self._address(source_ip)
        self._connections[address] += 1
        if not self.lets_in(source_ip):
            self.kept_out += 1
            return False
        if self._limits.connections and self._connections.total() > self._limits.connections:
            return False
        most = self._limits.connections_an_address
        return trusted or not most or self._connections[address] <= most

    def disconnected(self, source_ip: str) -> None:
        """One that `connected` was told of is gone."""
        _less(self._connections, self._address(source_ip)[0])

    def lets_in(self, source_ip: str) -> bool:
        """Whether an address may send requests at all."""
        if not self._allowed and not self._denied:
            return True
        found = self._outsiders.get(source_ip)
        if found is None:
            found = self._outsiders[source_ip] = self._among(source_ip, self._denied) or (
                bool(self._allowed) and not self._among(source_ip, self._allowed)
            )
            if len(self._outsiders) > _MOST_ADDRESSES:
                self._outsiders.popitem(last=False)
        return not found

    @staticmethod
    def _among(source_ip: str, known: Sequence[IPv4Network | IPv6Network]) -> bool:
        try:
            address = ip_address(source_ip)
        except ValueError:
            return False
        if address.version == 6 and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in known if network.version == address.version)

    def take_kept_out(self) -> int:
        """How many requests and connections of outsiders there were since the last time."""
        kept_out, self.kept_out = self.kept_out, 0
        return kept_out

    def take_refused(self) -> int:
        """How many requests were too much since the last time."""
        refused, self.refused = self.refused, 0
        return refused

    def _address(self, source_ip: str) -> tuple[str, bool]:
        """What an address counts as, and whether it is trusted."""
        found = self._known.get(source_ip)
        if found is None:
            found = self._known[source_ip] = self._looked_up(source_ip)
            if len(self._known) > _MOST_ADDRESSES:
                self._known.popitem(last=False)
        return found

    def _looked_up(self, source_ip: str) -> tuple[str, bool]:
        try:
            address = ip_address(source_ip)
        except ValueError:
            return source_ip, False
        if address.version == 6 and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        trusted = any(address in network for network in self._trusted if network.version == address.version)
        return (str(ip_network((address, 64), strict=False)) if address.version == 6 else str(address)), trusted


def networks(texts: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Networks from `10.0.0.0/8` or single addresses. Raises ValueError."""
    return tuple(ip_network(text, strict=False) for text in texts)


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
