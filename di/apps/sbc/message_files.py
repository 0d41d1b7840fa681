# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the messages of calls to capture files (msg_logger_path), in a thread, so that a slow disk holds up nobody."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

from di.apps.api import MessageSeen
from di.apps.sbc.message_pcap import HEADER_BYTES, capture, is_ours

log = logging.getLogger(__name__)
MOST_WAITING = 20_000
"""Messages that wait for a disk that does not take them; further ones are lost, which the log says."""


class MessageFiles:
    """`spawn` runs what waits."""

    def __init__(self, spawn: Callable[[Awaitable[None]], None]) -> None:
        self._spawn = spawn
        self._waiting: deque[tuple[Path, MessageSeen]] = deque()
        self._writing = False
        self._lost = 0

    def write(self, path: Path, message: MessageSeen) -> None:
        """Append a message, soon."""
        if len(self._waiting) >= MOST_WAITING:
            self._lost += 1
            return
        self._waiting.append((path, message))
        if not self._writing:
            self._writing = True
            self._spawn(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch: dict[Path, list[MessageSeen]] = {}
                while self._waiting:
                    path, message = self._waiting.popleft()
                    batch.setdefault(path, []).append(message)
                await asyncio.to_thread(append_all, batch)
        finally:
            self._writing = False
        if self._lost:
            log.error("sbc: %d SIP messages were not written: the disk was too slow", self._lost)
            self._lost = 0


def append_all(batch: dict[Path, list[MessageSeen]]) -> None:
    """Append to each file its messages. What cannot be written is said in the log; a caller's values may name a file that is something else."""
    for path, messages in batch.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+b") as file:
                file.seek(0)
                begin = file.read(HEADER_BYTES)
                if is_ours(begin):
                    file.write(capture(messages, with_header=not begin))
                else:
                    log.error(
                        "sbc: %d SIP messages are not written to %s: it is there already, and no such capture file",
                        len(messages),
                        path,
                    )
        except OSError as error:
            log.error("sbc: %d SIP messages cannot be written to %s: %s", len(messages), path, error.strerror or error)
