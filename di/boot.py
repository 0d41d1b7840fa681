# SPDX-License-Identifier: GPL-2.0-or-later
"""Joins the parts: reads the configuration, starts SIP and media processes, loads plug-ins in order, runs, stops.

    settings → processes spawned → plug-ins → media up → SIP listens → plug-ins that open gateways → banner → …
    stop: no new calls → every call ends → plug-ins closed, last first → SIP and media processes leave → exit
    check-config: settings → plug-ins, told that it is a trial → plug-ins closed

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
import sys
from collections.abc import Awaitable, Coroutine
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
from di.kernel.options import where
from di.kernel.paths import configured
from di.kernel.ports import MEDIA_FIGURES
from di.kernel.registry import Registry
from di.media_control import codecs
from di.media_control.processes import MediaProcesses
from di.server import checks
from di.server.banner import banner
from di.server.core_interface import CoreInterface
from di.server.plugin import Closer
from di.server.reload import reload
from di.server.room_sounds import RoomSounds
from di.server.rooms_interface import RoomsInterface
from di.server.services import Services
from di.server.settings import LoadedPlugin, Settings
from di.server.status import ProcessState, StatusInterface
from di.sip import records as sip_records
from di.sip.session_timer_keys import SessionTimerOptions
from media.control import records
from media.control.link import RecordLink

log = logging.getLogger(__name__)

SIGNATURE = "cordboard"
_LISTEN_TIMEOUT_S = 20.0


class Hub:
    """The hub process, from start to stop."""

    def __init__(self, settings: Settings, *, trial: bool = False, try_ports: bool = False) -> None:
        """Needs a running loop. `trial`, `try_ports`: as in `Services`."""
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
            trial=trial,
            try_ports=try_ports,
        )
        self.sessions = self.services.sessions = Sessions(self.services, settings.selection, os.getpid())
        self.services.access.exposed = self.sessions.toll.exposed
        self._began_ns = clock.now_ns()
        self.services.registry.register("core", CoreInterface(self.sessions))
        self.services.registry.register("rooms", RoomsInterface(self.sessions, _room_sounds(settings)))
        self.services.registry.register("status", StatusInterface(self.services, self.processes))
        self._closers: list[tuple[str, Closer]] = []
        self._listening: asyncio.Future[object] | None = None
        self.transports: tuple[tuple[str, str, int], ...] = ()
        self._idle = asyncio.Event()
        self._stop = asyncio.Event()
        self._signals = 0
        self._up = False
        self.sip = Child(
            _sip_kind(),
            self._on_sip_record,
            self._sip_up,
            self._sip_lost,
            self._sip_silent,
            settings.core.watchdog_time,
            clock.turn,
        )
        self.media = MediaProcesses(settings.core, self.sessions, clock.turn)
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
        for question in checks.place(self.settings):
            question()
        await self.media.spawn()
        await self.sip.spawn()
        for loaded in self._plugins(listening=False):
            await self._start_plugin(loaded)
        for work in self.services.when_loaded:
            outcome = work()
            if outcome is not None:
                await outcome
        await self.media.ready()
        await self.sip.ready()
        for loaded in self._plugins(listening=True):
            await self._start_plugin(loaded)
        for error in self._unknown_applications():
            log.warning("%s", error)
        if self.sessions.toll.exposed and not self.settings.core.dialout_limit:
            log.info(
                "calls out are off: %s can be reached from elsewhere; dialout_limit in sems.conf allows them",
                self.sessions.toll.exposed[0],
            )

    async def try_out(self) -> list[ConfigError]:
        """Do all of the start that needs no other process and leaves nothing behind. Returns what stands against it."""
        errors: list[ConfigError] = []
        ports = checks.ports(self.settings) if self.services.try_ports else ()
        for question in (*checks.place(self.settings), *ports):
            try:
                question()
            except ConfigError as error:
                errors.append(error)
        missing = await self._try_plugins(listening=False)
        errors += missing
        if not missing:  # else what follows would complain of the same
            errors += await self._try_plugins(listening=True)
            errors += self._unknown_applications()
        await self._close_plugins()
        self.sessions.tasks.cancel_all()
        return errors

    async def _try_plugins(self, *, listening: bool) -> list[ConfigError]:
        errors = []
        for loaded in self._plugins(listening=listening):
            try:
                await self._start_plugin(loaded)
            except ConfigError as error:
                errors.append(error)
        return errors

    def _plugins(self, *, listening: bool) -> list[LoadedPlugin]:
        return [loaded for loaded in self.settings.plugins if loaded.plugin.listens_last is listening]

    def _unknown_applications(self) -> list[ConfigError]:
        return list(checks.applications(self.settings, list(self.services.applications.names())))

    async def _start_plugin(self, loaded: LoadedPlugin) -> None:
        """Raises ConfigError, also for what a plug-in did not foresee."""
        name = loaded.plugin.name
        timer = loaded.options.session_timer() if isinstance(loaded.options, SessionTimerOptions) else None
        before = set(self.services.applications.names())
        try:
            closer: Any = loaded.plugin.start(self.services, loaded.options)
            if inspect.isawaitable(closer):
                closer = await closer
        except ConfigError:
            raise
        except Exception as error:
            log.debug("plug-in %s", name, exc_info=True)
            hint = f"{name} cannot start: {type(error).__name__}: {error}"
            raise ConfigError(*self.settings.source("load_plugins"), "load_plugins", hint) from error
        if timer is not None:
            self.services.applications.timers |= dict.fromkeys(set(self.services.applications.names()) - before, timer)
        self._closers.append((name, closer))
        self.services.loaded.append(name)
        log.info("plug-in %s is loaded", name)

    def _sip_silent(self, why: str) -> None:
        self.sessions.process_silent("sip", why)

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
                tls_authorities=core.tls_ca_file,
                tls_clients=core.tls_client_certificate,
                tls_verify_servers=core.tls_verify_server,
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
                    trusted_requests_a_second=core.sip_trusted_requests_per_second,
                    trusted_pending_calls=core.sip_trusted_pending_calls,
                    allowed=tuple(map(str, core.sip_acl_allow)),
                    denied=tuple(map(str, core.sip_acl_deny)),
                ),
                accept_forked=core.accept_forked_dialogs,
                timers=tuple(self.services.applications.timers.items()),
                selection=self.sessions.arrivals.selection.setting,
                mapping=self.sessions.arrivals.selection.lines(),
                nat_handling=core.sip_nat_handling,
                srtp=sip_records.SrtpPolicy(
                    core.srtp, core.srtp_dialled or core.srtp, core.srtp_interfaces, core.srtp_suites, core.srtp_without_tls
                ),
            )
        )
        try:
            answer = await asyncio.wait_for(self._listening, _LISTEN_TIMEOUT_S)
        except TimeoutError:
            raise StartFailed(f"the SIP process did not listen within {_LISTEN_TIMEOUT_S:.0f} s") from None
        if isinstance(answer, sip_records.ListenFailed):
            field = "reliable_provisional" if answer.key == "100rel" else answer.key
            raise ConfigError(*self.settings.source(field), answer.key, answer.reason)
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
        if isinstance(record, sip_records.SipHeld):
            self.services.sip_held = record
            return
        self.sessions.on_sip_event(record)

    def _sip_lost(self, reason: str) -> None:
        self.services.sip_held = sip_records.SipHeld()
        self.sessions.sip_lost(reason)

    # -------------------------------------------------------------------------------------------------------------------- run
    def listen_to_signals(self) -> None:
        """From now on signals are the hub's business, also while it starts."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.request_stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        loop.add_signal_handler(signal.SIGUSR1, self._system, "user1")
        loop.add_signal_handler(signal.SIGUSR2, self._system, "user2")

    async def run(self) -> None:
        """Serve until a signal or `request_stop`."""
        self._up = True
        await self._stop.wait()

    async def unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do something, but not beyond `request_stop`. False: it was cut short. Raises what the work raises."""
        doing, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not doing.done():
            doing.cancel()
            await asyncio.wait((doing,))
            return False
        doing.result()
        return True

    def _reload(self) -> None:
        if self._up:
            self.sessions.spawn(reload(self.settings, self.services))

    def _system(self, kind: str) -> None:
        log.info("signal: %s is told to every event queue", kind)
        self.services.queues.broadcast(SystemEvent(kind))

    def request_stop(self) -> None:
        """Begin the orderly stop; a second request forces it."""
        self._signals += 1
        if self._signals == 1:
            log.warning("stopping: calls get a BYE; once more forces it" if self._up else "stopping before the start is complete")
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
        self.sessions.end_lines.flush()
        await self._close_plugins()
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

    async def _close_plugins(self) -> None:
        for name, closer in reversed(self._closers):
            await self._close(name, closer)
        self._closers.clear()

    async def _close(self, name: str, closer: Closer) -> None:
        if closer is None:
            return
        try:
            outcome = closer()
            if isinstance(outcome, Awaitable):
                await asyncio.wait_for(outcome, 5.0)
        except Exception:
            log.exception("plug-in %s did not close cleanly", name)


def _room_sounds(settings: Settings) -> RoomSounds:
    """Folders of what may be played to rooms; a missing one has no sounds, and is said if it was asked for."""
    folders = [configured(name, settings.conf_dir) for name in settings.core.room_sounds]
    asked_for = where(settings.core, "room_sounds")[1] > 0
    for folder in folders:
        if asked_for and not folder.is_dir():
            log.warning("room_sounds: there is no folder %s", folder)
    return RoomSounds(folders)


def _sip_kind() -> ChildKind[sip_records.Event]:
    """The SIP process lives above `di`, so it is named here and never imported."""
    return ChildKind("sip", "interfaces.sip.process", (), sip_records.EVENTS)


async def serve(settings: Settings, announce: bool = True) -> None:
    """Start, say so, run until told to stop, stop. Raises ConfigError or StartFailed when the start fails."""
    _raise_file_limit()
    hub = Hub(settings)
    hub.listen_to_signals()
    try:
        if not await hub.unless_stopped(hub.start()):
            return
        gc.collect()
        gc.freeze()  # what stands after the start stays: the collector need not look at it again
        gc.enable()
        if announce:
            print(banner(hub.settings, hub.services, hub.transports), flush=True)
        await hub.run()
    finally:
        await hub.stop()


async def try_out(settings: Settings, ports: bool = False) -> list[ConfigError]:
    """What `serve` would say against a configuration; with `ports` also of ports that are taken. Leaves nothing behind."""
    return await Hub(settings, trial=True, try_ports=ports).try_out()


def _raise_file_limit() -> None:
    """Open as many files as the system allows, as SEMS does (spec core.md §13); the children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def make_loop() -> asyncio.AbstractEventLoop:
    """uvloop's loop where it is installed, else asyncio's; a thread that works beside it gives way within half a millisecond."""
    sys.setswitchinterval(0.0005)
    with contextlib.suppress(ImportError):
        loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
        return loop
    return asyncio.new_event_loop()
