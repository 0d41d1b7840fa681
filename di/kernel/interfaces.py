# SPDX-License-Identifier: GPL-2.0-or-later
"""SEMS's named interfaces: where SIP listens, where the audio of its calls is, and how others reach both (spec core.md §3.1).

A call has its audio at the interface that its signalling uses, unless its application wants another one. An interface without SIP is for
audio only. Without names there is one interface, `default`, of the keys that carry none. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from media.control.records import RtpAddress

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class NetInterface:
    """One of them. `sip_ip` empty: audio only. `public_ip`: what stands in Contact, Via and SDP instead of our addresses."""

    name: str
    rtp: RtpAddress = RtpAddress()
    sip_ip: str = ""
    sip_port: int = 5060
    public_ip: str = ""


class NetInterfaces:
    """All of them by number, those with SIP first, so that theirs are the SIP process's places. `rtp`: the media processes' addresses."""

    def __init__(self, interfaces: Sequence[NetInterface]) -> None:
        self.all = tuple(sorted(interfaces, key=lambda one: not one.sip_ip))
        self.rtp = tuple(dict.fromkeys(one.rtp for one in self.all))
        self._rtp_numbers = [self.rtp.index(one.rtp) for one in self.all]
        # asked for by each call: what is none costs an exception to find out
        self._shown = [ip if is_address(ip) else "" for ip in (one.public_ip.strip("[]") for one in self.all)]

    def __len__(self) -> int:
        return len(self.all)

    @property
    def many(self) -> bool:
        """Whether SIP has several, so that a call out needs one to be chosen."""
        return sum(bool(one.sip_ip) for one in self.all) > 1

    def named(self, name: str, *, with_sip: bool = True) -> int | None:
        """Number of the one with that name; None: there is none, or it has no SIP and is asked for it."""
        found = (number for number, one in enumerate(self.all) if one.name == name and (one.sip_ip or not with_sip))
        return next(found, None)

    def names(self) -> str:
        """Their names, for messages."""
        return ", ".join(one.name for one in self.all if one.name)

    def rtp_of(self, number: int) -> int:
        """Number of the RTP address of an interface."""
        return self._rtp_numbers[number] if 0 <= number < len(self.all) else 0

    def over_ipv6(self, number: int, host: str) -> bool:
        """Whether a call to a host offers an IPv6 address for its audio: the host's own family, or the interface's where we have no other.

        A name is not looked up here.
        """
        own = self.rtp[self.rtp_of(number)].ipv6
        wanted = ":" in host if is_address(host) else own
        return wanted if any(address.ipv6 is wanted for address in self.rtp) else own

    def shown(self, number: int, rtp: int, ip: str) -> str:
        """What stands in SDP for an address at which a leg of a call of that interface is: `ip`, or the public one in its place."""
        one = number if 0 <= number < len(self.all) else 0
        if self.rtp_of(number) != rtp:  # of the other family
            one = next((at for at in range(len(self.all)) if self.rtp_of(at) == rtp), one)
        public = self._shown[one]
        return public if public and (":" in public) is (":" in ip) else ip

    def towards(self, host: str, route: Callable[[str], str]) -> int:
        """Number of the one that the machine's routes lead from to an address; the first for a name, and where none lies there.

        `route(ip)`: our address that packets to that one leave from, empty for none.
        """
        if not self.many or not is_address(host):
            return 0
        ours = route(host.strip("[]"))
        return next((number for number, one in enumerate(self.all) if one.sip_ip == ours), 0) if ours else 0


def is_address(host: str) -> bool:
    """Whether it is an IP address and no name; an IPv6 address may stand in brackets."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
