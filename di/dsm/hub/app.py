# SPDX-License-Identifier: GPL-2.0-or-later
"""The module `dsm` in the hub: configuration, bundles, prompts, applications, system DSMs (spec dsm.md §7)."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from di.calls.application import Application
from di.calls.session import Session
from di.dsm.hub.call import DsmCall
from di.dsm.hub.hub_port import ServerHub
from di.dsm.hub.pictures import Pictures
from di.dsm.hub.positions import Positions
from di.dsm.hub.script_files import ScriptFiles
from di.dsm.hub.script_host import ScriptHost
from di.dsm.hub.select_diagram import MON_SELECT, choose_diagram
from di.dsm.hub.steered import SteeredLeg
from di.dsm.hub.system import SystemDsm
from di.dsm.language.arrays import flatten
from di.dsm.language.errors import DsmError, DsmException
from di.dsm.language.event import Kind
from di.dsm.load.bundles import Bundle, bundle_files, load_diagram
from di.dsm.options import BundleOptions, DsmOptions
from di.kernel import options as typed
from di.kernel.collector import OutOfSight
from di.kernel.config import ConfigFile
from di.kernel.errors import ConfigError, Refused
from di.kernel.value import Value
from di.sip.app_params import session_map

if TYPE_CHECKING:
    from di.dsm.language.model import Diagram
    from di.server.services import Services

log = logging.getLogger(__name__)

MAIN = "main"


def _forget(diagrams: list[Diagram]) -> None:
    """Let diagrams go one after the other, in a thread: what frees three hundred at once lets nobody else run for 50 ms."""
    while diagrams:
        diagrams.pop()


class DsmServer:
    """The loaded collections, the applications made of them, and the system DSMs that run."""

    def __init__(self, services: Services, options: DsmOptions) -> None:
        self.services = services
        self.options = options
        self.pictures = Pictures()
        hub = ServerHub(services, self.create_system_dsm)
        self._loading = asyncio.Lock()
        self._out_of_sight = OutOfSight(services.sessions.__len__, services.sessions.when_idle)
        self.files = ScriptFiles(options, services.conf_dir, hub, services.sessions.preload)
        self.host = ScriptHost(services, hub, self.files, Positions(services, options), SteeredLeg)
        self.main = Bundle(MAIN, options)
        """The collection of dsm.conf; a reload puts a new one in its place."""
        self.bundles: dict[str, Bundle] = {}
        """The other collections by name."""
        self.bound: dict[str, Bundle] = {}
        """Application → its collection, where that is not `main`."""
        self.applications: list[str] = []
        self.systems: list[SystemDsm] = []

    # -------------------------------------------------------------------------------------------------------------- start
    def start(self) -> None:
        """Load everything. Raises ConfigError: the module does not start with a configuration that is wrong."""
        path = self.services.conf_dir / "dsm.conf"
        conf = ConfigFile.read(path) if path.is_file() else ConfigFile.empty(str(path))
        try:
            self.files.load_prompts(self.options)
            self.files.preload(self.options)
            self.main = self.files.read(MAIN, self.options, conf)
            for name in self.options.register_apps:
                self.register(name, self.main)
            if self.options.inbound_start_diag or self.options.outbound_start_diag:
                self.register("dsm", self.main, "")
            self._check_start_diagrams()
            self.start_systems(self.main, Kind.STARTUP)
            for file in bundle_files(self.files.path(self.options.conf_dir)) if self.options.conf_dir else ():
                self.load_bundle_file(str(file), file.stem)
        except DsmError as error:
            raise ConfigError(str(path), 0, "", str(error)) from error

    def _check_start_diagrams(self) -> None:
        for key in ("inbound_start_diag", "outbound_start_diag", "monitor_select_fallback"):
            name = getattr(self.options, key)
            if name and name != MON_SELECT and name not in self.main.diagrams:
                raise DsmError(f"{key}={name}: this diagram is not among load_diags ({', '.join(self.main.diagrams) or 'none'})")

    def load_bundle_file(self, path: str, name: str) -> None:
        """Read a bundle at the start and bind its applications to it. Raises DsmError or ConfigError."""
        options, conf = self._bundle_options(path, name)
        self.files.load_prompts(options)
        self.files.preload(options)
        bundle = self.files.read(name, options, conf)
        self._take_bundle(bundle)
        self.start_systems(bundle, Kind.STARTUP)

    async def reload_bundle_beside(self, path: str, name: str, *, systems: bool = True) -> None:
        """Read a bundle, known or new, its scripts in a thread; calls that run keep the old one.

        Raises DsmError or ConfigError, and then no application has changed. Without `systems` the bundle's system DSMs go on as they are.
        """
        async with self._loading:
            options, conf = self._bundle_options(path, name)
            await asyncio.to_thread(self.files.preload, options)
            bundle = await self._beside(lambda: self.files.read(name, options, conf))
            let_go = list(self.bundles[name].diagrams.values()) if name in self.bundles else []
            self._take_bundle(bundle)
            if systems:
                self.start_systems(bundle, Kind.RELOAD)
            await asyncio.to_thread(_forget, let_go)

    async def preload_beside(self, name: str = "", folder: str = "") -> None:
        """Import a module and let it prepare, or all of preload_mods, in a thread. Raises DsmError."""
        files, options = self.files, self.options
        async with self._loading:
            await asyncio.to_thread(lambda: files.preload_module(name, folder) if name else files.preload(options))

    async def _beside(self, read: Callable[[], Bundle]) -> Bundle:
        """Read scripts in a thread; the collector looks at them neither now nor later."""
        with self._out_of_sight.reading():
            return await asyncio.to_thread(read)

    def _bundle_options(self, path: str, name: str) -> tuple[BundleOptions, ConfigFile]:
        conf = ConfigFile.read(path)
        return typed.load(BundleOptions, conf, self.services.environ, module=f"dsm_{name}"), conf

    def _take_bundle(self, bundle: Bundle) -> None:
        self._check_systems(bundle)
        for app in bundle.options.register_apps:
            if app not in self.applications and self.services.applications.find(app) is not None:
                raise DsmError(f"register_apps: the application {app} belongs to another module")
        self.bundles[bundle.name] = bundle
        for app in bundle.options.register_apps:
            self.bound[app] = bundle
            if app not in self.applications:
                self.register(app, bundle)

    async def reload_main_beside(self) -> None:
        """Read dsm.conf and its scripts again, in a thread: hundreds of scripts take seconds, and calls go on meanwhile.

        Raises DsmError or ConfigError, and then nothing has changed.
        """
        async with self._loading:
            bundle = await self._beside(self._read_main)
            let_go = list(self.main.diagrams.values())
            self.main = Bundle(MAIN, self.main.options, self.main.config, bundle.diagrams)
            await asyncio.to_thread(_forget, let_go)

    def _read_main(self) -> Bundle:
        conf = ConfigFile.read(self.services.conf_dir / "dsm.conf")
        return self.files.read(MAIN, typed.load(DsmOptions, conf, self.services.environ), conf)

    async def load_beside(self, name: str, diag_path: str, mod_path: str) -> bool:
        """Read one more script into the main set, in a thread; False: it is there already. Raises DsmError."""
        async with self._loading:
            if name in self.main.diagrams:
                return False
            files, check = self.files, self.options.dsm_consistency_check
            diagram = await asyncio.to_thread(
                lambda: load_diagram(name, diag_path, mod_path, files.modules, jail=files.jail, check=check)
            )
            self.main = dataclasses.replace(self.main, diagrams={**self.main.diagrams, name: diagram})
            return True

    async def reload(self, options: DsmOptions) -> None:
        """SIGHUP: prompts, the scripts of dsm.conf and its new applications, the bundles; calls that run keep their diagrams.

        Raises ConfigError. What stands before the fault is new then, the rest as it was.
        """
        path = self.services.conf_dir / "dsm.conf"
        if not path.is_file():
            return
        try:
            self.files.load_prompts(options)
            await self.reload_main_beside()
            for name in options.register_apps:
                if name not in self.applications:
                    self.register(name, self.main)
        except DsmError as error:
            raise ConfigError(str(path), 0, "", str(error)) from error
        for file in bundle_files(self.files.path(self.options.conf_dir)) if self.options.conf_dir else ():
            try:
                await self.reload_bundle_beside(str(file), file.stem, systems=False)
            except DsmError as error:
                raise ConfigError(str(file), 0, "", str(error)) from error

    # ------------------------------------------------------------------------------------------------------- applications
    def register(self, name: str, bundle: Bundle, diagram: str | None = None) -> None:
        """Make an application. Raises DsmError when the name is taken."""
        try:
            self.services.applications.register(
                name, lambda session: self.make_call(session, name if diagram is None else diagram, name)
            )
        except ValueError as error:
            raise DsmError(str(error)) from error
        self.applications.append(name)
        if bundle is not self.main:
            self.bound[name] = bundle

    def bundle_of(self, application: str) -> Bundle:
        """The collection that an application's calls run in."""
        return self.bound.get(application, self.main)

    def make_call(self, session: Session, diagram: str, application: str) -> Application:
        """A new call. Raises Refused when no diagram is found for it."""
        bundle = self.bundle_of(application)
        variables: dict[str, str] = {}
        inbound = session.info.incoming
        if inbound and diagram == "":
            diagram, variables = choose_diagram(self.options, self.services.registry, session)
        elif diagram == "":
            diagram = self.options.outbound_start_diag
        if diagram not in bundle.diagrams:
            log.error("call %s: there is no diagram %r in %s", session.id, diagram, bundle.name)
            raise Refused(500, "Server Internal Error")
        params = session_map(session.info.headers) if bundle.options.set_param_variables else {}
        params = {key: value for key, value in params.items() if value}
        first, second = (params, variables) if inbound else (session_variables(session.params), params)
        return DsmCall(session, self.host, bundle, diagram, {**first, **second})

    # -------------------------------------------------------------------------------------------------------- system DSMs
    def start_systems(self, bundle: Bundle, kind: Kind) -> None:
        """Start those that a configuration lists. Raises DsmError for a diagram that is not loaded, and then starts none."""
        self._check_systems(bundle)
        for name in () if self.services.trial else bundle.options.run_system_dsms:
            self._begin_system(bundle, name, kind)

    @staticmethod
    def _check_systems(bundle: Bundle) -> None:
        for name in bundle.options.run_system_dsms:
            if name not in bundle.diagrams:
                raise DsmError(f"run_system_dsms: {name} is not among load_diags ({', '.join(bundle.diagrams) or 'none'})")

    def _begin_system(self, bundle: Bundle, diagram: str, kind: Kind) -> None:
        system = SystemDsm(self.host, bundle, diagram, self.services.sessions.new_id(), self._system_over)
        self.systems.append(system)
        system.begin(kind)

    def create_system_dsm(self, bundle_name: str, diagram: str) -> None:
        """Start one by name. Raises DsmException("core")."""
        bundle = self.main if bundle_name == MAIN else self.bundles.get(bundle_name)
        if bundle is None:
            known = ", ".join([MAIN, *self.bundles])
            raise DsmException("core", cause=f"Error: Script config '{bundle_name}' not found, in [{known}]")
        self._begin_system(bundle, diagram, Kind.STARTUP)

    def _system_over(self, system: SystemDsm) -> None:
        """One has ended."""
        if system in self.systems:
            self.systems.remove(system)
        self.services.monitoring.mark_finished(system.id)

    # ---------------------------------------------------------------------------------------------------------------- end
    async def close(self) -> None:
        """Withdraw applications, end system DSMs, close what modules hold."""
        for name in self.applications:
            self.services.applications.unregister(name)
        for system in list(self.systems):
            system.close()
        for shared in self.host.hub.shared_objects():
            closing: Any = getattr(shared, "close", None)
            waiting = closing() if callable(closing) else None
            if inspect.isawaitable(waiting):
                await waiting


def session_variables(params: Value) -> dict[str, str]:
    """Variables of an outgoing call from its session parameters (spec dsm.md §2.8): arrays in the old form, other types as text."""
    rest = params
    if isinstance(rest, (list, tuple)):
        rest = next((item for item in rest if isinstance(item, dict)), None)
    found: dict[str, str] = {}
    for key, value in rest.items() if isinstance(rest, dict) else ():
        if isinstance(value, str):
            found[str(key)] = value
        elif isinstance(value, (list, tuple)):
            found[f"{key}_size"] = str(len(value))
            for index, item in enumerate(value):
                flatten(item, f"{key}_{index}", found.__setitem__)
        else:
            flatten(value, str(key), found.__setitem__)
    return found
