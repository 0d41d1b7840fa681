# SPDX-License-Identifier: GPL-2.0-or-later
"""Bindings: who is registered, where, until when (RFC 3261 §10.3). Pure; wall-clock seconds come in.

REGISTER ─► register(aor, order) ─► its bindings now, all or nothing ─► changes, for whoever keeps them
INVITE   ─► find(aor) ─► bindings that are valid, the most wanted and then the latest first
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from di.kernel.errors import Refused
from di.sip.headers import parse_uri
from di.stores.location.contacts import RegisterOrder, RegisterSource


@dataclass(frozen=True, slots=True)
class UserBinding(RegisterSource):
    """One contact of an address-of-record, and the REGISTER that last ordered it."""

    aor: str
    contact: str
    expires_s: float
    q: float = 1.0
    since_s: float = 0.0

    @property
    def key(self) -> str:
        """What two bindings of one contact have in common: scheme, user, host, port and transport (RFC 3261 §19.1.4)."""
        uri = parse_uri(self.contact)
        return f"{uri.scheme}:{uri.user}@{uri.host.lower()}:{uri.port}:{uri.params.get('transport', '').lower()}"


@dataclass(frozen=True, slots=True)
class RegisterRules:
    """How long a binding lasts, and how many there may be: of one address-of-record, and in all."""

    default_s: int = 3600
    min_s: int = 60
    max_s: int = 7200
    most_contacts: int = 10
    most_bindings: int = 100_000


class LocationBook:
    """`journal(aor, key, binding)` is told of each change; None: it is gone."""

    def __init__(self, rules: RegisterRules, journal: Callable[[str, str, UserBinding | None], None] | None = None) -> None:
        self._rules = rules
        self._of: dict[str, dict[str, UserBinding]] = {}
        self._journal = journal or (lambda aor, key, binding: None)
        self._ends: list[tuple[float, str, str]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[UserBinding]:
        for bindings in list(self._of.values()):
            yield from bindings.values()

    def load(self, binding: UserBinding) -> None:
        """Take over what was kept."""
        self._put(binding.aor, {**self._of.get(binding.aor, {}), binding.key: binding})
        heapq.heappush(self._ends, (binding.expires_s, binding.aor, binding.key))

    def find(self, aor: str, now_s: float) -> tuple[UserBinding, ...]:
        """Valid bindings, the most wanted first, of those the latest."""
        valid = (one for one in self._of.get(aor, {}).values() if one.expires_s > now_s)
        return tuple(sorted(valid, key=lambda one: (-one.q, -one.since_s)))

    def register(self, aor: str, order: RegisterOrder, now_s: float) -> tuple[UserBinding, ...]:
        """Do what a REGISTER asks for; returns the bindings that there are then. Raises Refused, and then nothing has changed."""
        before = {one.key: one for one in self.find(aor, now_s)}
        after = dict(before)
        if order.star:
            for key, one in before.items():
                _check_order(one, order)
                del after[key]
        for contact in order.contacts:
            lasts_s = self._lasts_s(contact.expires_s if contact.expires_s is not None else order.expires_s)
            made = UserBinding(
                aor, contact.uri, now_s + lasts_s, contact.q, now_s, call_id=order.call_id, cseq=order.cseq, source_ip=order.source_ip,
                source_port=order.source_port, transport=order.transport, user_agent=order.user_agent,
            )  # fmt: skip
            if made.key in before:
                _check_order(before[made.key], order)
            after.pop(made.key, None)
            if lasts_s:
                after[made.key] = made
        if len(after) > self._rules.most_contacts:
            raise Refused(403, "Too Many Contacts")
        if self._count - len(self._of.get(aor, {})) + len(after) > self._rules.most_bindings:
            raise Refused(503, "Too Many Registrations", ("Retry-After: 60",))
        self._change(aor, after)
        return self.find(aor, now_s)

    def _lasts_s(self, wanted_s: int | None) -> int:
        """Raises Refused(423) for an interval that is too short (RFC 3261 §10.3 step 7)."""
        rules = self._rules
        if wanted_s is None:
            return rules.default_s
        if 0 < wanted_s < rules.min_s:
            raise Refused(423, "Interval Too Brief", (f"Min-Expires: {rules.min_s}",))
        return min(wanted_s, rules.max_s)

    def _change(self, aor: str, after: dict[str, UserBinding]) -> None:
        before = self._of.get(aor, {})
        for key in before.keys() - after.keys():
            self._journal(aor, key, None)
        for key, one in after.items():
            if before.get(key) != one:
                self._journal(aor, key, one)
                heapq.heappush(self._ends, (one.expires_s, aor, key))
        self._put(aor, after)

    def _put(self, aor: str, bindings: dict[str, UserBinding]) -> None:
        self._count += len(bindings) - len(self._of.get(aor, {}))
        if bindings:
            self._of[aor] = bindings
        else:
            self._of.pop(aor, None)

    def remove(self, aor: str) -> int:
        """Forget all bindings of an address-of-record; returns how many."""
        count = len(self._of.get(aor, {}))
        self._change(aor, {})
        return count

    def sweep(self, now_s: float) -> int:
        """Forget what has run out; returns how many."""
        gone = 0
        while self._ends and self._ends[0][0] <= now_s:
            _, aor, key = heapq.heappop(self._ends)
            one = self._of.get(aor, {}).get(key)
            if one is not None and one.expires_s <= now_s:
                self._change(aor, {other: kept for other, kept in self._of[aor].items() if other != key})
                gone += 1
        return gone


def _check_order(binding: UserBinding, order: RegisterOrder) -> None:
    """A REGISTER that was overtaken by a later one of the same Call-ID changes nothing (RFC 3261 §10.3 step 7)."""
    if binding.call_id == order.call_id and order.cseq <= binding.cseq:
        raise Refused(500, "Out of Order")
