# SPDX-License-Identifier: GPL-2.0-or-later
"""mwi.conf."""

from __future__ import annotations

import re
from dataclasses import dataclass

from di.kernel.options import REQUIRED, option

_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(;[A-Za-z]+=[A-Za-z0-9.-]+)*")


def server(text: str) -> str:
    """`host[:port]`, with parameters if need be. Raises ValueError for anything that is no such thing."""
    text = text.removeprefix("sip:")
    if not _SERVER.fullmatch(text):
        raise ValueError("right is host, host:port or host:port;transport=tcp")
    return text


@dataclass(frozen=True)
class Options:
    """Where NOTIFYs go, and how."""

    presence_server: str = option(
        REQUIRED, help="Proxy or presence server that gets the NOTIFYs: host[:port], e.g. proxy.example:5060.", parse=server
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
    attempts: int = option(8, help="How often one is sent before it is given up until the box changes again.", minimum=1)
