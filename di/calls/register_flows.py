# SPDX-License-Identifier: GPL-2.0-or-later
"""What keeps the way back from a registrar open: a request now and then, and a Contact that says where we are seen. Pure.

A NAT forgets who sent nothing for half a minute. So an OPTIONS goes where the REGISTERs of an account go, every `keepalive_s` (RFC 5626 §4.4 has
the reasons; its STUN is understood by few). When nobody answers it the account is registered anew. Where the reply to a REGISTER says that it
came from another address than our Contact names (RFC 3581 §4), that one is registered.
"""

from __future__ import annotations

import re
from random import Random

from di.sip.headers import first_header, parse_uri
from di.sip.registration.contacts import Headers
from di.sip.registration.pacing import NS

_RECEIVED = re.compile(r";\s*received\s*=\s*\[?([0-9A-Fa-f:.]+)\]?", re.IGNORECASE)
_RPORT = re.compile(r";\s*rport\s*=\s*([0-9]{1,5})\b", re.IGNORECASE)


class RegisterFlows:
    """When each account's next keep-alive is due. `keepalive_s` 0: none."""

    def __init__(self, keepalive_s: int, random: Random) -> None:
        self._interval_ns, self._random = keepalive_s * NS, random
        self._due_ns: dict[str, int] = {}

    def registered(self, handle: str, now_ns: int) -> None:
        """A REGISTER was answered: the way is open."""
        if self._interval_ns:
            self._due_ns[handle] = now_ns + int(self._interval_ns * (0.8 + 0.2 * self._random.random()))

    def forget(self, handle: str) -> None:
        """It is registered no longer."""
        self._due_ns.pop(handle, None)

    def due(self, now_ns: int) -> list[str]:
        """Whose keep-alive is to be sent now; the next one is due an interval later."""
        due = [handle for handle, at_ns in self._due_ns.items() if at_ns <= now_ns]
        for handle in due:
            self.registered(handle, now_ns)
        return due

    def deadline_ns(self) -> int | None:
        """When `due` has something next."""
        return min(self._due_ns.values(), default=None)


def seen_as(contact: str, headers: Headers) -> str:
    """Our URI as the registrar sees us: `contact` with the address and port that its reply's Via has; empty: just so."""
    via = first_header(headers, "Via") or first_header(headers, "v") or ""
    received, rport = _RECEIVED.search(via), _RPORT.search(via)
    ours = parse_uri(contact)
    if rport is None and received is None:
        return ""
    host = received[1] if received is not None else ours.host.strip("[]")
    at = re.search(r"@(\[[^\]]*\]|[^:;>]*)(?::([0-9]+))?", contact)
    if at is None:
        return ""
    port = int(rport[1]) if rport is not None else int(at[2] or 5060)
    if (host.lower(), port) == (at[1].strip("[]").lower(), int(at[2] or 5060)):
        return ""
    shown = f"[{host}]" if ":" in host else host
    return f"{contact[: at.start()]}@{shown}:{port}{contact[at.end() :]}"
