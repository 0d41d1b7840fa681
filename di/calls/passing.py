# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of that which passes from one side of a pair to the other: headers, replies, hold, codecs.

`PassEndToEnd` is what most applications want: headers that belong to no dialog pass, everything else as it is. A border controller has its
own rules (`di.apps.sbc`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from di.sip.headers import end_to_end, header_problem, long_name

if TYPE_CHECKING:
    from di.calls.events import SipReply
    from di.sip.records import RequestReceived


@dataclass(frozen=True, slots=True)
class PassedReply:
    """A reply as the other side gets it. `headers`: complete lines."""

    code: int
    reason: str
    headers: tuple[str, ...] = ()


class Passing(Protocol):
    """`to_first`: it goes to the side that was there first (the A leg), else to the second (the B leg)."""

    def request(self, to_first: bool, request: RequestReceived) -> tuple[str, ...]:
        """The header lines with which a request inside the dialog goes on."""

    def reply(self, to_first: bool, reply: SipReply) -> PassedReply:
        """A reply as it goes on: to the first INVITE, and to requests that were passed on. Its code stays of its kind."""

    def direction(self, to_first: bool, direction: str) -> str:
        """What one side is offered when the other has offered `direction` (hold, resume)."""

    def answer_codecs(self, second: tuple[str, ...]) -> tuple[str, ...]:
        """Codecs that the answer to the first INVITE may name, as NAME/clock, when the other side has come to `second`. Empty: as before."""


def redirection(reply: SipReply) -> tuple[str, ...]:
    """Where a reply says that the caller should call instead (3xx), as lines; nothing for other replies."""
    if not 300 <= reply.code < 400:
        return ()
    lines = (f"Contact: {value}" for name, value in reply.headers if long_name(name).lower() == "contact")
    return tuple(line for line in lines if not header_problem(line, contact=True))


class PassEndToEnd:
    """The rules of a pair that has no others."""

    def request(self, to_first: bool, request: RequestReceived) -> tuple[str, ...]:
        """What belongs to no dialog."""
        return end_to_end(request.headers)

    def reply(self, to_first: bool, reply: SipReply) -> PassedReply:
        """The same code, with what belongs to no dialog."""
        return PassedReply(reply.code, reply.reason, (*end_to_end(reply.headers), *redirection(reply)))

    def direction(self, to_first: bool, direction: str) -> str:
        """The same."""
        return direction

    def answer_codecs(self, second: tuple[str, ...]) -> tuple[str, ...]:
        """No matter."""
        return ()
