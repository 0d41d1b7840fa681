# SPDX-License-Identifier: GPL-2.0-or-later
"""pjsua's accounts say where messages leave from: one for calls in, one for calls out, and one for each address of several."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from di.sip.records import Listen, SessionTimer
from interfaces.sip.account import SipAccount
from interfaces.sip.endpoint import ListenAddress, SipEndpoint
from interfaces.sip.message import host_of, transport_of
from interfaces.sip.native import arrived_at


class Accounts:
    """`make` makes an account."""

    def __init__(self, endpoint: SipEndpoint, listen: Listen, make: Callable[[], SipAccount]) -> None:
        self._endpoint, self._listen = endpoint, listen
        self._way: tuple[str, ListenAddress | None, str, SessionTimer | None, str] = ("", None, "", None, "")
        self._timed: dict[tuple[ListenAddress | None, SessionTimer], SipAccount] = {}
        self.inbound, self.outbound = make(), make()
        self.inbound.create(endpoint.account_config(listen), True)
        self.outbound.create(endpoint.account_config(listen))
        self._of_places: list[SipAccount] = []
        for place in endpoint.places if listen.also else ():
            account = make()
            account.create(endpoint.account_config(listen, place=place))
            self._of_places.append(account)
        for timer in {timer for _, timer in listen.timers}:
            for at in (None, *(endpoint.places if listen.also else ())):
                account = self._timed[at, timer] = make()
                account.create(endpoint.account_config(listen, place=at, timer=timer))

    def of_call(self, received: Any, timer: SessionTimer | None) -> int:
        """That of a call that comes in, and is to have such an interval."""
        account = self._timed.get((self._place_of(received), timer)) if timer is not None else None
        return int(account.getId()) if account is not None else self.of_request(received)

    def of_request(self, received: Any) -> int:
        """That of the address that a request came to by UDP: what we send in its dialog leaves from there. Else the common one."""
        place = self._place_of(received)
        account = self.inbound if place is None else self._of_places[self._endpoint.places.index(place)]
        return int(account.getId())

    def _place_of(self, received: Any) -> ListenAddress | None:
        if self._of_places:
            ip, port = arrived_at(received)
            for place in self._endpoint.places:
                if port and port == place.port and ip_address(ip) == ip_address(place.ip):
                    return place
        return None

    def towards(self, uri: str) -> int:
        """That of requests of ours to a URI."""
        place = self._place_towards(uri)
        account = self.outbound if place is None else self._of_places[self._endpoint.places.index(place)]
        return int(account.getId())

    def contact(self, user: str, uri: str) -> str:
        """Our own URI with a user part, which leads to where requests to `uri` leave from; empty: no transport of that kind is open."""
        kind, host = transport_of(uri), host_of(uri)
        places = [place for place in self._endpoint.published if place.kind == kind]
        near = self._endpoint.place_towards(host) if self._of_places else None
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
        self, next_hop: str, request_uri: str, sent_to: str = "", timer: SessionTimer | None = None, contact: str = ""
    ) -> None:
        """Let the next call out leave by that proxy, from the address that lies towards it, with that interval. Raises pj.Error.

        `sent_to`: a URI of an address, where it is sent whatever the other two say. `contact`: its Contact, empty for our own.
        """
        way = (next_hop, self._place_towards(sent_to or next_hop or request_uri), sent_to, timer, contact)
        if way != self._way:
            self.outbound.modify(self._endpoint.account_config(self._listen, *way))
            self._way = way

    def _place_towards(self, uri: str) -> ListenAddress | None:
        """Where UDP requests to a URI leave from when there is a choice; None lets pjsip choose."""
        if not self._of_places or uri.lower().startswith("sips:") or ";transport=" in uri.lower().replace(";transport=udp", ""):
            return None
        return self._endpoint.place_towards(host_of(uri))
