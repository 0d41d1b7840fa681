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
import logging
import pkgutil
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from di.kernel.errors import ConfigError

if TYPE_CHECKING:
    from di.server.services import Services

log = logging.getLogger(__name__)

OptionsT = TypeVar("OptionsT")
Closer: TypeAlias = Callable[[], Awaitable[None] | None] | None

NEEDLESS = {
    **dict.fromkeys(("wav", "mp3"), "audio files are the media process's"),
    **dict.fromkeys(("gsm", "ilbc", "l16", "adpcm", "speex", "opus", "g722", "g729"), "codecs are the media process's"),
    **dict.fromkeys(("sipctrl", "session_timer"), "the SIP process does that"),
}
"""SEMS's plug-ins whose work is done here without one, and by whom; accepted so that old files load."""

NOT_HERE = frozenset(
    "announce_auth b2b_connect cacheannounce call_timer "
    "cc_siprec "
    "conf_auth db_announce diameter_client dtmftester early_dbprompt "
    "early_record gateway ivr-python2 jukecall mailbox mixin_announce mobile_push pin_collect "
    "pinauthconference py_sems rtmp serviceline simple_conference siprec_srs sw_prepaid_sip "
    "twit urlcatcher".split()
)
"""SEMS's plug-ins that are not in cordboard. One that has come to be here is found before this list is asked."""

NO_CODEC = frozenset(("isac", "silk", "codec2"))
"""SEMS's codec plug-ins whose codec is not here: calls agree on another, so the start goes on."""

_ROOTS = ("di.apps", "di.stores", "di.modules", "di", "interfaces")
_RECORD = re.compile(r"^PLUGIN\b", re.MULTILINE)


@dataclass(frozen=True)
class Plugin(Generic[OptionsT]):
    """One module. `config_required`: without `<name>.conf` the start stops, as SEMS has it for this module.

    `requires`: plug-ins that must stand earlier in `load_plugins`. `brings`: plug-ins that SEMS does not have, so its configurations do not
    name them: they are loaded before this one, also where nobody names them, and then need no file. `listens_last`: started after
    all others, because it opens a way to functions that the others register.
    """

    name: str
    start: Callable[[Services, OptionsT], Closer | Awaitable[Closer]]
    options: type[OptionsT] | None = None
    requires: tuple[str, ...] = ()
    brings: tuple[str, ...] = ()
    config_required: bool = False
    listens_last: bool = False


def available() -> dict[str, str]:
    """Plug-in name → package, for everything that can be loaded from this checkout."""
    packages: dict[str, str] = {}
    for root in reversed(_ROOTS):
        spec = importlib.util.find_spec(root)
        for module in pkgutil.iter_modules(spec.submodule_search_locations if spec else None, root + "."):
            if module.ispkg and _has_record(module):
                packages[module.name.rpartition(".")[2]] = module.name
    return packages


def _has_record(module: pkgutil.ModuleInfo) -> bool:
    """Whether a package says that it is a plug-in; looking does not import it."""
    spec = module.module_finder.find_spec(module.name, None)
    origin = spec.origin if spec is not None else None
    return origin is not None and _RECORD.search(Path(origin).read_text("utf-8")) is not None


def split_names(text: str) -> list[str]:
    """The names in a `load_plugins` value: `;` separated, `.so` optional, blanks ignored."""
    return [name.strip().removesuffix(".so") for name in text.split(";") if name.strip()]


def find(names: list[str], file: str, line: int) -> list[Plugin[object]]:
    """Import plug-ins by name, in order; names that need none are left out. Raises ConfigError, which lists every name that is wrong."""
    packages = available() if names else {}  # most plug-ins bring none, and to look through all packages is 2 % of a start
    found, wrong = [], []
    for name in names:
        if name in packages:
            found.append(_load(name, packages[name], file, line))
        elif name in NEEDLESS:
            log.info("%s:%d: load_plugins: %s needs no plug-in here: %s", file, line, name, NEEDLESS[name])
        elif name in NO_CODEC:
            log.warning("%s:%d: load_plugins: the codec of SEMS's %s is not here; calls agree on another", file, line, name)
        elif name in NOT_HERE:
            wrong.append(f"SEMS's plug-in {name} is not in cordboard: take the name out")
        else:
            near = difflib.get_close_matches(name, packages, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(packages))}"
            wrong.append(f"there is no plug-in {name!r}; {hint}")
    if wrong:
        raise ConfigError(file, line, "load_plugins", "; ".join(wrong))
    return found


def _load(name: str, package: str, file: str, line: int) -> Plugin[object]:
    plugin = getattr(importlib.import_module(package), "PLUGIN", None)
    if not isinstance(plugin, Plugin):
        raise ConfigError(file, line, "load_plugins", f"{name!r} ({package}) is no plug-in: its package has no PLUGIN")
    return plugin
