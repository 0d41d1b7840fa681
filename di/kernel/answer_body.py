# SPDX-License-Identifier: GPL-2.0-or-later
"""The body of a web server's answer, of which no more is taken in than whoever asked has use for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp


async def whole_body(answer: aiohttp.ClientResponse, longest_bytes: int) -> bytes:
    """Read it to its end. Raises ValueError when it is longer, and what aiohttp raises.

    One `content.read(n)` would not do: it returns what has come so far, and a body comes in pieces.
    """
    parts = []
    size = 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > longest_bytes:
            raise ValueError(f"the answer is longer than {longest_bytes} bytes")
        parts.append(part)
    return b"".join(parts)
