# SPDX-License-Identifier: GPL-2.0-or-later
"""Which modules there are, and what scripts get when they import one (spec dsm.md §1.9).

Built-in modules are `di.dsm.mods.mod_*`; others are Python files in the folder that `dsm.conf` calls `mod_path`. Importing a file runs it:
it has the rights of the server.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import re
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from di.dsm.actions import calls, conditions, flow, media, variables
from di.dsm.language.errors import DsmError
from di.dsm.language.library import Library

BUILT_IN = (
    "mod_aws mod_conference mod_curl mod_dlg mod_groups mod_monitoring mod_mysql mod_py mod_redis mod_regex mod_sbc "
    "mod_subscription mod_sys mod_uri mod_utils mod_xml mod_zrtp"
).split()

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@lru_cache(maxsize=1)
def core_library() -> Library:
    """The actions and conditions that need no import."""
    library = Library("core")
    for module in (flow, variables, media, calls, conditions):
        library.include(module)
    return library


class Modules:
    """The modules of one server, each loaded once."""

    def __init__(self) -> None:
        self._loaded: dict[str, Library] = {}

    def find(self, name: str, folder: str = "") -> Library:
        """A module by name. Raises DsmError: unknown, broken, or not able to work here."""
        key = name if name in BUILT_IN else f"{folder}\0{name}"
        if key not in self._loaded:
            library = Library(name).include(self._import(name, folder))
            check = library.hooks.get("load")
            if check is not None:
                check()
            self._loaded[key] = library
        return self._loaded[key]

    @staticmethod
    def _import(name: str, folder: str) -> ModuleType:
        if name in BUILT_IN:
            try:
                return importlib.import_module(f"di.dsm.mods.{name}")
            except ImportError as error:
                raise DsmError(f"module {name} cannot be loaded: {error}; install what it needs") from error
        if _NAME.fullmatch(name) and folder and (Path(folder) / f"{name}.py").is_file():
            return load_file(Path(folder) / f"{name}.py", name)
        near = difflib.get_close_matches(name, BUILT_IN, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        where = f", and {folder} holds no {name}.py" if folder else "; mod_path in dsm.conf names a folder of further ones"
        raise DsmError(f"there is no module {name[:60]!r}{where}{hint}")

    def loaded(self) -> list[Library]:
        """Every module that was loaded so far."""
        return list(self._loaded.values())


def load_file(path: Path, name: str) -> ModuleType:
    """Import a third-party module from its file. Raises DsmError with the fault's line."""
    spec = importlib.util.spec_from_file_location(f"dsm_module_{name}", path)
    if spec is None or spec.loader is None:
        raise DsmError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise DsmError(f"module {path} cannot be loaded: {type(error).__name__}: {error}") from error
    return module
