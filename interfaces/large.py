# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers that are long arrays (`monitoring.list` of a large store): written in slices, so that the loop's other work goes on.

The bytes are those that writing the whole at once would give; only arrays that are a whole result are looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias, TypeGuard

from di.kernel.value import Value

_SLICE = 2_000
"""Elements a slice: about 1 ms of writing XML."""
_LARGE = 10_000
"""Elements from which on an array is cut up; a shorter one costs less than the waiting."""


def is_large(value: Value) -> TypeGuard[list[Value]]:
    """Whether a result is worth being written in slices."""
    return type(value) is list and len(value) > _LARGE


class Pieces(list[bytes]):
    """A large text as it was made. Joining 23 MB holds the loop for 10 ms: who can sends the pieces one after the other."""

    @property
    def length_bytes(self) -> int:
        """Of the whole."""
        return sum(map(len, self))


Text: TypeAlias = bytes | Pieces


def whole(text: Text) -> bytes:
    """A text that has to be in one piece."""
    return text if isinstance(text, bytes) else b"".join(text)


async def in_slices(values: list[Value], write: Callable[[list[Value]], bytes], between: bytes = b"") -> list[bytes]:
    """What `write` makes of each slice."""
    pieces: list[bytes] = []
    for start in range(0, len(values), _SLICE):
        piece = write(values[start : start + _SLICE])
        pieces.append(between + piece if start else piece)
        await asyncio.sleep(0)
    return pieces


async def json_result(answer: dict[str, Value], dumps: Callable[[Value], bytes], comma: bytes) -> Pieces:
    """A JSON-RPC answer whose result is large. `answer` has its members in order, `result` last; `comma` is how `dumps` separates."""
    result = answer["result"]
    assert isinstance(result, list)
    frame = dumps({**answer, "result": []}).removesuffix(b"]}")
    return Pieces([frame, *await in_slices(result, lambda some: dumps(some)[1:-1], comma), b"]}"])
