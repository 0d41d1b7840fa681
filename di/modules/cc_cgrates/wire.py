# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON-RPC 1.0 in both directions over one stream, as Go's `net/rpc/jsonrpc` and CGRateS's BiJSON speak it. Pure.

    {"method": "SessionSv1.Ping", "params": [{}], "id": 7}        {"id": 7, "result": "Pong", "error": null}

Objects follow each other; a line end between them is usual and not promised. What has a method is a request, whatever else it has.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
LARGEST_MESSAGE_BYTES = 1 << 20
_MARK = re.compile(rb'["\\{}\[\]]')
_SPACE = b" \t\r\n"


class WireError(Exception):
    """The other side does not speak this protocol."""


@dataclass(frozen=True, slots=True)
class PeerAsked:
    """A call of the other side. `id` goes back as it came."""

    method: str
    params: Json
    id: Json


@dataclass(frozen=True, slots=True)
class PeerAnswered:
    """An answer to our request number `id`; `error` is empty for none."""

    id: int
    result: Json
    error: str


class Splitter:
    """Bytes in, complete objects out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._seen = 0
        self._depth = 0
        self._in_text = False

    def feed(self, data: bytes) -> list[bytes]:
        """The objects that are complete now. Raises WireError for what is no stream of objects."""
        self._buffer += data
        found = []
        while (end := self._end()) is not None:
            found.append(bytes(self._buffer[:end]))
            del self._buffer[:end]
            self._seen = 0
        if len(self._buffer) > LARGEST_MESSAGE_BYTES:
            raise WireError(f"a message of more than {LARGEST_MESSAGE_BYTES} bytes")
        return found

    def _end(self) -> int | None:
        if not self._depth:
            stripped = self._buffer.lstrip(_SPACE)
            del self._buffer[: len(self._buffer) - len(stripped)]
            if self._buffer and self._buffer[:1] != b"{":
                raise WireError(f"{bytes(self._buffer[:20])!r} where an object begins")
        while (mark := _MARK.search(self._buffer, self._seen)) is not None:
            place, letter = mark.start(), mark[0]
            if letter == b"\\":
                if place + 1 >= len(self._buffer):
                    self._seen = place
                    return None
                self._seen = place + 2
                continue
            self._seen = place + 1
            if letter == b'"':
                self._in_text = not self._in_text
            elif not self._in_text:
                self._depth += 1 if letter in b"{[" else -1
                if not self._depth:
                    return self._seen
        self._seen = len(self._buffer)
        return None


def read(text: bytes) -> PeerAsked | PeerAnswered:
    """Read one object. Raises WireError."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"{text[:60]!r} is no JSON") from error
    if not isinstance(message, dict):
        raise WireError(f"{text[:60]!r} is no object")
    method, id, fault = message.get("method"), message.get("id"), message.get("error")
    if method:
        if not isinstance(method, str):
            raise WireError(f"method {method!r} is no text")
        return PeerAsked(method, message.get("params"), id)
    if not isinstance(id, int) or isinstance(id, bool):
        raise WireError(f"neither a method nor the number of a request: {text[:60]!r}")
    if fault is None:
        return PeerAnswered(id, message.get("result"), "")
    said = fault if isinstance(fault, str) else json.dumps(fault)
    return PeerAnswered(id, message.get("result"), said or "an error without a text")


def request(id: int, method: str, argument: Json) -> bytes:
    """Our call."""
    return json.dumps({"method": method, "params": [argument], "id": id}).encode() + b"\n"


def answer(id: Json, result: Json, error: str = "") -> bytes:
    """Our answer."""
    return json.dumps({"id": id, "result": None if error else result, "error": error or None}).encode() + b"\n"
