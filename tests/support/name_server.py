# SPDX-License-Identifier: GPL-2.0-or-later
"""A small name server on loopback: a table of records, answered by UDP; names may be held back until the test lets them go."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset


class NameServer(asyncio.DatagramProtocol):
    """`zone`: (name without its last dot, kind) → records as a zone file has them. `asked`: every question."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {}
        self.asked: list[tuple[str, str]] = []
        self.held: set[str] = set()
        """Names whose questions wait for `release`."""
        self._waiting: dict[str, list[tuple[dns.message.Message, tuple[str, int]]]] = defaultdict(list)
        self._transport: asyncio.DatagramTransport

    @classmethod
    async def open(cls, port: int) -> NameServer:
        """Listen on loopback."""
        loop = asyncio.get_running_loop()
        _, self = await loop.create_datagram_endpoint(cls, ("127.0.0.1", port))
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        self.asked.append((name, dns.rdatatype.to_text(query.question[0].rdtype)))
        if name in self.held:
            self._waiting[name].append((query, addr))
        else:
            self._answer(query, addr)

    def release(self, name: str) -> None:
        """Answer what was held back of a name."""
        self.held.discard(name)
        for query, addr in self._waiting.pop(name, []):
            self._answer(query, addr)

    def _answer(self, query: dns.message.Message, addr: tuple[str, int]) -> None:
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA
        records = self.zone.get((name, dns.rdatatype.to_text(question.rdtype)))
        if records:
            reply.answer.append(dns.rrset.from_text(question.name, 1, "IN", question.rdtype, *records))
        elif not any(known == name for known, _ in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(reply.to_wire(), addr)

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()
