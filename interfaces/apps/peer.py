# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs the calls of an application, wherever it stands: whether it is there, what it sends, what it is sent.

hello ─► ready, or broken ─► calls …     no pong for `silent_after` ─► no new calls     for `kill_after` ─► it is ended
                                         it ends ─► `on_gone` with the cause, once
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeAlias

import msgpack

log = logging.getLogger(__name__)
Message: TypeAlias = "dict[str, object]"
LONGEST = 4 << 20
"""Bytes of a message of a program."""
MOST_UNREAD = 16 << 20
"""Bytes that may wait for a program that does not read: it is ended before there are more."""
LONGEST_ANSWER = 8 << 20
"""Bytes of what a function of the server gives it."""
SETUP_S = 120.0
"""From hello to ready."""
_TURN = 40
"""Messages of one program that are handled before the loop's other work has its turn: some 3 ms with what they lead to."""
MOST_PER_S = 5000
"""Messages of one program in a second: what comes above waits for the next, so that a mad one has a part of the hub and not the whole."""
_WARN_S = 10.0


def pack(message: Message) -> bytes:
    """A message as bytes."""
    return bytes(msgpack.packb(message, use_bin_type=True, unicode_errors="surrogateescape"))


class AppPeer:
    """`name`, `generation`, `number` name it in the log; `take` gets its messages, `on_gone` why it ended."""

    exclusive = False
    """Whether it gets every new call while it is there."""
    leaving = False
    """Whether it wants no new ones."""
    where = ""
    """From where it came, and as whom; empty for a process of the server."""
    source_ip = ""
    """The address that it came from; likewise."""

    def __init__(
        self,
        name: str,
        generation: int,
        number: int,
        take: Callable[[AppPeer, Message], None],
        on_gone: Callable[[AppPeer, str], None],
    ) -> None:
        self.name, self.generation, self.number = name, generation, number
        self.calls: set[str] = set()
        self.about: Message = {}
        """What it is told of the server when it is greeted."""
        self.legs: set[str] = set()
        """Second legs of its calls, which it steers too."""
        self.max_calls = 0
        """Calls at once; 0: as many as the configuration says."""
        self.ready = False
        self.silent = False
        self.why_broken = ""
        self.take, self._on_gone = take, on_gone
        self._settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unanswered = 0
        """Questions since its last answer."""
        self._second_s, self._count, self._warned_s = 0.0, 0, -_WARN_S
        self._unpacker = msgpack.Unpacker(
            raw=False, strict_map_key=True, max_buffer_size=LONGEST, unicode_errors="surrogateescape"
        )

    @property
    def pid(self) -> int:
        """Process id; 0 when it is not there, or elsewhere."""
        return 0

    @property
    def there(self) -> bool:
        """Whether it can be asked."""
        return True

    def able(self, max_calls: int) -> bool:
        """Whether it may get one more call."""
        most = min(max_calls, self.max_calls or max_calls)
        return self.ready and not self.silent and not self.leaving and len(self.calls) < most

    # --------------------------------------------------------------------------------------------------------------- talk
    def send(self, message: Message) -> None:
        """Queue a message; without effect when it has ended. One that reads nothing any more is ended before it fills the memory."""
        self._send(pack(message))

    def answer(self, message: Message) -> None:
        """Send what a function gave, or that it is too long. Raises TypeError, ValueError or OverflowError for what cannot be told."""
        data = pack(message)
        if len(data) > LONGEST_ANSWER:
            data = pack({**message, "result": None, "error": f"the answer has {len(data)} bytes; the most is {LONGEST_ANSWER}"})
        self._send(data)

    def _send(self, data: bytes) -> None:
        if self._unread_bytes() > MOST_UNREAD:
            self.kill("it reads nothing any more")
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        raise NotImplementedError

    def _unread_bytes(self) -> int:
        raise NotImplementedError

    def kill(self, why: str) -> None:
        """End it at once; the log has the cause."""
        raise NotImplementedError

    async def stop(self) -> None:
        """End it in peace."""
        raise NotImplementedError

    async def _feed(self, data: bytes) -> bool:
        """Handle what it sent; false when that was no message, and it is ended."""
        try:
            self._unpacker.feed(data)
            for message in self._unpacker:
                self._got(message)
                self._count += 1
                if self._count % _TURN == 0:
                    await self._give_way()
        except (ValueError, RecursionError, msgpack.UnpackException, msgpack.BufferFull) as error:
            self.kill(f"it sends what is no message ({type(error).__name__}: {str(error)[:200]})")
            return False
        return True

    async def _give_way(self) -> None:
        now_s = time.monotonic()
        if now_s - self._second_s >= 1:
            self._second_s, self._count = now_s, 0
        if self._count < MOST_PER_S:
            await asyncio.sleep(0)
            return
        if now_s - self._warned_s > _WARN_S:
            self._warned_s = now_s
            log.warning("%s sends more than %d messages a second: they wait", self, MOST_PER_S)
        await asyncio.sleep(self._second_s + 1 - now_s)

    def _got(self, message: object) -> None:
        if not isinstance(message, dict) or not isinstance(message.get("k"), str):
            raise ValueError("no map with a word k")
        kind = message["k"]
        if kind == "pong":
            self._unanswered = 0
            if self.silent:
                self.silent = False
                log.warning("%s answers again", self)
        elif kind in ("ready", "broken"):
            self.ready = kind == "ready"
            self.why_broken = str(message.get("why", ""))[:2000]
            self._introduced(message)
            self._settle()
            if self.ready:
                self.send({"k": "ping", "n": 0})  # so that it knows that we know
        elif kind == "leave":
            self.leaving = True
        else:
            self.take(self, message)

    def _introduced(self, message: Message) -> None:
        """It has said whether it is ready, and what it has."""
        self.take(self, message)

    def _settle(self) -> None:
        if not self._settled.done():
            self._settled.set_result(None)

    def _end(self, why: str) -> None:
        """It has ended: empty when that was wanted."""
        self.ready = False
        self.why_broken = self.why_broken or why
        self._settle()
        self._on_gone(self, why)

    # --------------------------------------------------------------------------------------------------------------- watch
    def look(self, silent_after: int, kill_after: int) -> None:
        """Ask whether it is there; called each second. What counts is how often it has not answered: a hub that stood still proves nothing."""
        if not self.there or not self.ready:
            return
        if self._unanswered > kill_after:
            self.kill(f"it has not answered for {self._unanswered} s")
            return
        if self._unanswered > silent_after and not self.silent:
            self.silent = True
            log.error("%s has not answered for %d s: new calls go elsewhere%s", self, self._unanswered, self._where_it_stands())
        self._unanswered += 1
        self.send({"k": "ping", "n": 0})

    def _where_it_stands(self) -> str:
        """Have it shown where it stands, where that can be; what the line about its silence says of it."""
        return ""
