# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers that are long arrays (`monitoring.list` of a large store): written in slices, so that the loop's other work goes on.

The bytes are those that writing the whole at once would give; only arrays that are a whole result are looked at. An array that is nobody
else's (`OwnArray`) is given back slice by slice as well, and who sends a text gives its pieces back one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TypeAlias, TypeGuard, cast

from di.kernel.value import OwnArray, Value

_SLICE = 2_000
"""Texts a slice: about 1 ms of writing XML."""
_SLICE_OF_OTHERS = 500
"""Pairs, which are written one by one, a slice."""
_ARRAYS = (list, OwnArray)
_WRITTEN_A_TURN_BYTES = 1 << 20
_LARGE = 10_000
"""Elements from which on an array is cut up; a shorter one costs less than the waiting."""


def is_large(value: Value) -> TypeGuard[list[Value]]:
    """Whether a result is worth being written in slices."""
    return type(value) in _ARRAYS and len(cast("list[Value]", value)) > _LARGE


class Pieces(list[bytes]):
    """A large text as it was made. Joining 23 MB holds the loop for 10 ms: who can sends the pieces one after the other."""

    @property
    def length_bytes(self) -> int:
        """Of the whole."""
        return sum(map(len, self))

    def leaving(self) -> Iterator[bytes]:
        """Each piece once, not kept here any longer: 64 MB that are let go at once cost some milliseconds too."""
        for at, piece in enumerate(self):
            self[at] = b""
            yield piece


async def by_turns(pieces: Pieces, write: Callable[[bytes], bool]) -> None:
    """Write a large text with turns for others in between; `write` says whether to go on."""
    written = 0
    for piece in pieces.leaving():
        if not write(piece):
            return
        written += len(piece)
        if written > _WRITTEN_A_TURN_BYTES:
            written = 0
            await asyncio.sleep(0)


Text: TypeAlias = bytes | Pieces


def whole(text: Text) -> bytes:
    """A text that has to be in one piece."""
    return text if isinstance(text, bytes) else b"".join(text)


async def in_slices(values: list[Value], write: Callable[[list[Value]], bytes], between: bytes = b"") -> list[bytes]:
    """What `write` makes of each slice; of an `OwnArray` nothing is left."""
    pieces: list[bytes] = []
    size = _SLICE if values and type(values[0]) is str else _SLICE_OF_OTHERS
    for start in range(0, len(values), size):
        some = values[start : start + size]
        piece = write(some)
        pieces.append(between + piece if start else piece)
        if type(values) is OwnArray:
            values[start : start + size] = [None] * len(some)
        del some
        await asyncio.sleep(0)
    return pieces


async def json_result(answer: dict[str, Value], dumps: Callable[[Value], bytes], comma: bytes) -> Pieces:
    """A JSON-RPC answer whose result is large. `answer` has its members in order, `result` last; `comma` is how `dumps` separates."""
    result = answer["result"]
    assert isinstance(result, list)
    frame = dumps({**answer, "result": []}).removesuffix(b"]}")
    return Pieces([frame, *await in_slices(result, lambda some: dumps(some)[1:-1], comma), b"]}"])
