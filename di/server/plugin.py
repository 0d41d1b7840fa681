# SPDX-License-Identifier: GPL-2.0-or-later
"""The plug-in record and the loader of `load_plugins` (spec core.md §4).

A plug-in is a package of `di.apps`, `di.stores`, `di.modules`, `di` or `interfaces` whose `__init__` has `PLUGIN`;
importing it has no effect. `start` gets the services and the module's options, hands its objects to registry and
applications, and returns a closer that undoes it (or None).
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from di.kernel.errors import ConfigError

if TYPE_CHECKING:
    from di.server.services import Services

OptionsT = TypeVar("OptionsT")
Closer: TypeAlias = Callable[[], Awaitable[None] | None] | None

BUILT_IN = frozenset(
    "wav gsm ilbc l16 adpcm speex opus g722 g729 isac silk codec2 mp3 sipctrl uac_auth session_timer rtmp "
    "diameter_client py_sems".split()
)
"""SEMS plug-in names that need no plug-in here, or name a codec that the media process has or has not; accepted so that old files load."""

_ROOTS = ("di.apps", "di.stores", "di.modules", "di", "interfaces")
_NOT_PLUGINS = frozenset(
    {"access", "apps", "calls", "core", "kernel", "media_control", "modules", "server", "sip", "speech", "stores"}
)


@dataclass(frozen=True)
class Plugin(Generic[OptionsT]):
    """One module. `config_required`: without `<name>.conf` the start stops, as SEMS has it for this module.

    `requires`: plug-ins that must stand earlier in `load_plugins`. `listens_last`: started after all others, because it opens a way
    to functions that the others register.
    """

    name: str
    start: Callable[[Services, OptionsT], Closer | Awaitable[Closer]]
    options: type[OptionsT] | None = None
    requires: tuple[str, ...] = ()
    config_required: bool = False
    listens_last: bool = False


def available() -> dict[str, str]:
    """Plug-in name → package, for everything that can be loaded from this checkout."""
    packages: dict[str, str] = {}
    for root in reversed(_ROOTS):
        spec = importlib.util.find_spec(root)
        for module in pkgutil.iter_modules(spec.submodule_search_locations if spec else None, root + "."):
            name = module.name.rpartition(".")[2]
            if module.ispkg and name not in _NOT_PLUGINS:
                packages[name] = module.name
    return packages


def split_names(text: str) -> list[str]:
    """The names in a `load_plugins` value: `;` separated, `.so` optional, blanks ignored."""
    return [name.strip().removesuffix(".so") for name in text.split(";") if name.strip()]


def find(name: str, file: str, line: int) -> Plugin[object] | None:
    """Import a plug-in by name; None for a name that needs none. Raises ConfigError for an unknown or broken one."""
    if name in BUILT_IN:
        return None
    packages = available()
    package = packages.get(name)
    if package is None:
        near = difflib.get_close_matches(name, [*packages, *BUILT_IN], 1)
        hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(packages))}"
        raise ConfigError(file, line, "load_plugins", f"there is no plug-in {name!r}{hint}")
    plugin = getattr(importlib.import_module(package), "PLUGIN", None)
    if not isinstance(plugin, Plugin):
        raise ConfigError(file, line, "load_plugins", f"{name!r} ({package}) is no plug-in: its package has no PLUGIN")
    return plugin
