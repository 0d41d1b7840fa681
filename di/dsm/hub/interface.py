# SPDX-License-Identifier: GPL-2.0-or-later
"""DI functions of the module `dsm` (spec dsm.md §7.5, applications.md §25)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from di.calls.events import EventPosted
from di.dsm.language.errors import DsmError, DsmException
from di.dsm.language.graph import graph_of
from di.dsm.load.bundles import Bundle
from di.dsm.load.modules import BUILT_IN
from di.dsm.options import folder
from di.kernel.errors import CallFailed, ConfigError, TypeMismatch
from di.kernel.registry import di_method
from di.kernel.value import Value

if TYPE_CHECKING:
    from di.dsm.hub.app import DsmServer
    from di.dsm.language.model import Diagram

log = logging.getLogger(__name__)

Reply = list[Value]


class DsmInterface:
    """Thin: everything is done by `DsmServer`."""

    def __init__(self, server: DsmServer) -> None:
        self._server = server

    @di_method("postDSMEvent")
    def post_dsm_event(self, session_id: str, pairs: list[Value]) -> Reply:
        """Send an event to a running diagram: parameters as [[name, value], …], all strings."""
        params: dict[str, str] = {}
        for pair in pairs:
            if not isinstance(pair, (list, tuple)) or len(pair) < 2:
                raise TypeMismatch(f"each parameter is an array [name, value], not {pair!r:.60}")
            name, value = pair[0], pair[1]
            if not isinstance(name, str) or not isinstance(value, str):
                raise TypeMismatch(f"parameter names and values are strings, not {pair!r:.60}")
            params[name] = value
        queues = self._server.services.queues
        if queues.post(session_id, EventPosted(params)):
            return [200, "OK"]
        return [503, "too many events wait in this session"] if session_id in queues else [404, "Session not found"]

    @di_method("reloadDSMs", dangerous=True)
    async def reload_dsms(self) -> Reply:
        """Read dsm.conf and its scripts again; calls that run keep the old ones."""
        try:
            await self._server.reload_main_beside()
        except (DsmError, ConfigError) as error:
            log.error("reloadDSMs: %s", error)
            return [500, f"loading failed: {_first_line(error)}"]
        return [200, "DSMs reloaded"]

    @di_method("loadDSM", dangerous=True)
    async def load_dsm(self, name: str) -> Reply:
        """Load one more script into the main set, from the paths of dsm.conf."""
        options = self._server.files.placed(self._server.options)
        return await self._load(name, options.diag_path, options.mod_path)

    @di_method("loadDSMWithPath", "loadDSMWithPaths", dangerous=True)
    async def load_dsm_with_path(self, name: str, diag_path: str, mod_path: str) -> Reply:
        """Load one more script into the main set, from the paths given: folders that dsm.conf names (load_folders)."""
        try:
            self._server.files.jail.check_load(folder(diag_path), "the folder of scripts")
            if mod_path:
                self._server.files.jail.check_load(mod_path, "the folder of modules")
        except DsmError as error:
            log.error("loadDSMWithPath: %s", error)
            return [500, f"error loading {name}: {_first_line(error)}"]
        return await self._load(name, folder(diag_path), mod_path)

    async def _load(self, name: str, diag_path: str, mod_path: str) -> Reply:
        if "/" in name or name.startswith("."):
            return [500, f"error loading {name}: the name of a diagram is no path"]
        try:
            loaded = await self._server.load_beside(name, diag_path, mod_path)
        except DsmError as error:
            log.error("loadDSM: %s", error)
            return [500, f"error loading {name} from {diag_path}{name}.dsm: {_first_line(error)}"]
        if not loaded:
            return [400, f"DSM named '{name}' already loaded (use reloadDSMs to reload all)"]
        return [200, f"loaded {name} from {diag_path}{name}.dsm"]

    @di_method("preloadModules", dangerous=True)
    async def preload_modules(self) -> Reply:
        """Load the modules that dsm.conf lists in preload_mods."""
        try:
            await self._server.preload_beside()
        except DsmError as error:
            return [500, _first_line(error)]
        return [200, "modules preloaded"]

    @di_method("preloadModule", dangerous=True)
    async def preload_module(self, name: str, path: str) -> Reply:
        """Load one module, from a folder that dsm.conf names (load_folders) if it is none of the server's own."""
        try:
            if name not in BUILT_IN:
                self._server.files.jail.check_load(path, "the folder of modules")
            await self._server.preload_beside(name, path)
        except DsmError as error:
            return [500, _first_line(error)]
        return [200, "module preloaded."]

    @di_method("loadConfig", dangerous=True)
    async def load_config(self, file: str, name: str) -> Reply:
        """Load or reload a bundle from a folder that dsm.conf names (conf_dir, load_folders); `name` ends in .conf, which is cut off."""
        try:
            self._server.files.jail.check_load(file, "the configuration file")
            await self._server.reload_bundle_beside(file, name.removesuffix(".conf"))
        except (DsmError, ConfigError) as error:
            log.error("loadConfig: %s", error)
            return [500, "reload config failed"]
        return [200, "OK"]

    def _bundle(self, application: str) -> Bundle | None:
        server = self._server
        if not application:
            return server.main
        if application in server.bound:
            return server.bound[application]
        return server.main if application in server.applications else None

    @di_method("hasDSM", changes=False)
    def has_dsm(self, name: str, application: str = "") -> Reply:
        """["1"] when a diagram is loaded, in the main set or in that of an application, else ["0"]."""
        bundle = self._bundle(application)
        return ["1" if bundle is not None and name in bundle.diagrams else "0"]

    @di_method("listDSMs", changes=False)
    def list_dsms(self, application: str = "") -> list[str]:
        """Names of the loaded diagrams; none for an unknown application."""
        bundle = self._bundle(application)
        return sorted(bundle.diagrams) if bundle is not None else []

    @di_method("diagramGraph", listed=False, changes=False)
    def diagram_graph(self, name: str, application: str = "") -> dict[str, Value]:
        """A diagram as nodes and edges for drawing, each node with the number of calls in that state now; not in SEMS."""
        return graph_of(self._diagram(name, application)).as_value(self._calls_in(name))

    @di_method("diagramSvg", listed=False, changes=False)
    async def diagram_svg(self, name: str, application: str = "") -> dict[str, Value]:
        """Draw a diagram as `cordboard dsm graph` does; returns {svg, calls}, the number of calls by state now; not in SEMS.

        In the picture each state is a group with the attribute data-state, and its count the text of class `count` therein.
        """
        diagram = self._diagram(name, application)
        svg = await self._server.pictures.svg(application, diagram)
        return {"svg": svg, "calls": dict(self._calls_in(name))}

    def _diagram(self, name: str, application: str) -> Diagram:
        bundle = self._bundle(application)
        diagram = bundle.diagrams.get(name) if bundle is not None else None
        if diagram is None:
            raise CallFailed(f"there is no diagram {name!r}")
        return diagram

    def _calls_in(self, name: str) -> Mapping[str, int]:
        return {state: count for (diagram, state), count in self._server.host.positions.in_state.items() if diagram == name}

    @di_method("diagrams", listed=False, changes=False)
    def diagrams(self) -> list[Value]:
        """Return every loaded diagram: {name, application (empty: the main set), states, calls}; not in SEMS."""
        server = self._server
        bundles = [("", server.main)]
        for application, bundle in server.bound.items():
            if all(bundle is not known for _, known in bundles):
                bundles.append((application, bundle))
        totals: Counter[str] = Counter()
        for (diagram, _), count in server.host.positions.in_state.items():
            totals[diagram] += count
        return [
            {"name": name, "application": application, "states": len(diagram.by_name), "calls": totals[name]}
            for application, bundle in bundles
            for name, diagram in sorted(bundle.diagrams.items())
        ]

    @di_method("registerApplication", dangerous=True)
    def register_application(self, name: str, application: str = "") -> Reply:
        """Make a diagram of the main set, or of an application's bundle, an application of its own name."""
        bundle = self._bundle(application)
        if bundle is None or name not in bundle.diagrams:
            return [400, "unknown application (DSM)"]
        try:
            self._server.register(name, bundle)
        except DsmError:
            return [500, "Error registering DSM application (already registered?)"]
        return [200, "registered DSM application"]

    @di_method("createSystemDSM", dangerous=True)
    def create_system_dsm(self, config: str, diagram: str) -> Reply:
        """Run a diagram without a call; `config` is main or a bundle's name."""
        try:
            self._server.create_system_dsm(config, diagram)
        except DsmException as thrown:
            return [500, thrown.fields["cause"]]
        return [200, "OK"]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
