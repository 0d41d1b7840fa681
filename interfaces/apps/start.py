# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and stop of Python applications: a fleet for each file, its calls, its functions."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from di.kernel.config import ConfigFile
from di.kernel.errors import ConfigError
from di.kernel.options import load
from di.spoken.options import Options as PromptOptions
from interfaces.apps.bridged_call import BridgedCall, Means
from interfaces.apps.door import RemoteDoor
from interfaces.apps.files import Reach
from interfaces.apps.fleet import AppFile, Fleet
from interfaces.apps.functions import AppFunctions
from interfaces.apps.interface import Apps
from interfaces.apps.operations import OPERATIONS
from interfaces.apps.options import Options
from interfaces.apps.orphans import Orphans
from interfaces.apps.peer import AppPeer
from interfaces.apps.remote import Refusal
from interfaces.apps.requests import ProgramRequests
from interfaces.apps.speaker import Speaker
from interfaces.program_door import PROGRAM_DOOR

if TYPE_CHECKING:
    from di.calls.session import Session
    from di.server.plugin import Closer
    from di.server.services import Services

log = logging.getLogger(__name__)
_MOST_NAMES = 200
"""Applications; programs that come in may name new ones."""


async def start(services: Services, options: Options) -> Closer:
    """Start a generation of each application. Raises ConfigError for a file that is missing or cannot be imported."""
    gateway = AppGateway(services, options)
    try:
        await gateway.open()
    except BaseException:
        await gateway.close()
        raise
    return gateway.close


class AppGateway:
    """What runs while the plug-in is loaded."""

    def __init__(self, services: Services, options: Options, name: str = "apps", skip_broken: bool = False) -> None:
        """`name`: of its configuration and of its DI module. `skip_broken`: a file that cannot be run costs itself only."""
        self._name, self._skip_broken = name, skip_broken
        self._services = services
        self._options = options
        self._fleets: dict[str, Fleet] = {}
        self._beginning: dict[str, Fleet] = {}
        """Applications whose first generation is being started."""
        self._functions = AppFunctions(services.registry, lambda name: self._fleets[name].choose())
        self._requests = ProgramRequests(services.sessions, services.registry, self._functions)
        self._orphans = Orphans(services.sessions, services.applications, options.on_crash)
        self._registered = False
        self._speaker = Speaker(_prompt_options(services.conf_dir))
        self._ticker: asyncio.Task[None] | None = None
        self._close_door: Callable[[], None] | None = None

    async def open(self) -> None:
        """Raises ConfigError."""
        services, file = self._services, str(self._services.conf_dir / f"{self._name}.conf")
        for name in self._names():
            path = self._options.script_path / f"{name}.py"
            if not path.is_file():
                raise ConfigError(file, 0, "apps", f"{path} is missing")
            if services.applications.find(name) is not None:
                raise ConfigError(file, 0, "apps", f"there is an application {name!r} already: rename {path}")
            if services.trial:
                _compiles(path, file)
                continue
            why = await self._first(name, path)
            if why and not self._skip_broken:
                raise ConfigError(file, 0, "apps", f"{path} cannot be run: {why}")
            if why:
                log.error("%s cannot be run and is left out: %s", path, why)
        if services.trial:
            return
        self._open_door(file)
        services.registry.register(self._name, Apps(self._fleets, self.new_files, self.reload))
        self._registered = True
        self._ticker = asyncio.get_running_loop().create_task(self._look(), name="apps")

    def _names(self) -> tuple[str, ...]:
        """Which applications the configuration means, as the folder is now."""
        return self._options.apps or tuple(
            sorted(
                path.stem
                for path in self._options.script_path.glob("*.py")
                if path.stem.isidentifier() and not path.stem.startswith("test_") and path.stem != "conftest"
            )
        )

    def new_files(self) -> list[str]:
        """Applications whose files have come since: their names."""
        found = []
        for name in self._names():
            fleet = self._fleets.get(name)
            if (fleet is None or fleet.app.file is None) and (self._options.script_path / f"{name}.py").is_file():
                found.append(name)
        return found

    async def reload(self, name: str) -> str:
        """Start a generation, of a new file the first. Empty when it is in service, else why it is not. Raises KeyError: no such file."""
        path = self._options.script_path / f"{name}.py"
        if name not in self.new_files():
            return await self._fleets[name].start()
        fleet = self._fleets.get(name)
        if fleet is not None:  # so far its programs ran elsewhere only
            before, fleet.app = fleet.app, self._app(name, path)
            why = await fleet.start()
            if why and not fleet.has_processes:
                fleet.app = before
            return why
        if name in self._beginning or self._services.applications.find(name) is not None:
            return f"there is an application {name} already, or it is being started: else rename {path}"
        return await self._first(name, path)

    async def _first(self, name: str, path: Path) -> str:
        """Start the first generation of an application. Empty when it is in service, else why it is not, and there is none."""
        fleet = self._beginning[name] = Fleet(self._app(name, path), self._options, self._requests.take, self._lost)
        try:
            why = await fleet.start()
            if not why:
                self._fleets[name] = fleet
                self._services.applications.register(name, lambda session: self._begin(session, fleet))
            return why
        finally:
            self._beginning.pop(name, None)

    def _lost(self, process: AppPeer, calls: set[str], why: str) -> None:
        """A process has ended; those whose calls it had, or who have asked it something, hear of it."""
        self._functions.gone(process, why)
        self._orphans.take(calls, f"application {process.name}: its process {why}")

    def _open_door(self, file: str) -> None:
        """Let programs from elsewhere in. Raises ConfigError for a name that cannot be theirs."""
        remote = self._options.remote
        if not remote or self._name != "apps":
            return
        for name in remote:
            try:
                if name != "*":
                    self._fleet_for(name)
            except Refusal as why:
                raise ConfigError(file, 0, "remote", str(why)) from why
        door = RemoteDoor(self._options, self._fleet_for, self._requests.take)
        self._close_door = self._services.capabilities.provide(PROGRAM_DOOR, door)

    def _fleet_for(self, name: str) -> Fleet:
        """The fleet of an application, which need have no file here. Raises Refusal."""
        if name in self._fleets:
            return self._fleets[name]
        if name in self._beginning:
            raise Refusal(f"application {name} is being started here: come again")
        if self._services.applications.find(name) is not None:
            raise Refusal(f"there is an application {name} already, which is none of apps.conf")
        if len(self._fleets) >= _MOST_NAMES:
            raise Refusal(f"there are {_MOST_NAMES} applications already")
        app = replace(self._app(name, self._options.script_path / f"{name}.py"), file=None)
        fleet = self._fleets[name] = Fleet(app, self._options, self._requests.take, self._lost)
        self._services.applications.register(name, lambda session: self._begin(session, fleet))
        return fleet

    def _app(self, name: str, path: Path) -> AppFile:
        beside, of_sems = path.with_suffix(".conf"), self._services.conf_dir / f"{name}.conf"
        own = beside if beside.is_file() or self._name == "apps" else of_sems
        values = {key: entry.value for key, entry in ConfigFile.read(own).entries.items()} if own.is_file() else {}
        folder = self._options.script_path / name
        core = self._services.core
        recordings = self._options.record_path / name if self._options.record_path is not None else None
        return AppFile(
            name,
            path,
            values,
            Reach(folder if folder.is_dir() else self._options.script_path, self._options.audio_path, recordings),
            {"sip_ip": core.sip_ip, "sip_port": core.sip_port or 5060, "log_level": core.loglevel},
        )

    def _begin(self, session: Session, fleet: Fleet) -> BridgedCall:
        means = Means(fleet.app.reach, self._speaker, self._options.language, OPERATIONS)
        return BridgedCall(session, fleet.choose(), means)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(1)
            for fleet in self._fleets.values():
                fleet.look()

    async def close(self) -> None:
        """End the processes."""
        if self._ticker is not None:
            self._ticker.cancel()
        if self._close_door is not None:
            self._close_door()
        if self._registered:
            self._services.registry.unregister(self._name)
        self._functions.withdraw()
        for name in self._fleets:
            self._services.applications.unregister(name)
        await asyncio.gather(*(fleet.stop() for fleet in (*self._fleets.values(), *self._beginning.values())))
        self._speaker.close()


def _prompt_options(conf_dir: Path) -> PromptOptions:
    """Who speaks texts. Raises ConfigError."""
    path = conf_dir / "prompts.conf"
    conf = ConfigFile.read(path) if path.is_file() else ConfigFile.empty("prompts.conf")
    return load(PromptOptions, conf, os.environ, "prompts")


def _compiles(path: Path, file: str) -> None:
    """Whether a file is Python at all: a configuration that is only tried out runs nothing. Raises ConfigError."""
    try:
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise ConfigError(file, 0, "apps", f"{path} cannot be run: {error}") from error
