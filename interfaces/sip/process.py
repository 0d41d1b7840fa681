# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m interfaces.sip.process --fd N`: the SIP process. N is a connected Unix stream socket, the hub at its other end.

One thread: asyncio waits for the hub's socket, for pjsip's epoll descriptor (or looks at it from time to time, where much comes: `polling`),
and until the next of pjsip's own timers is due.
The hub's end of the socket closing, SIGTERM and the record Stop all mean the same: BYE to every call, wait for the answers a
while, exit.
"""

from __future__ import annotations

import gc

if __name__ == "__main__":  # what is loaded stays; looking through it again and again is 5 % of a start (see `_listen`)
    gc.disable()

import argparse
import asyncio
import faulthandler
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import uvloop

from di.sip.records import COMMANDS, Command, Event, Listen, ListenFailed, Stop
from media.control import log_lines
from media.control.link import RecordLink
from media.control.wire import VERSION, Hello

try:
    from interfaces.sip.endpoint import ListenError
    from interfaces.sip.native import readiness_descriptor
    from interfaces.sip.polling import Polling
    from interfaces.sip.server import SipServer
except ImportError as error:  # the SIP stack, which set-up builds
    sys.exit(f"the SIP process cannot start: {error}")

log = logging.getLogger(__name__)

_FINEST_S, _LONGEST_S = 0.01, 1.0
"""How often pjsip's timers (retransmission 500 ms and longer) get their turn at most, and how often at least."""
_STUCK_S = 20.0
"""A loop that has not turned for this long writes its stack to standard error."""
_COLLECTION_S = 10.0
_LOST_GRACE_MS = 2000
_HUB_SILENT_S = 2
_RESOLVER_THREADS = 16


class Process:
    """Joins hub link, pjsip and loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._link: RecordLink[Event, Command] | None = None
        self._server: SipServer | None = None
        self._finished: asyncio.Future[int] = loop.create_future()
        self._stopping = False
        self._deadline_s = 0.0
        self._wake: asyncio.Handle | None = None
        self._wake_due_s = 0.0
        self._next_second_s = self._next_collection_s = 0.0
        self._descriptor = -1
        self._watched = False
        self._polling = Polling()
        self._out: list[Event] = []
        self._asked = self._unasked_s = 0
        self._turn_due = self._readable = False
        self._look_ups: set[asyncio.Task[None]] = set()
        self._resolver = ThreadPoolExecutor(_RESOLVER_THREADS, "names")  # its own, for the loop's is waited for at the end

    async def run(self, sock: socket.socket) -> int:
        """Serve until the end. Returns the exit status."""
        self._link = RecordLink(COMMANDS, self._on_record, lambda: self._stop(_LOST_GRACE_MS, "the hub is gone"))
        await self._link.attach(sock)
        self._link.send(Hello(VERSION, "sip", os.getpid()))
        self._loop.add_signal_handler(signal.SIGTERM, self._stop, _LOST_GRACE_MS, "SIGTERM")
        self._loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C reaches the whole group: the hub decides
        status = await self._finished
        if self._server is not None:
            self._pump()
        self._link.close()
        await asyncio.sleep(0)
        return status

    def _on_record(self, record: Command | Hello) -> None:
        if isinstance(record, Hello):
            if record.version != VERSION:
                log.error("hub speaks version %d, this is %d: install hub and SIP process together", record.version, VERSION)
                self._finish(1)
        elif isinstance(record, Listen):
            self._listen(record)
        elif isinstance(record, Stop):
            self._stop(record.grace_ms, "the hub says so")
        elif self._server is None:
            log.warning("%s before Listen is not carried out", type(record).__name__)
        else:
            self._server.handle(record)
            self._turn_soon()

    def _can_be_read(self) -> None:
        """pjsip's descriptor has something."""
        self._readable = True
        self._turn_soon()

    def _turn_soon(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """All that came at this time has been taken: pjsip works. While it rests, commands are no reason to look at what else has come."""
        self._turn_due = False
        readable, self._readable = self._readable, False
        if readable:
            self._look()
        else:
            self._pump(look=not self._polling.rests)

    def _look(self) -> None:
        """Let pjsip take what has come; then wait for more or, where much comes, look again after a while."""
        begun_ns = self._now_ns()
        pause_ns = self._polling.pause_ns(self._pump(), begun_ns, self._now_ns())
        watched, self._watched = self._watched, not pause_ns
        if watched and pause_ns:
            self._loop.remove_reader(self._descriptor)
        elif self._watched and not watched:
            self._loop.add_reader(self._descriptor, self._can_be_read)
        if pause_ns:
            self._wake_in(pause_ns / 1e9)

    def _listen(self, listen: Listen) -> None:
        assert self._link is not None
        if self._server is not None:
            log.warning("a second Listen is not carried out: restart the SIP process instead")
            return
        server = SipServer(self._out.append, self._now_ns, self._look_up, lambda: time.time_ns() // 1000)
        try:
            listening = server.start(listen)
        except (ListenError, OSError) as error:
            log.error("%s", error)
            self._link.send(ListenFailed(str(error), getattr(error, "key", "sip_port")))
            self._finish(1)
            return
        self._server = server
        self._descriptor = readiness_descriptor(server.endpoint.library.libGetSipIoqueueHandle())
        self._link.send(listening)
        gc.collect()
        gc.freeze()
        gc.disable()  # a cycle that holds a pjsua2 object must not be collected inside a callback: `_tick` collects
        self._tick()

    def _look_up(self, name: str) -> None:
        task = self._loop.create_task(self._looked_up(name))
        self._look_ups.add(task)
        task.add_done_callback(self._look_ups.discard)

    async def _looked_up(self, name: str) -> None:
        """Ask the system, in a thread, for a host's addresses."""
        assert self._server is not None
        addresses: list[str] = []
        try:
            ask = partial(socket.getaddrinfo, name, None, type=socket.SOCK_DGRAM)
            found = await self._loop.run_in_executor(self._resolver, ask)
            addresses = [str(address[0]) for *_, address in sorted(found, key=lambda one: one[0] != socket.AF_INET)]
        except (OSError, UnicodeError) as error:
            log.debug("%s: %s", name, error)
        self._server.names.found(name, tuple(dict.fromkeys(addresses)))
        self._pump()

    def _now_ns(self) -> int:
        return time.monotonic_ns()  # the loop's time stands still during a turn

    def _pump(self, look: bool = True) -> int:
        """Let pjsip work; what it reported goes to the hub in one write. Returns how much it handled.

        `look`: at what has come, and at its timers. If not, what is reported goes with the next look's: the hub has just said it itself.
        """
        assert self._server is not None and self._link is not None
        handled = 0
        try:
            handled = self._server.poll(look)
        except Exception:
            log.exception("a turn of pjsip failed")  # the next one comes all the same
        if self._out and look:
            self._link.send_all(self._out)
            self._out.clear()
        idle_s = self._server.idle_s(_FINEST_S, _LONGEST_S) if self._watched else _FINEST_S
        self._wake_in(min(idle_s, max(self._next_second_s - time.monotonic(), _FINEST_S)))
        return handled

    def _wake_in(self, seconds: float) -> None:
        """Have `_tick` run at the latest then; one that is due earlier stays."""
        due_s = time.monotonic() + seconds
        if self._wake is not None:
            if self._wake_due_s <= due_s:
                return
            self._wake.cancel()
        self._wake, self._wake_due_s = self._loop.call_later(seconds, self._tick), due_s

    def _tick(self) -> None:
        """A timer of pjsip's is due, or a second has passed."""
        assert self._server is not None
        self._wake = None
        now_s = time.monotonic()
        second_passed = now_s >= self._next_second_s
        if second_passed:
            self._next_second_s = now_s + 1
        if self._watched or self._descriptor < 0:
            self._pump()
        else:
            self._look()
        if second_passed:
            self._server.second_passed()
            self._look_at_hub()
            faulthandler.dump_traceback_later(_STUCK_S)
        if now_s >= self._next_collection_s:
            self._next_collection_s = now_s + _COLLECTION_S
            gc.collect(1)
        if self._stopping:
            if not self._server.busy() or now_s > self._deadline_s:
                self._finish(0)
                return
            self._wake_in(_FINEST_S)

    def _look_at_hub(self) -> None:
        """A hub that has asked twice a second whether we are there, and asks no more, answers no INVITE either."""
        assert self._server is not None and self._link is not None
        asked, self._asked = self._link.asked - self._asked, self._link.asked
        self._unasked_s = 0 if asked else self._unasked_s + 1
        silent = self._asked > 0 and self._unasked_s > _HUB_SILENT_S
        if silent is not self._server.hub_silent:
            self._server.hub_silent = silent
            if silent:
                log.error("the hub has been silent for %d s: new calls are refused with 503", self._unasked_s)
            else:
                log.warning("the hub is there again")

    def _stop(self, grace_ms: int, why: str) -> None:
        if self._stopping:
            return
        log.info("stopping: %s", why)
        self._stopping = True
        self._deadline_s = time.monotonic() + max(grace_ms, 0) / 1000
        if self._server is None:
            self._finish(0)
            return
        self._server.hang_up_all()
        self._pump()
        self._wake_in(_FINEST_S)

    def _finish(self, status: int) -> None:
        if not self._finished.done():
            self._finished.set_result(status)


async def serve(sock: socket.socket) -> int:
    """Run the process on a connected socket."""
    return await Process(asyncio.get_running_loop()).run(sock)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the process."""
    parser = argparse.ArgumentParser(prog="python -m interfaces.sip.process", description="cordboard's SIP process")
    parser.add_argument("--fd", type=int, required=True, help="connected Unix stream socket to the hub")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    parser.add_argument("--log-format", default="text", choices=log_lines.STYLES)
    options = parser.parse_args(arguments)
    log_lines.name_process("sip")
    log_lines.set_up("sip", logging.getLevelNamesMapping()[options.log_level], options.log_format)
    faulthandler.enable()
    try:
        sock = socket.socket(fileno=options.fd)
    except OSError as error:
        parser.error(f"--fd {options.fd}: {error.strerror}: it must be an open socket that the hub has connected")
    return uvloop.run(serve(sock))


if __name__ == "__main__":
    exit_status = main()
    logging.shutdown()
    sys.stderr.flush()
    os._exit(exit_status)  # pjsua2's destructors wait a second and have nothing left to do
