# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests until they are answered: sent again with growing waits, then to the next server (RFC 5080 §2.2.1). Pure.

    begin ─► sent ── wait ──► sent again ── twice the wait ──► … attempts ──► next server … ──► no answer
               └─ answer, signed with the secret ──► finished

A retransmission is the same packet with the same identifier. An identifier is one byte, so a server is talked to from as many sockets
("lanes") as are needed. A server that did not answer is asked last for `dead_ns`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from di.modules.cc_radius.packets import BadPacket, RadiusReply, RadiusRequest, read_reply

_IDS = 256
_MOST_LANES = 32
_JITTER = 0.1
_MOST_KINDS = 20
_OTHER = "something else"


@dataclass(frozen=True, slots=True)
class RadiusLane:
    """One socket: to a server's port for access or for accounting."""

    server: int
    accounting: bool
    number: int


@dataclass(frozen=True, slots=True)
class ExchangeRules:
    """`secrets`: one a server, in their order."""

    secrets: tuple[bytes, ...] = field(repr=False)
    timeout_ns: int
    attempts: int
    dead_ns: int
    require_authenticator: bool


@dataclass(frozen=True, slots=True)
class ExchangeEnd:
    """An exchange is over. `reply` None: nobody answered, `why` says more."""

    number: int
    reply: RadiusReply | None
    why: str = ""


@dataclass(slots=True)
class _Exchange:
    number: int
    accounting: bool
    make: Callable[[int, bytes], RadiusRequest]
    """Identifier and secret → packet."""
    servers: list[int]
    """To be tried, the present one first."""
    lane: RadiusLane | None = None
    id: int = 0
    request: RadiusRequest | None = None
    sent: int = 0
    wait_ns: int = 0
    due_ns: int = 0


class RadiusExchanges:
    """All requests that are out. Feed `received`, take `due` and `ends`, look again at `deadline_ns`."""

    def __init__(self, rules: ExchangeRules, random: Random) -> None:
        self._rules = rules
        self._random = random
        self._last = 0
        self._running: dict[int, _Exchange] = {}
        self._by_id: dict[tuple[RadiusLane, int], _Exchange] = {}
        self._next_id: dict[RadiusLane, int] = {}
        self._used: Counter[RadiusLane] = Counter()
        self._dead_until_ns = [0] * len(rules.secrets)
        self._starved: dict[tuple[int, bool], deque[_Exchange]] = {}
        """Those that wait for an identifier, by server and kind."""
        self._ends: list[ExchangeEnd] = []
        self.dropped: Counter[str] = Counter()
        """Answers that were none, by what was wrong with them: a few kinds, for what stands behind a colon is written by others."""

    # ----------------------------------------------------------------------------------------------------------------- input
    def begin(self, accounting: bool, make: Callable[[int, bytes], RadiusRequest], now_ns: int) -> int:
        """Ask; returns the number of the exchange. `due` has the packet."""
        self._last += 1
        order = sorted(range(len(self._rules.secrets)), key=lambda server: self._dead_until_ns[server] > now_ns)
        exchange = self._running[self._last] = _Exchange(self._last, accounting, make, order)
        self._to_server(exchange, now_ns)
        return exchange.number

    def give_up(self, number: int, now_ns: int) -> None:
        """Nobody waits for it any more. One that waits for an identifier may have its own: look at `due`."""
        exchange = self._running.pop(number, None)
        if exchange is not None:
            self._release(exchange, now_ns)

    def received(self, lane: RadiusLane, data: bytes, now_ns: int) -> str:
        """A datagram has come to a lane. What is no answer to what is out is dropped, and counted; why is returned, else nothing."""
        exchange = self._by_id.get((lane, data[1])) if len(data) >= 20 else None
        if exchange is None or exchange.request is None:
            return self._drop("it answers nothing that is out")
        try:
            reply = read_reply(exchange.request, data, self._rules.require_authenticator)
        except BadPacket as error:
            return self._drop(str(error))
        self._dead_until_ns[lane.server] = 0
        self._end(exchange, reply, "", now_ns)
        return ""

    def _drop(self, why: str) -> str:
        kind = why.partition(":")[0]
        self.dropped[kind if kind in self.dropped or len(self.dropped) < _MOST_KINDS else _OTHER] += 1
        return why[:200]

    # ---------------------------------------------------------------------------------------------------------------- output
    def due(self, now_ns: int) -> list[tuple[RadiusLane, bytes]]:
        """What is to be sent now."""
        found: list[tuple[RadiusLane, bytes]] = []
        for exchange in list(self._running.values()):
            if exchange.lane is not None and exchange.due_ns <= now_ns:
                self._step(exchange, now_ns, found)
        return found

    def _step(self, exchange: _Exchange, now_ns: int, found: list[tuple[RadiusLane, bytes]]) -> None:
        if exchange.sent >= self._rules.attempts:
            self._dead_until_ns[exchange.servers[0]] = now_ns + self._rules.dead_ns
            del exchange.servers[0]
            self._release(exchange, now_ns)
            if not exchange.servers:
                self._end(exchange, None, "no server has answered", now_ns)
                return
            self._to_server(exchange, now_ns)
            if exchange.lane is None:
                return
        assert exchange.lane is not None and exchange.request is not None
        jitter = 1 + self._random.uniform(-_JITTER, _JITTER)
        exchange.wait_ns = round((2 * exchange.wait_ns if exchange.wait_ns else self._rules.timeout_ns) * jitter)
        exchange.due_ns = now_ns + exchange.wait_ns
        exchange.sent += 1
        found.append((exchange.lane, exchange.request.data))

    def ends(self) -> list[ExchangeEnd]:
        """What is over since the last look."""
        found, self._ends = self._ends, []
        return found

    def deadline_ns(self) -> int | None:
        """When to look at `due` again."""
        return min((exchange.due_ns for exchange in self._running.values() if exchange.lane is not None), default=None)

    # ------------------------------------------------------------------------------------------------------------ identifiers
    def _to_server(self, exchange: _Exchange, now_ns: int) -> None:
        """Take a lane and an identifier to the first server of its list; without a free one it waits for one."""
        server = exchange.servers[0]
        for number in range(_MOST_LANES):
            lane = RadiusLane(server, exchange.accounting, number)
            if (id := self._free_id(lane)) is not None:
                exchange.lane, exchange.id = lane, id
                exchange.request = exchange.make(id, self._rules.secrets[server])
                exchange.sent = exchange.wait_ns = 0
                exchange.due_ns = now_ns
                self._by_id[lane, id] = exchange
                self._used[lane] += 1
                return
        self._starved.setdefault((server, exchange.accounting), deque()).append(exchange)

    def _free_id(self, lane: RadiusLane) -> int | None:
        """The one that was used longest ago: a late answer to an old request must not meet a new one."""
        if self._used[lane] == _IDS:
            return None
        first = self._next_id.get(lane, 0)
        for step in range(_IDS):
            id = (first + step) % _IDS
            if (lane, id) not in self._by_id:
                self._next_id[lane] = (id + 1) % _IDS
                return id
        return None

    def _release(self, exchange: _Exchange, now_ns: int) -> None:
        """Give its identifier back, to whoever waits for one longest."""
        lane = exchange.lane
        if lane is None:
            return
        del self._by_id[lane, exchange.id]
        self._used[lane] -= 1
        exchange.lane = None
        waiting = self._starved.get((lane.server, lane.accounting))
        while waiting:
            one = waiting.popleft()
            if one.number in self._running:
                self._to_server(one, now_ns)
                return

    def _end(self, exchange: _Exchange, reply: RadiusReply | None, why: str, now_ns: int) -> None:
        self._running.pop(exchange.number, None)
        self._release(exchange, now_ns)
        self._ends.append(ExchangeEnd(exchange.number, reply, why))
