# SPDX-License-Identifier: GPL-2.0-or-later
"""The control against a web service whose answers come in pieces, or are too long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from di.calls.control_modules import ControlAsk, ControlUnreachable, InterruptedCall
from di.modules.cc_http.control import HttpControl
from di.modules.cc_http.options import Options
from tests.support.bare_hub import HandClock
from tests.support.piece_server import pieces

INFO = SimpleNamespace(
    direction="in", from_header="a", to_header="b", request_uri="sip:b@c", call_id="1@x", source_ip="192.0.2.1"
)
ASK = ControlAsk("money", SimpleNamespace(id="call-1", application="echo", info=INFO), {})  # type: ignore[arg-type]


@asynccontextmanager
async def asking(port: int) -> AsyncIterator[HttpControl]:
    control = HttpControl(Options(url=f"http://127.0.0.1:{port}/", secret_file=bytes(32)), HandClock())
    try:
        yield control
    finally:
        await control.close()


async def test_an_answer_in_pieces_is_read_whole() -> None:
    async with pieces(b'{"allow": true, "sec', b'onds": 6', b"0}") as port, asking(port) as control:
        assert (await control.authorize(ASK)).seconds == 60
        assert (await control.renew(ASK, 5.0)).seconds == 60


async def test_an_answer_that_is_too_long_is_none() -> None:
    async with pieces(b" " * 40_000, b" " * 40_000 + b'{"allow": true}') as port, asking(port) as control:
        with pytest.raises(ControlUnreachable, match="the answer is longer than 65536 bytes"):
            await control.authorize(ASK)


async def test_the_status_is_named_whatever_stands_below_it() -> None:
    async with pieces(b"x" * 40_000, b"x" * 40_000, status=502) as port, asking(port) as control:
        with pytest.raises(ControlUnreachable, match="answered 502"):
            await control.authorize(ASK)


async def test_an_end_is_taken_whatever_the_service_says_to_it() -> None:
    """Nobody reads that answer, so its length must not have the end told again for days."""
    call = InterruptedCall("money", "call-1", {}, account="", charge_id="", answered=True, used_s=3.0)
    async with pieces(b"x" * 40_000, b"x" * 40_000) as port, asking(port) as control:
        await control.interrupted(call)
