# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of a call's SIP side, and what an outgoing one will send."""

from __future__ import annotations

from dataclasses import dataclass, field

from di.kernel.registry import Caller
from di.kernel.value import Value
from di.sip.credentials import Credential
from di.sip.locate import SipPlace, Way
from di.sip.records import Appearance, SessionTimer


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
    signalling: tuple[str, ...] = ()
    """Addresses that the peer's signalling came from: its media may come from there, too."""
    has_offer: bool = True
    remote_media_ip: str = ""
    remote_media_port: int = 0
    user: str = ""
    """Called user: of the Request-URI, or what dial-out named."""
    trusted: bool = True
    """Whose headers count: a call from one of `trusted_peers`, and one that we placed (`di.calls.trust`)."""
    vouched: bool = False
    """The caller comes from one of `early_media_peers`, who answer for where its media goes."""
    connected: bool = False
    """Its INVITE came by TCP or TLS."""
    codecs: tuple[str, ...] = ()
    """What its offer has that we can speak, as NAME/clock, in order."""
    lines: tuple[str, ...] = ()
    """Attribute lines of its offer's audio stream that mean something to another phone only (`di.sip.records.CallOffered`)."""
    interface: int = 0
    """Number of the interface that its signalling uses (`di.kernel.interfaces`)."""
    media_interface: int = -1
    """That of its audio, when it is another one."""
    over_ipv6: bool = False
    """Audio goes over IPv6, for as long as the peer has not said where it wants its own."""

    @property
    def incoming(self) -> bool:
        """Whether the peer called us."""
        return self.direction == "in"

    @property
    def remote_party(self) -> str:
        """The peer's From or To value."""
        return self.from_header if self.incoming else self.to_header


@dataclass
class DialPlan:
    """What an outgoing call will send, once its leg is open."""

    headers: list[str] = field(default_factory=list)
    next_hop: str = ""
    realm: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    prefer: tuple[str, ...] = ()
    """Codecs to put first in the offer, as NAME/clock: those of the leg that it will be bridged to pass undecoded."""
    places: tuple[SipPlace, ...] = ()
    """Where it is sent, instead of where `next_hop` or the Request-URI leads; the first one preferred."""
    ways: list[Way] = field(default_factory=list)
    """Addresses that are left to be tried, the present one first; empty: the SIP process finds it by itself."""
    appearance: Appearance | None = None
    """How the call looks to its peer; None: as every call."""
    log_messages: bool = False
    """Its messages are told as MessageSeen."""
    interface: int = -1
    """Number of the interface that it must leave from; -1: the one that leads there."""
    timer: SessionTimer | None = None
    """The session interval; None: what the peer wants."""
    codecs: tuple[str, ...] = ()
    """The only codecs of the call as NAME/clock, most wanted first in the offer; empty: those of every offer of ours."""
    call_id: str = ""
    """Call-ID of the INVITE; empty: a new one."""
    heard: bool = False
    """Somebody has answered the present INVITE, be it with 100."""
    is_out: bool = True
    """There is an INVITE that the SIP process can end, once the call is dialled; not while another way is looked for."""
    redirects_left: int = 0
    contacts: list[str] = field(default_factory=list)
    """URIs that a redirection has named and that have not been tried."""
    visited: set[str] = field(default_factory=set)
    """URIs that have been called for this call."""


@dataclass(frozen=True, slots=True)
class HoldStyle:
    """How a peer is told that the other side holds. `direction`: said instead of sendonly and inactive; empty: those.

    `nowhere`: with the address 0.0.0.0, as RFC 2543 had it.
    """

    direction: str = ""
    nowhere: bool = False


@dataclass(frozen=True, slots=True)
class Dialler:
    """Who has a call placed, for limits and the audit line. `way`: the DI function, `dsm`, `pair`, `refer`, `redirect` …

    `caller`: name of the caller of RPC on whose behalf it is, empty for none; `call`: the call whose doing it is, empty for none.
    """

    way: str = ""
    caller: str = ""
    call: str = ""

    @classmethod
    def of(cls, way: str, caller: Caller) -> Dialler:
        """The one who calls a DI function; a caller inside the server has no name of his own."""
        return cls(way, "" if caller.transport == "internal" else caller.name)


NOBODY = Dialler()


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a second leg calls. `headers`: complete lines; `ring_ms`: how long it may ring, 0: as long as it likes.

    Empty `from_header`: the first leg's; empty `to_header`: the URI. `params`: session parameters for the leg's application.
    `interface`, `media_interface` and `hops` as in `CallOut`.
    """

    uri: str
    to_header: str = ""
    from_header: str = ""
    user: str = ""
    headers: tuple[str, ...] = ()
    next_hop: str = ""
    credential: Credential | None = None
    ring_ms: int = 0
    params: Value = None
    interface: str = ""
    media_interface: str = ""
    hops: str = ""


@dataclass(frozen=True, slots=True)
class CallOut:
    """A call to be placed (spec core.md §7.5). `user`: what its application sees as called user; empty: that of the URI.

    `ring_ms`: how long it may ring, 0: `sip_timer_C`. `by`: who wants it, for the dial control (`di.calls.toll`); second legs are on
    behalf of whom their first leg is.
    `interface`: name of the one that it leaves from, empty for `outbound_interface` of sems.conf, else the one that leads there;
    `media_interface`: that of its audio, empty for the same. `hops`: where it is sent, as `next_hop` of sems.conf has it: one after the
    other, and no Route says so; `next_hop`: a URI, which stands in one.
    `application` is the name under which it is logged, and the one that takes it unless a factory is given. `headers`: complete lines.
    """

    application: str
    request_uri: str
    from_header: str
    to_header: str
    user: str = ""
    id: str = ""
    headers: tuple[str, ...] = ()
    params: Value = None
    next_hop: str = ""
    credential: Credential | None = None
    prefer: tuple[str, ...] = ()
    near_leg: int = 0
    ring_ms: int = 0
    by: Dialler = NOBODY
    interface: str = ""
    media_interface: str = ""
    hops: str = ""
