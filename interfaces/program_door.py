# SPDX-License-Identifier: GPL-2.0-or-later
"""Where programs that run elsewhere come in: the web port takes the connection, whoever serves programs takes it from there."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from di.kernel.capabilities import Capability
from di.kernel.registry import Caller

PATH = "/apps"
"""Of the WebSocket, at the web port."""
PERMISSION = ("apps", "attach")
"""What a caller must be allowed."""
LONGEST_BYTES = 4 << 20
"""Of a message."""


class ProgramDoor(Protocol):
    """Who serves programs."""

    def has_place(self) -> bool:
        """Whether one more may come in."""

    async def serve(self, socket: web.WebSocketResponse, caller: Caller, request: web.Request) -> None:
        """Serve one connection until it ends."""


PROGRAM_DOOR: Capability[ProgramDoor] = Capability("programs from elsewhere")
