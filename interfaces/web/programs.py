# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that run elsewhere come in by a WebSocket of this port; who may is decided here, what they do elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from di.kernel.registry import Caller
from interfaces.program_door import LONGEST_BYTES, PERMISSION, ProgramDoor


class ProgramSockets:
    """`find_door`: None while nobody takes programs; `login` says who sent a request, or raises the HTTP refusal."""

    def __init__(self, find_door: Callable[[], ProgramDoor | None], login: Callable[[web.Request], Awaitable[Caller]]) -> None:
        self._find_door, self._login = find_door, login

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends. Unlike at /ws, who comes says in the request who he is: no browser is meant here."""
        caller = await self._login(request)
        if not caller.allows(*PERMISSION):
            raise web.HTTPForbidden(text=f"this needs {'.'.join(PERMISSION)}\n")
        door = self._find_door()
        if door is None:
            raise web.HTTPNotFound(text="no programs are taken here: load apps, and set remote in apps.conf\n")
        if not door.has_place():
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"}, text="max_remote of apps.conf is reached\n")
        socket = web.WebSocketResponse(
            max_msg_size=LONGEST_BYTES, heartbeat=30.0, compress=False, writer_limit=1 << 16, timeout=2.0
        )
        if not socket.can_prepare(request).ok:
            raise web.HTTPUpgradeRequired(headers={"Upgrade": "websocket"}, text="this path takes WebSocket connections\n")
        await socket.prepare(request)
        await door.serve(socket, caller, request)
        return socket
