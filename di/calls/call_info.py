# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of a call's SIP side, and what an outgoing one will send."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class CallInfo:
    """What is known of a call's SIP side. Header values are complete, as received or given."""

    direction: str
    request_uri: str = ""
    from_header: str = ""
    to_header: str = ""
    call_id: str = ""
    local_tag: str = ""
    remote_tag: str = ""
    contact_uri: str = ""
    source_ip: str = ""
    source_port: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    has_offer: bool = True
    remote_media_ip: str = ""
    remote_media_port: int = 0
    user: str = ""
    """Called user: of the Request-URI, or what dial-out named."""
    over_ipv6: bool = False
    """Audio goes over IPv6, for as long as the peer has not said where it wants its own."""


@dataclass
class DialPlan:
    """What an outgoing call will send, once its leg is open."""

    headers: list[str] = field(default_factory=list)
    next_hop: str = ""
    realm: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
