# SPDX-License-Identifier: GPL-2.0-or-later
"""Joins the parts: reads the configuration, starts SIP and media processes, loads plug-ins in order, runs, stops.

    settings → processes spawned → plug-ins → media up → SIP listens → plug-ins that open gateways → banner → …
    stop: no new calls → every call ends → plug-ins closed, last first → SIP and media processes leave → exit

Nothing below imports this module, and nothing here is global: `Hub` owns it all.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import inspect
import logging
import os
import resource
import signal
from collections.abc import Awaitable
from typing import Any

from di.access import Access
from di.calls.applications import Applications
from di.calls.events import SystemEvent
from di.calls.sessions import Sessions
from di.kernel.child import Child, ChildKind, StartFailed
from di.kernel.clock import LoopClock
from di.kernel.errors import ConfigError
from di.kernel.event_log import EventLog
from di.kernel.event_queues import EventQueues
from di.kernel.ports import MEDIA_FIGURES
from di.kernel.registry import Registry
from di.media_control import codecs
from di.media_control.processes import MediaProcesses
from di.server.core_interface import CoreInterface
from di.server.plugin import Closer
from di.server.rooms_interface import RoomsInterface
from di.server.services import Services
from di.server.settings import LoadedPlugin, Settings
from di.server.status import ProcessState, StatusInterface
from di.sip import records as sip_records
from media.control import records
from media.control.link import RecordLink

log = logging.getLogger(__name__)

SIGNATURE = "cordboard"
_LISTEN_TIMEOUT_S = 20.0


class Hub:
    """The hub process, from start to stop."""

    def __init__(self, settings: Settings) -> None:
        """Needs a running loop."""
        self.settings = settings
        clock = LoopClock()
        registry = Registry()
        self.services = Services(
            registry=registry,
            clock=clock,
            applications=Applications(),
            queues=EventQueues(),
            events=EventLog(epoch_s=clock.epoch_s, stream=f"{clock.random.getrandbits(64):016x}"),
            access=Access.load(settings.conf_dir, settings.environ, registry),
            core=settings.core,
            conf_dir=settings.conf_dir,
            environ=settings.environ,
        )
        self.sessions = self.services.sessions = Sessions(self.services, settings.selection, os.getpid())
        self._began_ns = clock.now_ns()
        self.services.registry.register("core", CoreInterface(self.sessions))
        self.services.registry.register("rooms", RoomsInterface(self.sessions))
        self.services.registry.register("status", StatusInterface(self.services, self.processes))
        self._closers: list[tuple[str, Closer]] = []
        self._listening: asyncio.Future[object] | None = None
        self.transports: tuple[tuple[str, str, int], ...] = ()
        self._idle = asyncio.Event()
        self._stop = asyncio.Event()
        self._signals = 0
        self.sip = Child(_sip_kind(), self._on_sip_record, self._sip_up, self.sessions.sip_lost)
        self.media = MediaProcesses(settings.core, self.sessions)
        self.services.capabilities.provide(MEDIA_FIGURES, self.media.figures)

    def processes(self) -> list[ProcessState]:
        """The hub and its children, as `status.processes` shows them."""
        uptime_s = (self.services.clock.now_ns() - self._began_ns) / 1e9
        media = self.media.children
        children: list[tuple[str, Child[sip_records.Command, sip_records.Event] | Child[records.Command, records.Event]]] = [
            ("sip", self.sip),
            *((f"media {place}" if len(media) > 1 else "media", child) for place, child in enumerate(media)),
        ]
        return [
            ProcessState("hub", os.getpid(), uptime_s),
            *(ProcessState(role, child.pid, child.uptime_s, child.restarts) for role, child in children),
        ]

    # ------------------------------------------------------------------------------------------------------------------ start
    async def start(self) -> None:
        """Bring everything up. Raises ConfigError or StartFailed; `stop` undoes what stands by then."""
        await self.media.spawn()
        await self.sip.spawn()
        gateways = [loaded for loaded in self.settings.plugins if loaded.plugin.listens_last]
        for loaded in self.settings.plugins:
            if loaded not in gateways:
                await self._start_plugin(loaded)
        await self.media.ready()
        await self.sip.ready()
        for loaded in gateways:
            await self._start_plugin(loaded)

    async def _start_plugin(self, loaded: LoadedPlugin) -> None:
        name = loaded.plugin.name
        closer: Any = loaded.plugin.start(self.services, loaded.options)
        if inspect.isawaitable(closer):
            closer = await closer
        self._closers.append((name, closer))
        self.services.loaded.append(name)
        log.info("plug-in %s is loaded", name)

    async def _sip_up(self, link: RecordLink[sip_records.Command, sip_records.Event]) -> None:
        core = self.settings.core
        formats = await self.media.formats()
        where = self.settings.source("exclude_payloads")
        choice = codecs.choose(formats, core.codec_order, core.exclude_payloads, *where)
        self._listening = asyncio.get_running_loop().create_future()
        link.send(
            sip_records.Listen(
                ip=core.sip_ip,
                port=core.sip_port,
                public_ip=core.public_ip,
                codecs=tuple(known.codec for known in choice.accepted),
                user_agent=SIGNATURE if core.use_default_signature or not core.signature else core.signature,
                tls_port=core.tls_port,
                tls_certificate=core.tls_certificate,
                tls_key=core.tls_key,
                max_calls=core.max_calls,
                reliable_provisional="disabled" if core.reliable_provisional == "off" else core.reliable_provisional,
                formats=choice.accepted,
                offered=tuple(known.codec for known in choice.offered),
                also=core.further_sip,
                limits=sip_records.Limits(
                    requests_a_second=core.sip_requests_per_second,
                    pending_calls=core.sip_pending_calls,
                    connections_an_address=core.sip_connections_per_address,
                    connections=core.sip_connections,
                    trusted=tuple(map(str, core.trusted_peers)),
                ),
            )
        )
        try:
            answer = await asyncio.wait_for(self._listening, _LISTEN_TIMEOUT_S)
        except TimeoutError:
            raise StartFailed(f"the SIP process did not listen within {_LISTEN_TIMEOUT_S:.0f} s") from None
        if isinstance(answer, sip_records.ListenFailed):
            file, line = self.settings.source("sip_port")
            raise ConfigError(file, line, "sip_port", answer.reason)
        assert isinstance(answer, sip_records.Listening)
        self.transports = answer.transports
        if answer.max_calls < core.max_calls:
            log.warning("the SIP process takes %d calls at most, not max_calls=%d", answer.max_calls, core.max_calls)
        self.sessions.sip_up(link)

    def _on_sip_record(self, record: sip_records.Event) -> None:
        if isinstance(record, (sip_records.Listening, sip_records.ListenFailed)):
            if self._listening is not None and not self._listening.done():
                self._listening.set_result(record)
            return
        self.sessions.on_sip_event(record)

    # -------------------------------------------------------------------------------------------------------------------- run
    async def run(self) -> None:
        """Serve until a signal or `request_stop`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.request_stop)
        loop.add_signal_handler(signal.SIGHUP, self._system, "shutdown")
        loop.add_signal_handler(signal.SIGUSR1, self._system, "user1")
        loop.add_signal_handler(signal.SIGUSR2, self._system, "user2")
        await self._stop.wait()

    def _system(self, kind: str) -> None:
        log.info("signal: %s is told to every event queue", kind)
        self.services.queues.broadcast(SystemEvent(kind))

    def request_stop(self) -> None:
        """Begin the orderly stop; a second request forces it."""
        self._signals += 1
        if self._signals == 1:
            log.warning("stopping: calls get a BYE; once more forces it")
            self._stop.set()
        else:
            log.error("stopped by force")
            self.sip.kill()
            self.media.kill()
            os._exit(1)

    # ------------------------------------------------------------------------------------------------------------------- stop
    async def stop(self) -> None:
        """End calls, plug-ins and processes; nothing is left running afterwards."""
        self.sessions.set_shutdown_mode(True)
        await self._end_calls()
        for name, closer in reversed(self._closers):
            await self._close(name, closer)
        self._closers.clear()
        await asyncio.gather(self.sip.stop(sip_records.Stop(1000), 3.0), self.media.stop(records.Shutdown(), 3.0))
        self.sessions.tasks.cancel_all()

    async def _end_calls(self) -> None:
        if not len(self.sessions) or not self.sessions.sip_is_up:
            return
        self.sessions.when_idle(self._idle.set)
        self.services.queues.broadcast(SystemEvent("shutdown"))
        limit_s = self.settings.core.max_shutdown_time or None
        try:
            await asyncio.wait_for(self._idle.wait(), limit_s)
        except TimeoutError:
            log.warning("%d calls did not end within %s s: they are cut off", len(self.sessions), limit_s)

    async def _close(self, name: str, closer: Closer) -> None:
        if closer is None:
            return
        try:
            outcome = closer()
            if isinstance(outcome, Awaitable):
                await asyncio.wait_for(outcome, 5.0)
        except Exception:
            log.exception("plug-in %s did not close cleanly", name)


def _sip_kind() -> ChildKind[sip_records.Event]:
    """The SIP process lives above `di`, so it is named here and never imported."""
    return ChildKind("sip", "interfaces.sip.process", (), sip_records.EVENTS)


async def serve(settings: Settings, announce: bool = True) -> None:
    """Start, say so, run until told to stop, stop. Raises ConfigError or StartFailed when the start fails."""
    _raise_file_limit()
    hub = Hub(settings)
    try:
        await hub.start()
        gc.collect()
        gc.freeze()  # what stands after the start stays: the collector need not look at it again
        if announce:
            print(banner(hub), flush=True)
        await hub.run()
    finally:
        await hub.stop()


def _raise_file_limit() -> None:
    """Open as many files as the system allows, as SEMS does (spec core.md §13); the children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def banner(hub: Hub) -> str:
    """Up to seven lines: where to call, where the panel and RPC are, what to try."""
    transports = sorted({f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for _, ip, port in hub.transports})
    place = transports[0] if transports else "?"
    loaded = hub.services.loaded
    applications = len(list(hub.services.applications.names()))
    urls = hub.services.urls
    xml, web, panel = (urls.get(name, "") for name in ("xmlrpc2di", "web", "panel"))
    return "\n".join(
        (
            f"cordboard is up: {len(loaded)} plug-ins, {applications} applications. Ctrl-C stops it.",
            f"  call      sip:announce@{place} · sip:room1@{place} · sip:echo@{place}",
            *((f"  panel     {panel}",) if panel else ()),
            f"  XML-RPC   {xml}" if xml else "  XML-RPC   (xmlrpc2di is not loaded)",
            f"  JSON-RPC  {web}jsonrpc" if web else "  JSON-RPC  (web is not loaded)",
            *((f"  try       python3 -c \"import xmlrpc.client as x; print(x.ServerProxy('{xml}').calls())\"",) if xml else ()),
            "  read      README.md, docs/",
        )
    )


def make_loop() -> asyncio.AbstractEventLoop:
    """uvloop's loop where it is installed, else asyncio's."""
    with contextlib.suppress(ImportError):
        loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
        return loop
    return asyncio.new_event_loop()
