# SPDX-License-Identifier: GPL-2.0-or-later
"""mwi.conf."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from di.kernel.options import REQUIRED, option
from di.kernel.server_options import parse_networks

_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(;[A-Za-z]+=[A-Za-z0-9.-]+)*")


def server(text: str) -> str:
    """`host[:port]`, with parameters if need be. Raises ValueError for anything that is no such thing."""
    text = text.removeprefix("sip:")
    if text and not _SERVER.fullmatch(text):
        raise ValueError("right is host, host:port or host:port;transport=tcp")
    return text


@dataclass(frozen=True)
class Options:
    """Where NOTIFYs go, and how."""

    presence_server: str = option(
        REQUIRED,
        help="Proxy or presence server that gets the NOTIFYs: host[:port], e.g. proxy.example:5060; empty: only who subscribes is told.",
        parse=server,
    )
    use_route: bool = option(
        True, help="yes: all go to the presence server. no: each goes where its Request-URI, sip:user@domain, leads."
    )
    auth_user: str = option("", help="User that answers the server's challenges (401, 407); empty: none.")
    auth_password: str = option("", help="The user's password.", secret=True)
    auth_realm: str = option("", help="Realm whose challenges are answered; empty: any.")
    gather_ms: int = option(300, help="Changes of a box within this time are told as one.", unit="ms")
    retry_s: int = option(
        5, help="Time to the first retry of what was not taken; doubled each time, 300 at most.", minimum=1, unit="s"
    )
    at_start: int = option(
        20,
        help="At the start each box that holds messages is told of, so many a second: a crash may have come before a NOTIFY. 0: none.",
    )
    subscribe: bool = option(True, help="yes: phones may SUBSCRIBE to their boxes here. no: SUBSCRIBE is not taken.")
    subscribers: tuple[IPv4Network | IPv6Network, ...] = option(
        (),
        help="Addresses or networks that may subscribe, separated by commas; empty: trusted_peers of sems.conf.",
        parse=parse_networks,
    )
    domain: str = option("", help="Domain of the boxes that are subscribed to; empty: the one in the SUBSCRIBE's URI.")
    subscribe_least: int = option(60, help="The shortest subscription; less gets 423.", unit="s", minimum=1)
    subscribe_most: int = option(3600, help="The longest; who wants more gets so much.", unit="s", minimum=10)
    subscriptions: int = option(20_000, help="So many at once; more get 503.", minimum=1)
    attempts: int = option(8, help="How often one is sent before it is given up until the box changes again.", minimum=1)
