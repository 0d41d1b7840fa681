# SPDX-License-Identifier: GPL-2.0-or-later
"""Who calls whom, and by which way, in the B leg (spec applications.md §22.3, Identity and Routing). Pure; profiles are filled in."""

from __future__ import annotations

import logging
import re

from di.apps.api import NetInterfaces, Refused, SipPlace, parse_places, parse_uri
from di.apps.sbc.keys import has_pattern, is_yes
from di.apps.sbc.profile import Profile

log = logging.getLogger(__name__)
_TAG = re.compile(r";[ \t]*tag[ \t]*=[^;>]*", re.IGNORECASE)
_HOST = re.compile(r"(sips?:(?:[^@]*@)?)(\[[^\]]*\]|[^:;?>]*)(:\d+)?", re.IGNORECASE)


def request_uri_of(profile: Profile, caller_s: str) -> str:
    """RURI, or the caller's; with RURI_host, or with the next hop's where patch_ruri_next_hop says so."""
    uri = profile.ruri or caller_s
    if profile.ruri_host:
        uri = with_host(uri, profile.ruri_host)
    if profile.patch_ruri_next_hop and profile.next_hop:
        place = places_of(profile)[0]
        host = f"[{place.host}]" if ":" in place.host else place.host
        uri = with_host(uri, f"{host}:{place.port}" if place.port else host)
    return uri


def with_host(uri: str, host: str) -> str:
    """A SIP URI with another host and port."""
    return _HOST.sub(lambda found: found[1] + host, uri, count=1)


def without_tag(value: str) -> str:
    """A From or To value for another dialog."""
    head, bracket, parameters = value.rpartition(">")
    return head + bracket + _TAG.sub("", parameters) if bracket else _TAG.sub("", value)


def from_of(profile: Profile, caller_s: str) -> str:
    """From, or the caller's."""
    return without_tag(profile.from_ or caller_s)


def to_of(profile: Profile, caller_s: str) -> str:
    """To, or the caller's."""
    return without_tag(profile.to or caller_s)


def places_of(profile: Profile, text: str = "") -> tuple[SipPlace, ...]:
    """The next hops, or those of another text. Raises Refused(500), with a line in the log, for what a pattern has come to."""
    text = text or profile.next_hop
    try:
        return parse_places(text) if text else ()
    except ValueError as error:
        log.error("sbc: next_hop came to %s: 500", error)
        raise Refused(500, "Server Internal Error") from error


def unknown_interface(profile: Profile, interfaces: NetInterfaces) -> tuple[str, str] | None:
    """Key and hint of the first interface that is named and not there; what a pattern names is known for each call only."""
    for key, with_sip in (("outbound_interface", True), ("rtprelay_interface", False), ("aleg_rtprelay_interface", False)):
        name = getattr(profile, key)
        if name and not has_pattern(name) and interfaces.named(name, with_sip=with_sip) is None:
            return key, f"there is no interface {name!r}{' with SIP' if with_sip else ''}; there are {interfaces.names()}"
    return None


def hop_uri(profile: Profile) -> str:
    """The first next hop as the URI of a Route, for a request outside calls; empty: there is none."""
    if not profile.next_hop:
        return ""
    return f"{_place_uri(places_of(profile)[0])};lr"


def _place_uri(place: SipPlace) -> str:
    host = f"[{place.host}]" if ":" in place.host else place.host
    port = f":{place.port}" if place.port else ""
    return f"sip:{host}{port}{f';transport={place.transport}' if place.transport else ''}"


def hop_inside(profile: Profile, first: bool) -> tuple[str, bool]:
    """Where requests inside a leg's dialog go, as URI, and whether also where a proxy stands in its route; empty: to where that leads."""
    if first:
        text = profile.aleg_next_hop
        forced, proxy = is_yes(profile.aleg_force_outbound_proxy), profile.aleg_outbound_proxy
    else:
        text = "" if profile.next_hop_1st_req else profile.next_hop
        forced, proxy = is_yes(profile.force_outbound_proxy), profile.outbound_proxy
    if text:
        places = places_of(profile, text)
        fixed = first or profile.next_hop_fixed
        return (_place_uri(places[0]), fixed) if len(places) == 1 or fixed else ("", False)
    if not proxy or not (first or forced):
        return "", False
    uri = parse_uri(_as_uri(proxy))
    transport = f";transport={uri.params['transport']}" if "transport" in uri.params else ""
    return f"{uri.scheme}:{uri.host}{f':{uri.port}' if uri.port else ''}{transport}", forced


def next_hop_of(profile: Profile) -> str:
    """The outbound proxy as URI; empty: the server's own."""
    return _as_uri(profile.outbound_proxy)


def _as_uri(text: str) -> str:
    return text if not text or parse_uri(text).scheme in ("sip", "sips") else f"sip:{text}"
