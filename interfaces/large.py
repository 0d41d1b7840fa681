# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers that are long arrays (`monitoring.list` of a large store): written in slices, so that the loop's other work goes on.

The bytes are those that writing the whole at once would give; only arrays that are a whole result are looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeGuard

from di.kernel.value import Value

_SLICE = 2_000
"""Elements a slice: about 1 ms of writing XML."""
_LARGE = 10_000
"""Elements from which on an array is cut up; a shorter one costs less than the waiting."""


def is_large(value: Value) -> TypeGuard[list[Value]]:
    """Whether a result is worth being written in slices."""
    return type(value) is list and len(value) > _LARGE


async def in_slices(values: list[Value], write: Callable[[list[Value]], bytes], between: bytes = b"") -> list[bytes]:
    """What `write` makes of each slice, to be joined at the end, once: copying such a text costs as much as writing it."""
    pieces: list[bytes] = []
    for start in range(0, len(values), _SLICE):
        piece = write(values[start : start + _SLICE])
        pieces.append(between + piece if start else piece)
        await asyncio.sleep(0)
    return pieces


async def json_result(answer: dict[str, Value], dumps: Callable[[Value], bytes], comma: bytes) -> bytes:
    """A JSON-RPC answer whose result is large. `answer` has its members in order, `result` last; `comma` is how `dumps` separates."""
    result = answer["result"]
    assert isinstance(result, list)
    frame = dumps({**answer, "result": []}).removesuffix(b"]}")
    return b"".join([frame, *await in_slices(result, lambda some: dumps(some)[1:-1], comma), b"]}"])
