# SPDX-License-Identifier: GPL-2.0-or-later
"""What a NOTIFY says (RFC 6665 §8.2): event, state, how long still, why it ended. Pure; anything may stand in the message."""

from __future__ import annotations

from dataclasses import dataclass

from interfaces.sip.message import Message, tag_of

_MAX_SECONDS = 2**31 - 1


class BadNotify(Exception):
    """A NOTIFY that cannot be taken; `code` and `reason` are the answer to it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


@dataclass(frozen=True, slots=True)
class Notify:
    """One NOTIFY. `expires_s` None: not said; `reason` and `retry_after_s` (0: not said) only at the end."""

    tag: str
    cseq: int
    package: str
    id: str
    state: str
    expires_s: int | None
    reason: str
    retry_after_s: int
    content_type: str
    body: bytes

    @property
    def ends(self) -> bool:
        """Whether the subscription is over; `active;expires=0` means that too."""
        return self.state == "terminated" or self.expires_s == 0

    @classmethod
    def read(cls, message: Message) -> Notify:
        """Read a NOTIFY. Raises BadNotify when a mandatory header is missing or broken."""
        number, _, method = message.header("CSeq").strip().partition(" ")
        cseq = seconds_of(number)
        tag = tag_of(message.header("From"))
        if cseq is None or method.strip() != "NOTIFY" or not tag:
            raise BadNotify(400, "Bad Request")
        package, event_parameters = with_parameters(message.header("Event"))
        if not package:
            raise BadNotify(489, "Bad Event")
        state, state_parameters = with_parameters(message.header("Subscription-State"))
        if not state:
            raise BadNotify(400, "Subscription-State is missing")
        return cls(
            tag, cseq, package, event_parameters.get("id", ""), state.lower(), seconds_of(state_parameters.get("expires", "")),
            state_parameters.get("reason", ""), seconds_of(state_parameters.get("retry-after", "")) or 0, message.content_type,
            message.body,
        )  # fmt: skip


def seconds_of(text: str) -> int | None:
    """A number of seconds (or another 31-bit number) at the beginning of a header value; None for anything else."""
    word = text.partition(";")[0].partition("(")[0].strip()
    if not (word.isascii() and word.isdigit()) or len(word) > 10:
        return None
    return min(int(word), _MAX_SECONDS)


def with_parameters(value: str) -> tuple[str, dict[str, str]]:
    """`token;name=value;…`; the first of a repeated name counts."""
    token, *rest = (part.strip() for part in value.split(";"))
    found: dict[str, str] = {}
    for part in rest:
        name, _, text = part.partition("=")
        found.setdefault(name.strip().lower(), text.strip().strip('"'))
    return token, found
