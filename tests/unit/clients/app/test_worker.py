# SPDX-License-Identifier: GPL-2.0-or-later
"""A program's process, against a server that the test plays: whose end ends a call, and what a failure costs."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from clients.app import App, Call
from clients.app.worker import Serving


class Wire:
    """Both ways of a connection; what the program sends is kept."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.coming: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def receive(self) -> dict[str, Any] | None:
        return await self.coming.get()

    def send(self, message: dict[str, Any]) -> None:
        self.sent.put_nowait(message)

    def say(self, **message: Any) -> None:
        self.coming.put_nowait(message)

    async def said(self, **what: Any) -> dict[str, Any]:
        """The next message, which must be so."""
        message = await asyncio.wait_for(self.sent.get(), 30)
        assert what.items() <= message.items(), message
        return message


ENDED = {"k": "ended", "code": 200, "reason": "BYE", "by": "remote"}


async def connected() -> tuple[Wire, asyncio.Task[None]]:
    """A program that plays to the second leg of its call, and does not expect that leg's end."""
    app, wire = App(), Wire()

    @app.call
    async def play_to_leg(call: Call) -> None:
        leg = await call.connect("sip:bob@b.example")
        await leg.play("news.wav")

    serving = asyncio.ensure_future(Serving(wire, app).run())
    wire.say(k="hello", app="news", config={})
    await wire.said(k="ready")
    wire.say(k="call", call="first")
    asked = await wire.said(do="connect", call="first")
    wire.say(k="call", call="leg", leg_of="first")
    wire.say(k="done", call="first", op=asked["op"], result="leg")
    await wire.said(do="play", call="leg")
    return wire, serving


async def test_the_end_of_a_second_leg_that_is_not_caught_is_a_fault_and_ends_the_call(caplog: pytest.LogCaptureFixture) -> None:
    """Else the caller would stay, in silence, with a program that has ended."""
    wire, serving = await connected()
    with caplog.at_level(logging.ERROR, "app"):
        wire.say(call="leg", **ENDED)
        fault = await wire.said(do="fault", call="first", op=0)
    assert "second leg" in fault["with"]["why"] and "200 BYE" in fault["with"]["why"]
    (line,) = caplog.messages
    assert "call first" in line and "second leg" in line and "\n" not in caplog.text.strip()
    wire.coming.put_nowait(None)
    await serving


async def test_the_end_of_the_call_itself_is_none(caplog: pytest.LogCaptureFixture) -> None:
    wire, serving = await connected()
    with caplog.at_level(logging.ERROR, "app"):
        wire.say(call="first", **ENDED)
        wire.say(call="leg", **ENDED)
        wire.coming.put_nowait(None)
        await serving
    assert wire.sent.empty() and not caplog.messages
