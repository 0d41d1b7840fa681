# SPDX-License-Identifier: GPL-2.0-or-later
"""The door for programs that run elsewhere: who may serve which application, and how many there may be."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from aiohttp import WSCloseCode, web

from di.kernel.registry import Caller
from interfaces.apps.fleet import Fleet
from interfaces.apps.options import Options
from interfaces.apps.peer import AppPeer, Message
from interfaces.apps.remote import Refusal, RemoteProgram, close, introduction

log = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class RemoteDoor:
    """`find_fleet` gives an application's fleet, made where need be; it raises Refusal for a name that cannot be one."""

    def __init__(self, options: Options, find_fleet: Callable[[str], Fleet], take: Callable[[AppPeer, Message], None]) -> None:
        self._options, self._find_fleet, self._take = options, find_fleet, take
        self._open = 0
        self._numbers = 0

    def has_place(self) -> bool:
        """Whether one more may come in."""
        return self._open < self._options.max_remote

    async def serve(self, socket: web.WebSocketResponse, caller: Caller, request: web.Request) -> None:
        """Serve one connection until it ends."""
        self._open += 1
        try:
            fleet, program = self._come_in(await introduction(socket), socket, caller, request)
            log.info("%s has come%s", program, ": it gets all new calls" if program.exclusive else "")
            fleet.join(program)
            program.begin(fleet.app.config)
            await program.run()
        except Refusal as refused:
            log.warning("a remote program of %s@%s is not taken: %s", caller.name, caller.source, refused)
            await close(socket, WSCloseCode.POLICY_VIOLATION, str(refused))
        finally:
            self._open -= 1

    def _come_in(
        self, told: Message, socket: web.WebSocketResponse, caller: Caller, request: web.Request
    ) -> tuple[Fleet, RemoteProgram]:
        name, most = told.get("app"), told.get("max_calls", 0)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Refusal("app must be a name of letters, digits and underscores")
        if self._options.remote != ("*",) and name not in self._options.remote:
            raise Refusal(f"remote in apps.conf does not name {name}")
        if not isinstance(most, int) or isinstance(most, bool) or not 0 <= most <= 100_000:
            raise Refusal("max_calls must be a number from 0 to 100000")
        fleet = self._find_fleet(name)
        self._numbers += 1
        program = RemoteProgram(name, self._numbers, socket, caller, request.transport, self._take, fleet.gone)
        program.exclusive, program.max_calls = told.get("exclusive") is True, most
        return fleet, program
