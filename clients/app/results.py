# SPDX-License-Identifier: GPL-2.0-or-later
"""What operations give: results where an outcome was to be expected, exceptions where there is nothing left to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


class CallEnded(Exception):
    """The call is over; raised wherever a program waits for something of it. `by`: remote, local, cancel, timeout, error."""

    def __init__(self, code: int, reason: str, by: str) -> None:
        super().__init__(f"the call is over: {code} {reason} ({by})")
        self.code, self.reason, self.by = code, reason, by


class CallFailed(Exception):
    """An operation did not work: nobody answered, a file cannot be read, a command is not possible now."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


@dataclass(frozen=True, slots=True)
class Digits:
    """Keys that were gathered. False when there are none; `why`: `end` key, `length` reached, or `timeout`."""

    digits: str
    why: Literal["end", "length", "timeout"]

    def __bool__(self) -> bool:
        return bool(self.digits)


@dataclass(frozen=True, slots=True)
class Recording:
    """A file that is complete. `why`: `asked`, `length`, `silence`, `closed` (the call ended), or the text of an error."""

    path: str
    length_ms: int
    why: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `type`: `digit` (with `key`, `duration_ms`), `posted` (`params`), `room`, `request` …; `data` has all of it."""

    type: str
    data: dict[str, object] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Of a `digit`: 0–9, `*`, `#`, A–D."""
        return str(self.data.get("key", ""))

    @property
    def params(self) -> dict[str, str]:
        """Of a `posted`: what postDSMEvent or core.post_event gave."""
        params = self.data.get("params")
        return {str(name): str(value) for name, value in params.items()} if isinstance(params, dict) else {}


@dataclass(frozen=True, slots=True)
class Request:
    """A SIP request inside the call. `token`: 0 when no answer is wanted."""

    method: str
    headers: tuple[tuple[str, str], ...]
    content_type: str
    body: bytes
    token: int

    def header(self, name: str) -> str:
        """The first value of a header, empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def request_of(event: Event) -> Request:
    """The request of a `request` event."""
    data = event.data
    headers = data.get("headers")
    body, token = data.get("body"), data.get("token")
    return Request(
        str(data.get("method", "")),
        tuple((str(one[0]), str(one[1])) for one in headers) if isinstance(headers, list) else (),
        str(data.get("content_type", "")),
        body if isinstance(body, bytes) else b"",
        token if isinstance(token, int) else 0,
    )
