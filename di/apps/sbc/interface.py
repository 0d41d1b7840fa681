# SPDX-License-Identifier: GPL-2.0-or-later
"""DI functions of `sbc` (spec applications.md §22.2). Files are read beside the loop."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from pathlib import Path

from di.apps.api import ConfigError, EventPosted, Services, TypeMismatch, Value, di_method
from di.apps.sbc.app import SbcCall, SbcOtherLeg
from di.apps.sbc.desk import SbcDesk
from di.apps.sbc.keys import names
from di.apps.sbc.profile import LoadedProfile, load_profile
from di.apps.sbc.regex_maps import parse_map, read_map

log = logging.getLogger(__name__)
Reply = list[Value]
_NO_NAME = "Parameters error: expected ['name': profile_name] "
_NO_PATH = "Parameters error: expected ['name': profile_name] and ['path': profile_path]"
_NO_LIST = "Parameters error: expected ['active_profile': <active_profile list>] "
_NO_MAP = "Parameters error: expected ['name': <name>, 'file': <file name>]"


class SbcInterface:
    """Functions `sbc.…`. Structures may also be given as plain arguments in their order."""

    def __init__(self, services: Services, desk: SbcDesk) -> None:
        self._services, self._desk = services, desk

    # ------------------------------------------------------------------------------------------------------------ profiles
    @di_method("listProfiles", changes=False)
    def list_profiles(self) -> Value:
        """Return name, md5 and path of each loaded profile; nothing if there is none."""
        return [_shown(one) for one in self._desk.book.all()] or None

    @di_method("reloadProfiles")
    async def reload_profiles(self) -> Reply:
        """Read all loaded profiles again: all of them or, where one cannot be read, none."""
        before = self._desk.book.all()
        new: list[LoadedProfile] = []
        for one in before:
            try:
                new.append(await asyncio.to_thread(load_profile, one.name, one.path))
            except ConfigError as error:
                return self._not_reloaded(one, error)
        try:
            self._desk.book.put(new)
        except ConfigError as error:
            return self._not_reloaded(next((one for one in new if str(one.path) == error.file), new[-1]), error)
        return [200, "OK", [_shown(one) for one in self._desk.book.all()]]

    def _not_reloaded(self, wrong: LoadedProfile, error: ConfigError) -> Reply:
        log.error("reloadProfiles: %s", error)
        text = f"Error reading call profile for {wrong.name} from {wrong.path}; no profiles reloaded"
        return [500, text, [_shown(one) for one in self._desk.book.all()]]

    @di_method("reloadProfile")
    async def reload_profile(self, name: Value) -> Reply:
        """Read one loaded profile again: {name}."""
        wanted = _text(name, "name")
        if not wanted:
            return [400, _NO_NAME]
        found = self._desk.book.find(wanted)
        if found is None:
            return [500, f"profile '{wanted}' not found"]
        return await self._take(wanted, found.path, f"Error reading call profile for {wanted} from {found.path}")

    @di_method("loadProfile", dangerous=True)
    async def load_profile(self, name: Value, path: str = "") -> Reply:
        """Load a profile from a file, in place of one of that name: {name, path}."""
        wanted, file = _text(name, "name"), _text(name, "path") if isinstance(name, dict) else path
        if not wanted or not file:
            return [400, _NO_PATH]
        return await self._take(wanted, Path(file), f"Error reading sbc call profile for {wanted} from file {file}")

    async def _take(self, name: str, path: Path, failure: str) -> Reply:
        try:
            loaded = await asyncio.to_thread(load_profile, name, path)
            self._desk.book.put([loaded])
        except ConfigError as error:
            log.error("profile %s: %s", name, error)
            return [500, failure]
        return [200, "OK", _shown(loaded)]

    @di_method("getActiveProfile", changes=False)
    def get_active_profile(self) -> Reply:
        """Return the entries of active_profile."""
        return [200, "OK", {"active_profile": list(self._desk.book.active)}]

    @di_method("setActiveProfile")
    def set_active_profile(self, active_profile: Value) -> Reply:
        """Let requests have other profiles from now on: {active_profile: "a,b"}, or that text. Names are not verified."""
        text = _text(active_profile, "active_profile")
        if not text:
            return [400, _NO_LIST]
        self._desk.book.active = names(text)
        return [200, "OK", {"active_profile": text}]

    # ---------------------------------------------------------------------------------------------------------------- maps
    @di_method("getRegexMapNames", changes=False)
    def get_regex_map_names(self) -> Reply:
        """Return the names of the regex maps."""
        found: list[Value] = [*self._desk.maps.names()]
        return [200, "OK", {"regex_maps": found} if found else None]

    @di_method("setRegexMap", dangerous=True)
    async def set_regex_map(self, name: Value, file: str = "") -> Reply:
        """Load a regex map from a file, in place of one of that name: {name, file}."""
        wanted, path = _text(name, "name"), _text(name, "file") if isinstance(name, dict) else file
        if not wanted or not path:
            return [400, _NO_MAP]
        try:
            self._desk.maps.put({wanted: parse_map(await asyncio.to_thread(read_map, Path(path)), path)})
        except ConfigError as error:
            log.error("regex map %s: %s", wanted, error)
            return [401, "Error reading regex mapping from file"]
        return [200, "OK"]

    # -------------------------------------------------------------------------------------------------------------- others
    @di_method("loadCallcontrolModules")
    def load_callcontrol_modules(self, modules: str) -> Reply:
        """Say whether call control modules (separated by `;`) are there; they are loaded by load_plugins, at the start."""
        missing = self._desk.missing_modules(
            tuple(name.strip().removesuffix(".so") for name in modules.split(";") if name.strip())
        )
        if missing:
            log.error("loadCallcontrolModules: %s: put it into load_plugins of sems.conf and start again", ", ".join(missing))
            return [500, "Failed - please see server logs\n"]
        return [200, "OK"]

    @di_method("postControlCmd")
    def post_control_cmd(self, local_tag: str, command: str, *parameters: Value) -> Reply:
        """Send a command to a call; `teardown` ends it."""
        params = {"cmd": command, **{str(at): str(value) for at, value in enumerate(parameters)}}
        if self._services.queues.post(local_tag, EventPosted(params, "sbc")):
            return [202, "Accepted"]
        return [404, "Not found"]

    @di_method("printCallStats", changes=False)
    def print_call_stats(self) -> dict[str, Value]:
        """Return how many legs of present calls have each codec, as {read, write}: lists of {codec, count}."""
        count = Counter(
            name for session in self._services.sessions if isinstance(session.app, (SbcCall, SbcOtherLeg))
            for name in session.audio.codec_in_use
        )  # fmt: skip
        shown: list[Value] = [{"codec": name, "count": number} for name, number in sorted(count.items())]
        return {"read": shown, "write": list(shown)}


def _shown(one: LoadedProfile) -> Value:
    return {"name": one.name, "md5": one.md5, "path": str(one.path)}


def _text(value: Value, key: str) -> str:
    """A member of a structure, or the text itself. Raises TypeMismatch."""
    if isinstance(value, dict):
        value = value.get(key, "")
    elif not isinstance(value, str):
        raise TypeMismatch(f"a structure with {key!r}, or a text, is expected")
    return value if isinstance(value, str) else ""
