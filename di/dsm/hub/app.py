# SPDX-License-Identifier: GPL-2.0-or-later
"""The module `dsm` in the hub: configuration, bundles, prompts, applications, system DSMs (spec dsm.md §7)."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from di.calls.application import Application
from di.calls.call_info import CallOut
from di.calls.session import Session
from di.dsm.actions.calls import header_lines
from di.dsm.hub.call import DsmCall
from di.dsm.hub.call_machine import MachineCall
from di.dsm.hub.hub_port import ServerHub
from di.dsm.hub.interface import DsmInterface
from di.dsm.hub.pictures import Pictures
from di.dsm.hub.select_diagram import MON_SELECT, choose_diagram
from di.dsm.hub.steered import SteeredLeg
from di.dsm.hub.system import SystemDsm
from di.dsm.language.arrays import flatten
from di.dsm.language.errors import DsmError, DsmException
from di.dsm.language.event import Kind
from di.dsm.language.library import Library
from di.dsm.load.bundles import Bundle, bundle_files, load_bundle
from di.dsm.load.modules import Modules
from di.dsm.load.prompt_sets import PromptSets
from di.dsm.options import BundleOptions, DsmOptions
from di.kernel import options as typed
from di.kernel.config import ConfigFile
from di.kernel.errors import ConfigError, Refused
from di.kernel.paths import configured
from di.kernel.value import Value
from di.sip.app_params import session_map
from di.sip.credentials import Credential

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services

log = logging.getLogger(__name__)

MAIN = "main"


class DsmServer:
    """What all scripts of the process share."""

    def __init__(self, services: Services, options: DsmOptions) -> None:
        self.services = services
        self.options = options
        self.modules = Modules()
        self.prompts = PromptSets()
        self.pictures = Pictures()
        self.hub = ServerHub(self)
        self.main = Bundle(MAIN, options)
        self.bundles: dict[str, Bundle] = {}
        self.bound: dict[str, Bundle] = {}
        self.applications: list[str] = []
        self.systems: list[SystemDsm] = []
        self.calls: set[DsmCall] = set()
        self.in_state: Counter[tuple[str, str]] = Counter()
        self._positions: dict[str, tuple[str, str]] = {}
        self.rtp_timeout_ms = services.core.dead_rtp_time * 1000

    # -------------------------------------------------------------------------------------------------------------- start
    def start(self) -> None:
        """Load everything. Raises ConfigError: the module does not start with a configuration that is wrong."""
        path = self.services.conf_dir / "dsm.conf"
        conf = ConfigFile.read(path) if path.is_file() else ConfigFile.empty(str(path))
        try:
            self.load_prompts(self.options)
            self.preload(self.options)
            self.main = self.read(MAIN, self.options, conf)
            for name in self.options.register_apps:
                self.register(name, self.main)
            if self.options.inbound_start_diag or self.options.outbound_start_diag:
                self.register("dsm", self.main, "")
            self._check_start_diagrams()
            self.start_systems(self.main, Kind.STARTUP)
            for file in bundle_files(self.path(self.options.conf_dir)) if self.options.conf_dir else ():
                self.load_bundle_file(str(file), file.stem, Kind.STARTUP)
        except DsmError as error:
            raise ConfigError(str(path), 0, "", str(error)) from error

    def _check_start_diagrams(self) -> None:
        for key in ("inbound_start_diag", "outbound_start_diag", "monitor_select_fallback"):
            name = getattr(self.options, key)
            if name and name != MON_SELECT and name not in self.main.diagrams:
                raise DsmError(f"{key}={name}: this diagram is not among load_diags ({', '.join(self.main.diagrams) or 'none'})")

    def path(self, text: str) -> str:
        """A path of the configuration: relative ones are looked for beside it."""
        if not text:
            return ""
        found = str(configured(text, self.services.conf_dir))
        return found + "/" if text.endswith("/") else found

    def media_path(self, text: str, to_read: bool = False) -> str | None:
        """The file that a script means: below the current folder, else the configuration's. None: outside media_root, or no path.

        `to_read`: the file itself decides which of the two is meant, not only its folder.
        """
        if not text or "\0" in text:
            return None
        found = os.path.abspath(text)
        if not text.startswith("/") and not os.path.exists(found if to_read else os.path.dirname(found)):
            found = os.path.abspath(self.services.conf_dir / text)
        root = self.path(self.options.media_root)
        if root and not os.path.realpath(found).startswith(os.path.realpath(root) + os.sep):
            log.error("%s lies outside media_root %s", text, root)
            return None
        return found

    def read(self, name: str, options: BundleOptions, conf: ConfigFile) -> Bundle:
        """Read the scripts of a configuration."""
        return load_bundle(
            name,
            self.placed(options),
            conf,
            self.modules,
            check=self.options.dsm_consistency_check,
            show=self.options.debug_raw_dsm,
        )

    def placed(self, options: BundleOptions) -> BundleOptions:
        """Options with the paths of scripts and modules made absolute."""
        return typed_replace(options, diag_path=self.path(options.diag_path), mod_path=self.path(options.mod_path))

    def load_prompts(self, options: BundleOptions) -> None:
        """Read the prompt lists; what they name is read by the media process now."""
        lists = [(self.path(name), "") for name in options.load_prompts]
        lists += [(self.path(options.prompts_sets_path + name), name) for name in options.load_prompts_sets]
        for path, set_name in lists:
            try:
                with open(path, encoding="utf-8", errors="surrogateescape") as file:
                    text = file.read()
            except OSError as error:
                raise DsmError(f"prompt list {path} cannot be read: {error.strerror}") from error
            for prompt in self.prompts.add(text, os.path.isfile, set_name):
                self.services.sessions.preload(os.path.abspath(prompt))
        missing = [name for name in options.required_prompts if name not in self.prompts.default]
        if missing:
            raise DsmError(f"required_prompts: {', '.join(missing)} not found in load_prompts")

    def preload(self, options: BundleOptions) -> None:
        """Load modules before any script asks for them."""
        for name in options.preload_mods:
            self.preload_module(name, self.path(options.mod_path))

    def preload_module(self, name: str, folder: str) -> None:
        """Load one and let it prepare. Raises DsmError."""
        library = self.modules.find(name, folder)
        prepare: Any = library.hooks.get("preload")
        if prepare is not None:
            # mod_regex reads mod_regex.conf, mod_aws reads aws.conf (spec dsm.md §5.7, §5.11)
            prepare(self.hub.settings(name) or self.hub.settings(name.removeprefix("mod_")), self.hub.shared)

    def load_bundle_file(self, path: str, name: str, kind: Kind) -> None:
        """Read a bundle and bind its applications to it; calls that run keep the old one. Raises DsmError or ConfigError."""
        conf = ConfigFile.read(path)
        options = typed.load(BundleOptions, conf, self.services.environ, module=f"dsm_{name}")
        if kind is Kind.STARTUP:
            self.load_prompts(options)
        self.preload(options)
        bundle = self.read(name, options, conf)
        self.bundles[name] = bundle
        for app in options.register_apps:
            self.bound[app] = bundle
            if app not in self.applications:
                self.register(app, bundle)
        self.start_systems(bundle, kind)

    def reload_main(self) -> None:
        """Read dsm.conf and its scripts again. Raises DsmError or ConfigError, and then nothing has changed."""
        path = self.services.conf_dir / "dsm.conf"
        conf = ConfigFile.read(path)
        options = typed.load(DsmOptions, conf, self.services.environ)
        bundle = self.read(MAIN, options, conf)
        self.main = Bundle(MAIN, self.main.options, self.main.config, bundle.diagrams)

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
            diagram, variables = choose_diagram(self, session)
        elif diagram == "":
            diagram = self.options.outbound_start_diag
        if diagram not in bundle.diagrams:
            log.error("call %s: there is no diagram %r in %s", session.id, diagram, bundle.name)
            raise Refused(500, "Server Internal Error")
        params = session_map(session.info.headers) if bundle.options.set_param_variables else {}
        params = {key: value for key, value in params.items() if value}
        first, second = (params, variables) if inbound else (session_variables(session.params), params)
        call = DsmCall(session, self, bundle, diagram, {**first, **second})
        self.calls.add(call)
        return call

    def make_steered(self, session: Session, first: MachineCall, diagram: str) -> Application:
        """A second leg with a diagram of the first one's collection."""
        call = SteeredLeg(session, first, diagram)
        self.calls.add(call)
        return call

    def call_over(self, call: DsmCall) -> None:
        """A call has gone."""
        self.calls.discard(call)
        self._count(call.id, None)

    @staticmethod
    def starts_at_session(bundle: Bundle) -> bool:
        """Whether its diagrams begin with sessionStart, as up to SEMS 1.4."""
        return bundle.options.start_at_session

    def libraries(self, bundle: Bundle) -> list[Library]:
        """Modules that any diagram of a collection imports, each once (spec dsm.md §1.9)."""
        found: dict[str, Library] = {}
        for diagram in bundle.diagrams.values():
            for library in diagram.libraries:
                if isinstance(library, Library):
                    found.setdefault(library.name, library)
        return list(found.values())

    def dial(self, fields: dict[str, str], variables: dict[str, str]) -> str:
        """`dlg.dialout`; the new session's id, empty when it failed."""
        named = bool(fields["auth_user"] and fields["auth_pwd"])
        order = CallOut(
            application=fields["app"],
            request_uri=fields["r_uri"],
            from_header=fields["from"],
            to_header=fields["to"],
            user=fields["callee"],
            id=fields["ltag"],
            headers=tuple(header_lines(fields["hdrs"])),
            params=[dict(variables)],
            credential=Credential("", fields["auth_user"], fields["auth_pwd"]) if named else None,
        )
        return self.services.sessions.dialout(order)

    # -------------------------------------------------------------------------------------------------------- system DSMs
    def start_systems(self, bundle: Bundle, kind: Kind) -> None:
        """Start those that a configuration lists. Raises DsmError for a diagram that is not loaded."""
        for name in bundle.options.run_system_dsms:
            if name not in bundle.diagrams:
                raise DsmError(f"run_system_dsms: {name} is not among load_diags ({', '.join(bundle.diagrams) or 'none'})")
            self._begin_system(bundle, name, kind)

    def _begin_system(self, bundle: Bundle, diagram: str, kind: Kind) -> None:
        system = SystemDsm(self, bundle, diagram, self.services.sessions.new_id())
        self.systems.append(system)
        system.begin(kind)

    def create_system_dsm(self, bundle_name: str, diagram: str) -> None:
        """Start one by name. Raises DsmException("core")."""
        bundle = self.main if bundle_name == MAIN else self.bundles.get(bundle_name)
        if bundle is None:
            known = ", ".join([MAIN, *self.bundles])
            raise DsmException("core", cause=f"Error: Script config '{bundle_name}' not found, in [{known}]")
        self._begin_system(bundle, diagram, Kind.STARTUP)

    def system_over(self, system: SystemDsm) -> None:
        """One has ended."""
        if system in self.systems:
            self.systems.remove(system)
        self.services.monitoring.mark_finished(system.id)

    # --------------------------------------------------------------------------------------------------------- monitoring
    def position_changed(self, session: Session, diagram: str, state: str) -> None:
        """`dsm_diag` and `dsm_state` in the store, dsm.state on the stream."""
        self._count(session.id, (diagram, state))
        session.log(dsm_diag=diagram, dsm_state=state)
        self.services.events.publish("dsm.state", session.id, session.audio.room, {"diagram": diagram, "state": state})
        if self.options.monitoring_full_stategraph:
            self.services.monitoring.log_add(session.id, "dsm_stategraph", f"{diagram}/{state}")

    def _count(self, id: str, position: tuple[str, str] | None) -> None:
        """Keep how many calls are in each state. `position` None: the call has gone."""
        old = self._positions.pop(id, None)
        if old is not None:
            self.in_state[old] -= 1
            if not self.in_state[old]:
                del self.in_state[old]
        if position is not None:
            self._positions[id] = position
            self.in_state[position] += 1

    def system_position(self, id: str, diagram: str, state: str) -> None:
        """The same for a system DSM."""
        self.services.monitoring.log(id, dsm_diag=diagram, dsm_state=state)
        self.services.events.publish("dsm.state", id, "", {"diagram": diagram, "state": state})

    def transition_taken(self, id: str, name: str) -> None:
        """In `dsm_stategraph`, when asked for."""
        if self.options.monitoring_full_transitions:
            self.services.monitoring.log_add(id, "dsm_stategraph", f"> {name} >")

    # ---------------------------------------------------------------------------------------------------------------- end
    async def close(self) -> None:
        """Withdraw applications, end system DSMs, close what modules hold."""
        for name in self.applications:
            self.services.applications.unregister(name)
        for system in list(self.systems):
            system.close()
        for shared in self.hub.shared_objects():
            closing: Any = getattr(shared, "close", None)
            waiting = closing() if callable(closing) else None
            if inspect.isawaitable(waiting):
                await waiting


def typed_replace(options: BundleOptions, **changes: str) -> BundleOptions:
    """A copy with other values."""
    return dataclasses.replace(options, **changes)  # type: ignore[arg-type]


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


def start(services: Services, options: DsmOptions) -> Closer:
    """Plug-in start."""
    server = DsmServer(services, options)
    server.start()
    services.registry.register("dsm", DsmInterface(server))

    async def close() -> None:
        services.registry.unregister("dsm")
        await server.close()

    return close
