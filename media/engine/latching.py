# SPDX-License-Identifier: GPL-2.0-or-later
"""Which unknown address may be a leg's peer, and which of several is. Pure.

The signalled address is believed: it is what the leg sends to, unless the peer cannot be there: it is *private* (RFC 1918 and the like) and
no signalling came from it. Such a peer is behind NAT, and its media comes from where its signalling came from.

    signalled address        may send to us                                    we send to
    ───────────────────────  ────────────────────────────────────────────────  ──────────────────────────────────
    public, or signalling's  it; other ports of its host                       it; another port only as below
    private, elsewhere       it; its host and the hosts of the signalling      it, until another of them has latched
    either                   who has the SSRC of the signalled host's reports  as above

Another port of the signalled host may be a NAT's that gives each destination a port of its own (the phone asked a STUN server for the one in its
SDP, and nothing gets through there), or another person's behind the same address. What tells them apart is what comes from the signalled port:
anything at all, and it is believed for good, but for reports that name the other's SSRC, which prove that the other is the peer. While nothing
comes, time has to do: `moves_ns`.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from media.engine.addresses import FAMILY_IPV6
from media.engine.leg import Candidate

PACKETS_TO_LATCH = 3
"""Packets in sequence from an unknown address before it is believed to be the peer: sprayed packets never are."""

SEQUENCE_STEP = 5
"""How far a candidate's sequence number may move from one packet to the next."""

CONTEST_NS = 140_000_000
"""Where we would send elsewhere, others have so long from the first candidate's first packet to show themselves."""

STEADY_NS = 500_000_000
"""Another port of the signalled host is sent to when its stream has lasted so long and nothing came from the signalled one: who speaks has spoken."""

HEAD_START_NS = 100_000_000
"""Media may overtake the ACK by so much. Who was there earlier did not learn our port from our answer: he sprays."""

PAUSE_NS = 200_000_000
"""A stream that has paused for longer has to go on first."""

SLIP_NS = 40_000_000
"""By so much, and a quarter of its time, a stream's timestamps may run apart from the clock: jitter, and clocks that are off."""

MOST_CANDIDATES = 4
FORGOTTEN_NS = 1_000_000_000


def host_of(name: bytes) -> bytes:
    """The host of a sockaddr, as it stands there: 4 or 16 bytes; an IPv4 address that is written as IPv6 in 4."""
    packed = name[8:24] if name[0] == FAMILY_IPV6 else name[4:8]
    return packed[12:] if packed[:12] == bytes(10) + b"\xff\xff" else packed


def port_of(name: bytes) -> int:
    """The port of a sockaddr."""
    return name[2] << 8 | name[3]


def with_port(name: bytes, port: int) -> bytes:
    """The same host at another port."""
    return name[:2] + bytes((port >> 8 & 255, port & 255)) + name[4:]


@lru_cache(1024)
def hosts_of(addresses: tuple[str, ...]) -> frozenset[bytes]:
    """The hosts of texts; what is no IP address is left out."""
    return frozenset(host for host in map(_host, addresses) if host)


@lru_cache(1024)
def _host(text: str) -> bytes:
    """Empty for what is no IP address."""
    try:
        packed = ipaddress.ip_address(text).packed
    except ValueError:
        return b""
    return packed[12:] if packed[:12] == bytes(10) + b"\xff\xff" else packed


@lru_cache(1024)
def is_elsewhere(signalled_name: bytes, signalling: frozenset[bytes]) -> bool:
    """Whether a peer cannot be at its signalled address."""
    if not signalled_name or not signalling:
        return False
    host = host_of(signalled_name)
    return host not in signalling and not ipaddress.ip_address(host).is_global


def may_be(name: bytes, ssrc: int, signalled_name: bytes, signalling: frozenset[bytes], ssrc_reported: int) -> bool:
    """Whether packets of an unknown address may be the peer's. Who reports from the signalled host under another SSRC is somebody else."""
    if ssrc_reported and ssrc == ssrc_reported:
        return True
    host = host_of(name)
    if is_elsewhere(signalled_name, signalling):
        return host == host_of(signalled_name) or host in signalling
    return host == host_of(signalled_name) and not ssrc_reported


def moves_ns(first_ns: int, known_ns: int, early: bool, window_ns: int) -> int:
    """When a stream that began at `first_ns` at another port of the signalled host is sent to; 0: not yet known.

    `known_ns`: when the peer showed that it had our description, 0 while it has not · `early`: it had long had one by then (early media, or
    our offer), so that a stream before it says nothing · `window_ns`: how long somebody waits who was there too early. Within it the first
    report of a phone that only listens comes (RFC 3550 §6.2: at most 3.75 s), from its signalled host.
    """
    if not known_ns:
        return 0
    if first_ns < known_ns - HEAD_START_NS and not early:
        return first_ns + window_ns
    return max(first_ns, known_ns) + STEADY_NS


def keeps_time(slip_ns: int, elapsed_ns: int) -> bool | None:
    """Whether a stream's timestamps went on as the clock did: who sends to every port cannot send each a packet in time. None: too early."""
    return abs(slip_ns) <= SLIP_NS + elapsed_ns // 4 if elapsed_ns >= STEADY_NS // 2 else None


def heard(candidates: list[Candidate], name: bytes, ssrc: int, sequence: int, now_ns: int) -> Candidate:
    """Count a packet; the candidate that it is of. Beyond a few the one that has been heard longest ago has to go."""
    candidates[:] = [one for one in candidates if now_ns - one.last_ns < FORGOTTEN_NS]
    for one in candidates:
        if one.name == name:
            in_sequence = one.ssrc == ssrc and 0 < (sequence - one.sequence) % 65536 <= SEQUENCE_STEP
            one.count = one.count + 1 if in_sequence else 1
            one.first_ns = one.first_ns if in_sequence else now_ns
            one.ssrc, one.sequence, one.last_ns = ssrc, sequence, now_ns
            return one
    if len(candidates) >= MOST_CANDIDATES:
        candidates.remove(min(candidates, key=lambda one: (one.count, one.last_ns)))
    candidates.append(Candidate(name, ssrc, sequence, now_ns, now_ns))
    return candidates[-1]


def winner(
    candidates: list[Candidate], signalled_name: bytes, ssrc_reported: int, elsewhere: bool, now_ns: int
) -> Candidate | None:
    """Who is the peer, when that can be said now.

    Several that count alike: whose SSRC the peer has reported, else who has the signalled port (most NATs keep it), else who came last
    (who sprays is there before the call).
    """
    ready = [one for one in candidates if one.count >= PACKETS_TO_LATCH]
    if not ready or (elsewhere and now_ns - min(one.first_ns for one in candidates) < CONTEST_NS):
        return None
    port = port_of(signalled_name)
    return max(
        ready, key=lambda one: (bool(ssrc_reported) and one.ssrc == ssrc_reported, port_of(one.name) == port, one.first_ns)
    )
