# SPDX-License-Identifier: GPL-2.0-or-later
"""The media process: ``python -m media.io.process --fd N`` with a connected Unix stream socket to the hub as descriptor N.

One thread does all: it ticks every 20 ms and, between ticks, carries out commands, takes loaded files and sends events.
Commands never delay a tick by more than one command. When the hub is gone the process plays on for a grace time and then exits.
"""

from __future__ import annotations

import gc

if __name__ == "__main__":  # what is loaded stays; looking through it again and again is a tenth of a start (see `main`)
    gc.disable()

import contextlib
import fcntl
import logging
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from random import SystemRandom

from media import codecs
from media.codecs.codec import Codec
from media.control import log_lines, records, wire
from media.engine.engine import TICK_NS, Engine
from media.engine.options import EngineOptions
from media.engine.sources import StoredAudio
from media.engine.warm import warm
from media.io.arguments import parse_arguments
from media.io.hub_link import Command, HubLink
from media.io.loader import FileLoader, Loaded
from media.io.sockets import Sockets
from media.io.span_links import SpanLinks
from media.io.tick_times import TickTimes
from media.io.writer import DEFAULT_BACKLOG_BYTES, RecordingWriter

log = logging.getLogger("media")

MOST_BEHIND_NS = 1_000_000_000
"""A process that was stopped for longer does not make up for the ticks it missed."""

SLOW_TICKS = 10
"""Timeouts and latch windows are looked at every so many ticks."""

REPORT_TICKS = 250
"""A leg's RTCP reports are 5 s apart (RFC 3550 §6.2); the legs are spread over the ticks between."""

IDLE_TICKS = 10
"""Without a leg only each tenth tick is made: it costs a third of a millisecond with cold caches, 50 a second 1.6 % of a core."""

COLLECT_TICKS = 500
LONGEST_FLUSH_S = 5


class MediaProcess:
    """Engine, sockets, loader and hub link, driven by ``run``."""

    def __init__(
        self,
        link: socket.socket,
        options: EngineOptions,
        cache_bytes: int,
        grace_ms: int,
        span_descriptors: Mapping[int, int] | None = None,
        backlog_bytes: int = DEFAULT_BACKLOG_BYTES,
    ) -> None:
        self._hub = HubLink(link, self._hub_lost)
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._loader = FileLoader(self._wake, cache_bytes)
        self._writer = RecordingWriter(self._wake, backlog_bytes)
        self._sockets = Sockets(*(address.ip for address in options.addresses))
        self._engine = Engine(
            options,
            self._sockets.bind,
            self._sockets.unbind,
            SystemRandom(),
            time.time_ns() - time.monotonic_ns(),
            self._known,
        )
        self._span_links = SpanLinks(span_descriptors or {})
        self._grace_ns = grace_ms * 1_000_000
        self._ends_ns = 0
        self._times = TickTimes()
        self._stopping = False
        self._more_ns = 0
        self._awaited: list[tuple[str, Codec, Loaded]] = []
        """Files to be read that are just being finished."""

    def run(self) -> int:
        """Serve until Shutdown, or until the hub has been gone for the grace time. Returns the exit status."""
        self._hub.send(wire.Hello(wire.VERSION, "media", os.getpid()))
        self._hub.send(records.CodecsAvailable(codecs.formats()))
        next_ns = (time.monotonic_ns() // TICK_NS + 1) * TICK_NS  # all processes' ticks begin together: see media.engine.spans
        while not self._stopping:
            now_ns = time.monotonic_ns()
            due = now_ns >= next_ns
            if self._more_ns and (due or now_ns >= self._more_ns):
                self._send_more()
            if due:
                next_ns = self._tick(now_ns, next_ns)
                if self._engine.is_idle:
                    next_ns += (IDLE_TICKS - 1) * TICK_NS
            if self._hub.pending and next_ns - now_ns > TICK_NS:
                next_ns = self._wake_up(now_ns)
            while self._hub.pending:  # one at least also when ticks are behind: an overloaded process can still be steered
                self._handle(self._hub.pending.popleft(), now_ns)
                now_ns = time.monotonic_ns()
                if self._stopping or now_ns >= (self._more_ns or next_ns):
                    break
            self._request_files()
            self._send_events()  # before waiting: nobody else's command or tick is to bring an answer
            if due or not self._hub.pending:
                left_ns = 0 if self._hub.pending else min(next_ns, self._more_ns or next_ns) - time.monotonic_ns()
                self._wait(max(left_ns, 0) / 1e9)
            if self._ends_ns and now_ns >= self._ends_ns:
                log.error("the hub is gone: ending")
                break
        self._close()
        return 0

    def _wake_up(self, now_ns: int) -> int:
        """A command comes while ticks are far apart: what came for legs of the past is read before there are new ones."""
        self._sockets.read(self._engine, now_ns)
        return (now_ns // TICK_NS + 1) * TICK_NS

    def stop(self) -> None:
        """End ``run`` at its next turn; may be called from a signal handler."""
        self._stopping = True

    def _tick(self, now_ns: int, due_ns: int) -> int:
        late_ns = now_ns - due_ns
        self._times.begun(late_ns)
        if late_ns > MOST_BEHIND_NS:
            skipped = late_ns // TICK_NS
            self._times.skipped += skipped
            due_ns += skipped * TICK_NS
            log.warning("%d ticks skipped: the process had no CPU time for %d ms", skipped, late_ns // 1_000_000)
        begun_ns = time.thread_time_ns()
        self._sockets.read(self._engine, now_ns)
        self._span_links.read(self._engine.spans)
        read_ns = time.thread_time_ns()
        self._engine.tick(now_ns, due_ns // TICK_NS)
        rendered_ns = time.thread_time_ns()
        self._span_links.write(self._engine.span_datagrams)
        self._sockets.write(self._engine)
        self._times.done(begun_ns, read_ns, rendered_ns, time.thread_time_ns())
        self._more_ns = now_ns + TICK_NS // 2 if self._engine.has_more else 0
        self._sockets.exchange_reports(self._engine, now_ns, self._times.count % REPORT_TICKS, REPORT_TICKS)
        if self._times.count % SLOW_TICKS == 0:
            self._engine.check_timeouts(now_ns)
        if self._times.count % COLLECT_TICKS == 0:
            gc.collect(0)
        return due_ns + TICK_NS

    def _send_more(self) -> None:
        """Half a tick later: the packets of legs whose packets are shorter than a tick."""
        now_ns, self._more_ns = self._more_ns, 0
        while self._engine.tick_more(now_ns):
            self._sockets.write(self._engine)

    def _wait(self, seconds: float) -> None:
        link = self._hub.socket
        readers: list[int | socket.socket] = [self._wake_read, *([link] if link is not None else [])]
        writers = [link] if link is not None and self._hub.wants_to_write else []
        readable, writable, _ = select.select(readers, writers, [], seconds)
        if self._wake_read in readable:
            os.read(self._wake_read, 4096)
            self._loader.run_results()
            self._take_written()
        if link is not None and link in readable:
            self._hub.read()
        if writable:
            self._hub.write()

    def _take_written(self) -> None:
        for token, path, size_bytes, error in self._writer.results():
            self._loader.changed(path)
            self._engine.recorders.written(token, size_bytes, error)
        awaited, self._awaited = self._awaited, []
        for wanted in awaited:
            self._load(*wanted)

    # ----------------------------------------------------------------------------------------------------------- commands
    def _handle(self, record: Command, now_ns: int) -> None:
        try:
            self._dispatch(record, now_ns)
        except ValueError as error:
            log.warning("%s refused: %s", type(record).__name__, error)
        except Exception as error:
            log.exception("%s failed", type(record).__name__)
            if records.is_for_leg(record):
                self._engine.handle(records.CloseLeg(record.leg), now_ns)
                self._hub.send(records.LegDropped(record.leg, f"{type(record).__name__} failed: {error}"))

    def _dispatch(self, record: Command, now_ns: int) -> None:
        if records.is_for_leg(record):
            self._engine.handle(record, now_ns)
            return
        match record:
            case wire.Hello():
                if record.version != wire.VERSION:
                    log.error("the hub speaks version %d, this media process %d: ending", record.version, wire.VERSION)
                    self.stop()
            case records.Shutdown():
                self.stop()
            case records.LoadPrompt():
                self._load_prompt(record)
            case records.QueryStatistics(leg=0):
                counters = {**self._engine.statistics(), **self._statistics()}
                self._hub.send(records.Statistics(record.request, 0, counters))
            case _:
                self._engine.handle(record, now_ns)

    def _load_prompt(self, command: records.LoadPrompt) -> None:
        def done(audio: StoredAudio | None, error: str) -> None:
            self._hub.send(records.PromptLoaded(command.request, command.path, audio.length_ms if audio else 0, error))

        self._load(command.path, codecs.ALL[0], done)

    def _request_files(self) -> None:
        """Hand files to be read and blocks to be written to their threads."""
        work = self._engine.recorders.work
        if work:
            self._engine.recorders.work = []
            self._writer.add(work)
        for wanted in self._engine.take_wanted():
            self._load(wanted.path, wanted.codec, partial(self._engine.file_loaded, wanted.token))

    def _known(self, path: str, codec: Codec) -> StoredAudio | None:
        """Return the audio of a file that need not be waited for."""
        return None if self._writer.is_finishing(path) else self._loader.known(path, codec)

    def _load(self, path: str, codec: Codec, done: Loaded) -> None:
        """Have a file read; one whose recording is just over, when it is whole."""
        if self._writer.is_finishing(path):
            self._awaited.append((path, codec, done))
        else:
            self._loader.load_nowait(path, codec, done)

    def _statistics(self) -> dict[str, float]:
        return {
            **self._times.statistics(),
            "packets_send_refused": self._sockets.send_refused,
            "recording_waiting_bytes": self._writer.waiting_bytes,
            "span_unsent": self._span_links.unsent,
            "rtcp_sent": self._sockets.reports_sent,
        }

    # ----------------------------------------------------------------------------------------------------------- hub link
    def _send_events(self) -> None:
        for event in self._engine.take_events():
            self._hub.send(event)
        self._hub.write()

    def _hub_lost(self, reason: str) -> None:
        log.error("link to the hub lost (%s): ending in %d ms", reason, self._grace_ns // 1_000_000)
        self._ends_ns = time.monotonic_ns() + self._grace_ns

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it will wake anyway; closed: nobody to wake
            os.write(self._wake_write, b"x")

    def _close(self) -> None:
        self._awaited.clear()  # nobody will hear them
        self._loader.close()
        self._sockets.close()
        self._span_links.close()
        self._engine.end_recordings()
        self._writer.add(self._engine.recorders.work)
        self._writer.close(LONGEST_FLUSH_S)
        self._take_written()
        self._send_events()
        self._hub.close()


def raise_priority(nice: int) -> None:
    """Let a tick not wait for other programs; without the right to it, the process runs as any other.

    Where Linux groups processes by session (sched_autogroup_enabled) a nice value counts only within the session, and each session gets
    the same share: if this one is our own, as under the hub, it takes the value too (sched(7)).
    """
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(nice))


def main(arguments: list[str] | None = None) -> int:
    """Run a media process; returns its exit status."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    log_lines.name_process("media")
    log_lines.set_up("media", logging.getLevelNamesMapping()[options.log_level], options.log_format)
    low_fd = fcntl.fcntl(options.fd, fcntl.F_DUPFD_CLOEXEC, 3)  # select takes descriptors below 1024 only
    os.close(options.fd)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    warm()  # may have to compile: not ahead of everything else
    raise_priority(options.nice)
    process = MediaProcess(
        socket.socket(fileno=low_fd),
        EngineOptions(
            addresses=tuple(options.address),
            legs_per_port=options.legs_per_port,
            rest_ns=options.rest_ms * 1_000_000,
            latch_window_ns=options.latch_window_ms * 1_000_000,
            idle_ns=options.idle_ms * 1_000_000,
            kept_ports=options.kept_ports,
        ),
        options.prompt_cache_mb << 20,
        options.grace_ms,
        dict(options.span_link),
        options.recording_backlog_kb << 10,
    )
    signal.signal(signal.SIGTERM, lambda *_: process.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the hub ends us
    gc.collect()
    gc.freeze()
    gc.disable()
    return process.run()


if __name__ == "__main__":
    sys.exit(main())
