# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers that end or shorten calls (RFC 5176): who may, what is meant, what is answered. Pure.

Disconnect-Request    ends the calls it names by Acct-Session-Id, or all of a User-Name
CoA-Request           with Session-Timeout: so many seconds from now on

What is not signed with the secret of the host that it comes from gets no answer; a repeat gets the same answer again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from di.modules.cc_radius.packets import BadPacket, DynamicRequest, dynamic_reply, read_dynamic

UNSUPPORTED_ATTRIBUTE, MISSING_ATTRIBUTE, NAS_MISMATCH, NO_SESSION = 401, 402, 403, 503
"""Error-Cause (RFC 5176 §3.5)."""
_OLDEST_S = 300
"""Event-Timestamp of a request that is not played back (RFC 5176 §6.3)."""
_REMEMBERED = 256


class NamedCall(Protocol):
    """A call that a server may name."""

    user: str

    def disconnect(self) -> bool:
        """End it; False when that is no longer possible."""

    def limit(self, seconds: int) -> bool:
        """So many seconds from now on."""


@dataclass(frozen=True, slots=True)
class DynamicRules:
    """`secrets` by address of those who may ask."""

    secrets: Mapping[str, bytes]
    nas_identifier: str

    def __repr__(self) -> str:
        return f"DynamicRules({sorted(self.secrets)})"


class DynamicServer:
    """`find`: the calls by Acct-Session-Id, all of them when it is empty."""

    def __init__(self, rules: DynamicRules, find: Callable[[str], Iterable[NamedCall]]) -> None:
        self._rules = rules
        self._find = find
        self._answered: OrderedDict[tuple[str, int, bytes], bytes] = OrderedDict()

    def handle(self, data: bytes, source: tuple[str, int], now_s: float) -> tuple[bytes | None, str]:
        """A datagram and where it came from; the answer (None: none), and what is to be written into the log."""
        secret = self._rules.secrets.get(source[0])
        if secret is None:
            return None, "it is none of the servers"
        key = (f"{source[0]}:{source[1]}", data[1] if len(data) > 1 else 0, data[4:20])
        if (answer := self._answered.get(key)) is not None:
            return answer, ""
        try:
            request = read_dynamic(data, secret)
        except BadPacket as error:
            return None, str(error)
        if request.event_s and abs(now_s - request.event_s) > _OLDEST_S:
            return None, f"its Event-Timestamp is {abs(now_s - request.event_s):.0f} s away from our time"
        cause, said = self._do(request)
        answer = self._answered[key] = dynamic_reply(request, cause)
        while len(self._answered) > _REMEMBERED:
            self._answered.popitem(last=False)
        return answer, said

    def _do(self, request: DynamicRequest) -> tuple[int, str]:
        what = "Disconnect-Request" if request.disconnect else "CoA-Request"
        if request.nas_identifier and request.nas_identifier != self._rules.nas_identifier:
            return NAS_MISMATCH, f"{what} for another server, {request.nas_identifier}"
        if not request.session_id and not request.user:
            return MISSING_ATTRIBUTE, f"{what} that names no call"
        if request.others or (request.disconnect and request.session_s is not None):
            return UNSUPPORTED_ATTRIBUTE, f"{what} with attributes {request.others}, which are not served"
        if not request.disconnect and request.session_s is None:
            return UNSUPPORTED_ATTRIBUTE, f"{what} without a Session-Timeout"
        calls = [call for call in self._find(request.session_id) if not request.user or call.user == request.user]
        seconds = request.session_s or 0
        done = [call.disconnect() if request.disconnect else call.limit(seconds) for call in calls]
        who = request.session_id or request.user
        return (
            (0, f"{what} for {who}: {sum(done)} calls") if any(done) else (NO_SESSION, f"{what} for {who}: there is no such call")
        )
