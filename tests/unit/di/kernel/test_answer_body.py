# SPDX-License-Identifier: GPL-2.0-or-later
"""Bodies in pieces are read to their end, and no further than allowed."""

from __future__ import annotations

import aiohttp
import pytest

from di.kernel.answer_body import whole_body
from tests.support.piece_server import pieces


async def body(*parts: bytes, longest_bytes: int) -> bytes:
    """What is read of such an answer."""
    async with (
        pieces(*parts) as port,
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/") as answer,
    ):
        return await whole_body(answer, longest_bytes)


async def test_all_pieces_are_read() -> None:
    assert await body(b"one ", b"two ", b"three", longest_bytes=13) == b"one two three"
    assert await body(longest_bytes=0) == b""


async def test_what_is_longer_by_a_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 12 bytes"):
        await body(b"one ", b"two ", b"three", longest_bytes=12)
