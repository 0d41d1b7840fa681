# SPDX-License-Identifier: GPL-2.0-or-later
"""The real SIP process with a small hub of the test's own at its other end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from di.sip.records import (
    EVENTS,
    Answer,
    CallConfirmed,
    CallOffered,
    Listen,
    Listening,
    RequestReceived,
    SendReply,
    SipHeld,
    Stop,
)
from media.control.link import RecordLink
from media.control.wire import VERSION, Hello
from tests.support.sip_peer import PeerCall, UdpPeer

R = TypeVar("R")
ROOT = Path(__file__).parents[2]


FAST_CLOCK = """
from interfaces.sip import process
process.Process._now_ns = lambda self: int(self._loop.time() * 30e9)
raise SystemExit(process.main())
"""
"""A program for `SipProcess.start` whose long timers (subscriptions, session intervals) run thirty times as fast."""


class ClockAhead:
    """The clock of a SIP process (`program` for `SipProcess.start`) that runs at its own pace, and jumps when a test says so.

    Nothing of long timers then hangs on how busy the machine is. The size of a file is how many seconds it is ahead.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "ahead"
        self._file.touch()
        self.program = f"""
import os, time
from interfaces.sip import process
process.Process._now_ns = lambda self: time.monotonic_ns() + os.stat({str(self._file)!r}).st_size * 1_000_000_000
raise SystemExit(process.main())
"""

    def jump(self, seconds: int) -> None:
        """So much later from now on; the process looks at it within a second."""
        os.truncate(self._file, self._file.stat().st_size + seconds)


class SipProcess:
    """Start with `await SipProcess.start(...)`. Keeps every event; `on_offer` answers calls, `reply_code` requests."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.held: list[object] = []
        """What is told once a second, whatever happens meanwhile."""
        self.on_offer: Callable[[CallOffered], None] = self.answer_all
        self.reply_code = 200
        self.lost = asyncio.Event()
        self._changed = asyncio.Event()
        self._next_media_port = 30000
        self._link: RecordLink
        self._process: subprocess.Popen[bytes]
        self._log_file = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process

    @classmethod
    async def start(cls, listen: Listen | None = None, program: str = "") -> SipProcess:
        """Spawn the process, connect, say Hello and Listen; waits for the answer to it.

        `program`: Python source to run instead of the process's main module; `sys.argv[2]` is the descriptor.
        """
        self = cls()
        ours, theirs = socket.socketpair()
        what = ["-c", program] if program else ["-m", "interfaces.sip.process"]
        command = [sys.executable, *what, "--fd", str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=ROOT, stderr=self._log_file)  # noqa: ASYNC220
        theirs.close()
        self._link = await RecordLink.open(ours, EVENTS, self._on_record, self.lost.set)
        self._link.send(Hello(VERSION, "hub", os.getpid()))
        self._link.send(listen or Listen("127.0.0.1", 0))
        await self.wait_until(lambda: len(self.events) > 0)
        return self

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return os.pread(self._log_file.fileno(), 1 << 20, 0).decode(errors="replace")

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def port(self) -> int:
        """The SIP port that was bound."""
        return self.of(Listening)[0].transports[0][2]

    def _on_record(self, record: object) -> None:
        if isinstance(record, Hello):
            return
        (self.held if isinstance(record, SipHeld) else self.events).append(record)
        self._changed.set()
        if isinstance(record, CallOffered):
            self.on_offer(record)
        elif isinstance(record, RequestReceived) and record.reply_wanted and self.reply_code:
            self.send(SendReply(record.call, record.token, self.reply_code))

    def answer_all(self, offer: CallOffered) -> None:
        """200 with a media port of its own a call."""
        self._next_media_port += 2
        self.send(Answer(offer.call, 200, "OK", (), "127.0.0.1", self._next_media_port))

    def send(self, record: object) -> None:
        """Send a command."""
        self._link.send(record)

    def of(self, kind: type[R], call: int | None = None) -> list[R]:
        """Events of a kind so far, of one call if given."""
        return [e for e in self.events if isinstance(e, kind) and (call is None or getattr(e, "call", None) == call)]

    async def wait_for(self, kind: type[R], count: int = 1, call: int | None = None) -> list[R]:
        """Wait until there are `count` events of a kind."""
        await self.wait_until(lambda: len(self.of(kind, call)) >= count)
        return self.of(kind, call)

    async def wait_until(self, reached: Callable[[], bool], patience_s: float = 40.0) -> None:
        """Wait for a condition on the events; fails the test with what has happened so far."""
        try:
            async with asyncio.timeout(patience_s):
                while not reached():
                    if self.lost.is_set():
                        raise AssertionError(f"the SIP process is gone: {self.events[-5:]}\n{self.log[-3000:]}")
                    self._changed.clear()
                    await asyncio.wait([asyncio.ensure_future(self._changed.wait())], timeout=0.2)
        except TimeoutError:
            raise AssertionError(f"did not happen; events: {self.events[-8:]}\n{self.log[-3000:]}") from None

    async def stop(self, grace_ms: int = 1000) -> int:
        """Stop it by its record; returns the exit status."""
        self.send(Stop(grace_ms))
        return await self.exited()

    async def exited(self) -> int:
        """Wait for its end; kills it when it does not come."""
        try:
            status = await asyncio.to_thread(self._process.wait, 30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._link.close()
        return status

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def hang_up_link(self) -> None:
        """Close the hub's end, as a dying hub does."""
        self._link.close()


async def connected(sip: SipProcess, peer: UdpPeer) -> PeerCall:
    """A call of the phone's that the process has answered."""
    call = peer.invite()
    assert await call.final() == 200
    call.ack()
    await sip.wait_for(CallConfirmed)
    return call
