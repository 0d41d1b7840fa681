# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions to name servers, without holding the hub up: dnspython on the loop, answers kept for as long as they say.

Addresses are asked of the system, which knows /etc/hosts and what else the machine goes by, unless the configuration names servers.
dnspython is imported when the first name is looked up: most servers are given addresses, and it is a tenth of their start.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from di.kernel.host_names import addresses_of

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

log = logging.getLogger(__name__)
PATIENCE_S = 4.0
"""For one question, all servers together."""
_KEPT = 2000


class NoAnswer(Exception):
    """Nobody has answered, or the zone is out of order; the text says which question."""


class DnsLookup:
    """`servers`: (ip, port) of name servers instead of the system's."""

    def __init__(self, servers: Sequence[tuple[str, int]] = ()) -> None:
        self._own = bool(servers)
        self._servers = servers
        self._resolver: Resolver | None = None

    async def naptr(self, name: str) -> list[tuple[int, int, str, str, str]]:
        """NAPTR records: order, preference, flags, service, replacement. Raises NoAnswer."""
        from dns.rdtypes.IN.NAPTR import NAPTR as NaptrRecord

        return [
            (one.order, one.preference, one.flags.decode("latin-1"), one.service.decode("latin-1"), one.replacement.to_text())
            for one in await self._records(name, "NAPTR")
            if isinstance(one, NaptrRecord)
        ]

    async def srv(self, name: str) -> list[tuple[int, int, int, str]]:
        """SRV records: priority, weight, port, target. Raises NoAnswer."""
        from dns.rdtypes.IN.SRV import SRV as SrvRecord

        found = await self._records(name, "SRV")
        return [(one.priority, one.weight, one.port, one.target.to_text()) for one in found if isinstance(one, SrvRecord)]

    async def _records(self, name: str, kind: str) -> Sequence[object]:
        import dns.exception
        import dns.name
        import dns.resolver

        try:
            absolute = dns.name.from_text(name, dns.name.root)
            answer = await self._asked().resolve(absolute, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return ()
        except dns.exception.DNSException as error:
            raise NoAnswer(f"{kind} of {name}: {error}") from error
        except (OSError, UnicodeError) as error:
            raise NoAnswer(f"{kind} of {name}: {error}") from error
        return list(answer.rrset or ())

    async def addresses(self, name: str, ipv6: bool) -> list[str]:
        """Addresses of a name in one family. Raises NoAnswer."""
        if self._own:
            return [str(record) for record in await self._records(name, "AAAA" if ipv6 else "A")]
        try:
            return await addresses_of(name, ipv6)
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY):
                return []
            raise NoAnswer(f"addresses of {name}: {error.strerror}") from error
        except OSError as error:
            raise NoAnswer(f"addresses of {name}: {error}") from error

    def _asked(self) -> Resolver:
        """Made when it is first needed: the system's configuration is read then."""
        import dns.asyncresolver
        import dns.nameserver
        import dns.resolver

        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=not self._own)
            if self._own:
                resolver.nameservers = [dns.nameserver.Do53Nameserver(ip, port) for ip, port in self._servers]
            resolver.lifetime = PATIENCE_S
            resolver.cache = dns.resolver.LRUCache(_KEPT)
            self._resolver = resolver
        return self._resolver
