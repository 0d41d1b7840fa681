# SPDX-License-Identifier: GPL-2.0-or-later
"""The control, its answers to REGISTER, and DI functions that show who is registered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from di.calls.call_changes import CallChanges
from di.calls.control import Grant
from di.calls.control_modules import ControlAsk, OutsideAsk, Routed
from di.calls.outside import OutsideReply
from di.calls.trust import trusts
from di.kernel.errors import OutOfBounds
from di.kernel.registry import di_method
from di.kernel.sqlite_thread import DatabaseFailed
from di.kernel.value import Value
from di.modules.cc_registrar.registrar import Registrar, hop

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from di.sip.outside_records import OutsideReceived
    from di.sip.records import CallEnded
    from di.stores.location.keeper import LocationKeeper

log = logging.getLogger(__name__)
_MOST_LISTED = 10_000


class RegistrarControl:
    """Value `aor`: whom a call is for, a URI; else the Request-URI."""

    mandatory: tuple[str, ...] = ()

    def __init__(
        self,
        registrar: Registrar,
        keeper: LocationKeeper | None,
        epoch_s: Callable[[], float],
        trusted_peers: tuple[IPv4Network | IPv6Network, ...],
        to_source: bool,
    ) -> None:
        self._registrar, self._keeper, self._epoch_s = registrar, keeper, epoch_s
        self._trusted_peers, self._to_source = trusted_peers, to_source

    # ------------------------------------------------------------------------------------------------------------ REGISTER
    async def on_register(self, request: OutsideReceived) -> OutsideReply:
        """Answer a REGISTER that no sbc has taken."""
        return await self._register(request, trusts(self._trusted_peers, request.source_ip))

    async def _register(self, request: OutsideReceived, trusted: bool) -> OutsideReply:
        """200 only when it is on the disk."""
        answer = self._registrar.register(request, trusted, self._epoch_s())
        if self._keeper is not None:
            try:
                await self._keeper.written()
            except DatabaseFailed as error:
                log.error("REGISTER from %s is not on the disk: %s: 503", request.source_ip, error)
                return OutsideReply(503, "Service Unavailable", ("Retry-After: 30",))
        return answer

    async def route(self, ask: OutsideAsk) -> Routed:
        """A request outside calls, in an sbc profile: REGISTER is answered, others go to where the user is."""
        if ask.request.method.upper() == "REGISTER":
            return await self._register(ask.request, ask.trusted)
        return self._changes(ask.values.get("aor") or ask.request.request_uri)

    # ---------------------------------------------------------------------------------------------------------------- calls
    def authorize(self, ask: ControlAsk) -> Grant:
        """Send the call to where the user is. Raises Refused: 404."""
        return Grant(changes=self._changes(ask.values.get("aor") or ask.call.info.request_uri))

    def _changes(self, uri: str) -> CallChanges:
        binding = self._registrar.find(uri, self._epoch_s())
        return CallChanges(request_uri=binding.contact, next_hop=hop(binding) if self._to_source else "")

    def answered(self, ask: ControlAsk) -> None:
        """Nothing is kept of calls."""

    def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """There is no limit of time."""
        return Grant()

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """Nothing is kept of calls."""

    async def sweep(self) -> None:
        """Forget what has run out."""
        gone = self._registrar.book.sweep(self._epoch_s())
        if gone and self._keeper is not None:
            try:
                await self._keeper.written()
            except DatabaseFailed as error:
                log.error("registrations that have run out are still on the disk: %s", error)


class RegisteredUsers:
    """Functions `cc_registrar.…`. Not in SEMS."""

    def __init__(self, registrar: Registrar, keeper: LocationKeeper | None, epoch_s: Callable[[], float]) -> None:
        self._registrar, self._keeper, self._epoch_s = registrar, keeper, epoch_s

    @di_method("list", changes=False)
    def listed(self, limit: int = 1000) -> list[Value]:
        """Return who is registered: address-of-record, contact, where from, seconds left, user agent."""
        if not 1 <= limit <= _MOST_LISTED:
            raise OutOfBounds(f"limit {limit}; right is 1 to {_MOST_LISTED}")
        now_s, found = self._epoch_s(), list[Value]()
        for one in self._registrar.book:
            if one.expires_s > now_s and len(found) < limit:
                found.append(
                    {
                        "aor": one.aor, "contact": one.contact, "source": f"{one.source_ip}:{one.source_port}", "transport": one.transport,
                        "expires_s": round(one.expires_s - now_s), "user_agent": one.user_agent,
                    }
                )  # fmt: skip
        return found

    @di_method("remove", dangerous=True)
    async def remove(self, aor: str) -> list[Value]:
        """Forget a user's registrations, of an address-of-record as `list` shows it; returns how many."""
        count = self._registrar.book.remove(aor)
        if self._keeper is not None:
            await self._keeper.written()
        return [200, "OK", count]
