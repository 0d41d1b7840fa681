# SPDX-License-Identifier: GPL-2.0-or-later
"""A contact centre in a page: callers wait in the lobby, each agent has a room, and who has waited longest is taken to an agent who is free.

    python -m clients.examples.agents room-1 room-2 [--server http://127.0.0.1:8090] [--every 0.5]

Agents call their room (`sip:room-1@server`, application webconference) and stay in it; everybody else calls any other name and waits in
the state diagram `lobby`, which etc/ brings. Both are seen in the monitoring store: `conf_id` is the room of an agent, `position` where a
caller is. A caller whose agent has gone is taken back to the head of the queue.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from xmlrpc.client import ServerProxy

WAITING = "lobby"
ON_THE_WAY_S = 5.0
"""So long a caller who has been sent somewhere may still be seen where he was: his call has not come to the event yet."""


class Queue:
    """`rooms`: of the agents, the first one is preferred."""

    def __init__(self, server: ServerProxy, rooms: list[str], now_s: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._rooms = rooms
        self._now_s = now_s
        self._waiting: list[str] = []
        self._with: dict[str, str] = {}
        self._sent_s: dict[str, float] = {}
        """Call → when it was sent somewhere, as long as it may be on its way."""

    def look(self) -> list[tuple[str, str]]:
        """Bring callers and free agents together. Returns who was taken where."""
        self._sent_s = {call: sent_s for call, sent_s in self._sent_s.items() if self._now_s() < sent_s + ON_THE_WAY_S}
        self._take_back()
        here = [call for call in self._calls("position", WAITING) if call not in self._with.values()]
        self._waiting = [call for call in self._waiting if call in here or call in self._sent_s]
        self._waiting += [call for call in here if call not in self._waiting]
        taken = []
        for room in self._free():
            call = next((call for call in self._waiting if call in here), None)
            if call is None:
                break
            self._waiting.remove(call)
            if self._post(call, action="take", roomname=room):
                self._with[room] = call
                taken.append((call, room))
        return taken

    def _take_back(self) -> None:
        """Callers whose agent has hung up wait again, before all others."""
        for room, call in list(self._with.items()):
            if call in self._sent_s and call in self._calls("position", WAITING):
                continue
            if call not in self._calls("position", room):
                del self._with[room]
            elif not self._agents(room):
                del self._with[room]
                if self._post(call, action=WAITING):
                    self._waiting.insert(0, call)

    def _free(self) -> list[str]:
        return [room for room in self._rooms if room not in self._with and self._agents(room)]

    def _agents(self, room: str) -> list[str]:
        return self._calls("conf_id", room)

    def _calls(self, name: str, value: str) -> list[str]:
        found = self._server.di("monitoring", "listByFilter", [name, value])
        assert isinstance(found, list)
        active = self._server.di("monitoring", "listActive")
        assert isinstance(active, list)
        return [str(call) for call in found if call in active]

    def _post(self, call: str, **event: str) -> bool:
        """Post a DSM event; False when the call is no longer there."""
        answer = self._server.di("dsm", "postDSMEvent", call, [[name, value] for name, value in event.items()])
        there = isinstance(answer, list) and answer[0] == 200
        if there:
            self._sent_s[call] = self._now_s()
        return there


def main() -> None:
    """Until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="+")
    parser.add_argument("--server", default="http://127.0.0.1:8090")
    parser.add_argument("--every", type=float, default=0.5, metavar="SECONDS")
    options = parser.parse_args()
    queue = Queue(ServerProxy(options.server), options.rooms)
    while True:
        for call, room in queue.look():
            print(f"{call} goes to {room}", flush=True)
        time.sleep(options.every)


if __name__ == "__main__":
    main()
