# SPDX-License-Identifier: GPL-2.0-or-later
"""pjsua's accounts say where messages leave from: one for calls in, one for calls out, and one for each transport of several addresses."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from di.sip.records import Listen, SessionTimer
from interfaces.sip.account import SipAccount
from interfaces.sip.endpoint import ListenAddress, SipEndpoint
from interfaces.sip.message import host_of, transport_of
from interfaces.sip.native import arrived_at

Way = tuple[str, ListenAddress | None, str, SessionTimer | None, str, str]


class Accounts:
    """`make` makes an account."""

    def __init__(self, endpoint: SipEndpoint, listen: Listen, make: Callable[[], SipAccount]) -> None:
        self._endpoint, self._listen = endpoint, listen
        self._way: Way = ("", None, "", None, "", "udp")
        self.inbound, self.outbound = make(), make()
        self.inbound.create(endpoint.account_config(listen), True)
        self.outbound.create(endpoint.account_config(listen))
        self._many = bool(listen.also)
        kinds = ("udp", "tcp", "tls") if listen.tls_port else ("udp", "tcp")
        self._accounts: dict[tuple[int, str, SessionTimer | None], SipAccount] = {(-1, "", None): self.inbound}
        for timer in dict.fromkeys((None, *(timer for _, timer in listen.timers))):
            places = [(-1, "udp"), *((at, kind) for at in range(len(endpoint.places)) for kind in kinds if self._many)]
            for at, kind in places:
                place = endpoint.places[at] if at >= 0 else None
                if place is not None or timer is not None:
                    account = self._accounts[at, kind if place else "", timer] = make()
                    account.create(endpoint.account_config(listen, place=place, timer=timer, kind=kind))

    def of_call(self, received: Any, timer: SessionTimer | None) -> int:
        """That of a call that comes in, and is to have such an interval."""
        account = self._accounts.get((*self._arrived(received), timer)) or self._accounts[(*self._arrived(received), None)]
        return int(account.getId())

    def of_request(self, received: Any) -> int:
        """That of the address and transport that a request came to: what we send in its dialog leaves from there. Else the common one."""
        return self.of_call(received, None)

    def place_of(self, received: Any) -> int:
        """Number of the address that a message came to."""
        return max(self._arrived(received)[0], 0)

    def _arrived(self, received: Any) -> tuple[int, str]:
        if not self._many:
            return -1, ""
        ip, port, kind = arrived_at(received)
        at = [number for number, place in enumerate(self._endpoint.places) if ip_address(ip) == ip_address(place.ip)]
        exact = [number for number in at if kind != "tls" and self._endpoint.places[number].port == port]
        number = next(iter(exact or (at if kind != "udp" else ())), -1)
        return (number, kind) if number >= 0 else (-1, "")

    def towards(self, uri: str) -> int:
        """That of requests of ours to a URI."""
        place, kind = self._place_towards(uri)
        account = self.outbound if place is None else self._accounts[self._endpoint.places.index(place), kind, None]
        return int(account.getId())

    def contact(self, user: str, uri: str) -> str:
        """Our own URI with a user part, which leads to where requests to `uri` leave from; empty: no transport of that kind is open."""
        kind, host = transport_of(uri), host_of(uri)
        places = [place for place in self._endpoint.published if place.kind == kind]
        near = self._endpoint.place_towards(host) if self._many else None
        if near is not None:
            places = [place for place in places if place.ip == near.ip and (kind == "tls" or place.port == near.port)] or places
        same_family = [place for place in places if (":" in place.ip) == (":" in host)]
        place = next(iter(same_family or places), None)
        if place is None:
            return ""
        scheme = "sips" if uri.lower().startswith("sips:") else "sip"
        parameter = "" if kind == "udp" or scheme == "sips" else f";transport={kind}"
        return f"{scheme}:{user}@{place.address}{parameter}"

    def lead(
        self,
        next_hop: str,
        request_uri: str,
        sent_to: str = "",
        timer: SessionTimer | None = None,
        contact: str = "",
        place: int = -1,
    ) -> None:
        """Let the next call out leave by that proxy, from the address that lies towards it, with that interval. Raises pj.Error.

        `sent_to`: a URI of an address, where it is sent whatever the other two say. `contact`: its Contact, empty for our own.
        `place`: number of the address that it must leave from.
        """
        uri = sent_to or next_hop or request_uri
        at, kind = self._place_towards(uri)
        if self._many and 0 <= place < len(self._endpoint.places):
            at = self._endpoint.places[place]
        way = (next_hop, at, sent_to, timer, contact, kind)
        if way != self._way:
            self.outbound.modify(self._endpoint.account_config(self._listen, *way))
            self._way = way

    def _place_towards(self, uri: str) -> tuple[ListenAddress | None, str]:
        """Where requests to a URI leave from when there is a choice, and by which transport; None lets pjsip choose."""
        kind = transport_of(uri)
        place = self._endpoint.place_towards(host_of(uri)) if self._many else None
        return (None if place is None or place.transport(kind) < 0 else place), kind
