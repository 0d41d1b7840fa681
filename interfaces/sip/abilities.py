# SPDX-License-Identifier: GPL-2.0-or-later
"""What we say that we can do (RFC 3261 §20.5, §20.37): in answers to OPTIONS, and in pjsip's own messages.

pjsip's modules each add what they know to lists that go into every INVITE and its replies; some of it is not so here, since the hub and not
pjsua answers requests inside calls. `native` puts the right words in place of theirs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Abilities:
    """`reliable`: whether provisional replies may be acknowledged (RFC 3262)."""

    reliable: bool = False
    user_agent: str = ""

    @property
    def allow(self) -> tuple[str, ...]:
        """Methods of every call. What an application takes beyond them stands in an Allow of the hub's own."""
        prack = ("PRACK",) if self.reliable else ()
        return ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", *prack, "UPDATE")

    @property
    def supported(self) -> tuple[str, ...]:
        """Extensions."""
        return ("100rel", "replaces", "timer") if self.reliable else ("replaces", "timer")

    def headers(self, known: Collection[str] = ()) -> tuple[tuple[str, str], ...]:
        """Of an answer to OPTIONS (§11.2), without those that are `known`, in lower case."""
        pairs = (
            ("Allow", ", ".join(self.allow)), ("Accept", "application/sdp"), ("Supported", ", ".join(self.supported)),
            ("Server", self.user_agent),
        )  # fmt: skip
        return tuple(pair for pair in pairs if pair[1] and pair[0].lower() not in known)
