# SPDX-License-Identifier: GPL-2.0-or-later
"""Typed configuration: one frozen dataclass a module, one field a key.

    @dataclass(frozen=True)
    class Options:
        xmlrpc_port: int = option(8090, help="TCP port of the gateway.", minimum=0, maximum=65535)
        predefined_rooms: tuple[Room, ...] = option((), help="…", parse=parse_rooms)

`load(Options, conf, environ)` reads a file into it: str, int, float and bool (`yes` is true, spec core.md §1) by annotation, anything
else by `parse`, which raises ValueError with what would be right. The environment overrides the file: CORDBOARD_<MODULE>_<KEY>, for
sems.conf CORDBOARD_<KEY>, upper case. Unknown keys warn, with the nearest known one; a class may name keys of SEMS that are known and
have no effect in `IGNORED: ClassVar[tuple[str, ...]]` (shell patterns).
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import logging
import re
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, cast

from di.kernel.config import ConfigEntry, ConfigFile
from di.kernel.errors import ConfigError

log = logging.getLogger(__name__)
T = TypeVar("T")


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()
"""As a default: the key must be in the file."""


@dataclasses.dataclass(frozen=True, slots=True)
class OptionInfo:
    """What is known of one key; the samples in etc/ and the documentation are written from it."""

    key: str
    default: object
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | None = None
    unit: str = ""
    parse: Callable[[str], object] | None = None
    pattern: str = ""
    secret: bool = False


def option(
    default: T | _Required,
    *,
    help: str,
    key: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    unit: str = "",
    parse: Callable[[str], T] | None = None,
    secret: bool = False,
) -> T:
    """Declare one key as a dataclass field. Without `key` the field's name is the key. `secret` values are never logged."""
    info = OptionInfo(key, default, help, minimum, maximum, choices, unit, parse, secret=secret)
    field: T = dataclasses.field(default=cast(T, default), metadata={"option": info})
    return field


def further_keys(pattern: str, *, help: str) -> dict[str, str]:
    """Declare a `dict[str, str]` field that takes every other key matching a shell pattern, as dsm.conf and `dialout_pin*` need."""
    info = OptionInfo("", {}, help, pattern=pattern)
    field: dict[str, str] = dataclasses.field(default_factory=dict, metadata={"option": info})
    return field


def describe(cls: type) -> dict[str, OptionInfo]:
    """Field name → its option, in order of definition."""
    found: dict[str, OptionInfo] = {}
    for f in dataclasses.fields(cls):
        info = f.metadata.get("option")
        if isinstance(info, OptionInfo):
            found[f.name] = info if info.key else dataclasses.replace(info, key=f.name)
    return found


def where(options: object, field_name: str) -> tuple[str, int]:
    """File and line that gave a field its value: the file's name and 0 for a default, the variable's name and 0 for an override."""
    sources: dict[str, tuple[str, int]] = getattr(options, "_sources", {})
    return sources.get(field_name, sources.get("", ("", 0)))


def keep_sources(changed: T, original: object, more: Mapping[str, tuple[str, int]] | None = None) -> T:
    """Let `where` answer for a copy of loaded options as it does for the original, and for `more`; returns the copy."""
    object.__setattr__(changed, "_sources", {**getattr(original, "_sources", {}), **(more or {})})
    return changed


def load(cls: type[T], conf: ConfigFile, environ: Mapping[str, str], module: str | None = None) -> T:
    """Make a `cls` from a file and the environment. `module` defaults to the file's stem (`sems` has no module part in variables).

    Unknown keys and doubtful values are logged as warnings. Raises ConfigError for a bad or missing value.
    """
    module = Path(conf.name).stem if module is None else module
    known = describe(cls)
    hints = typing.get_type_hints(cls)
    values: dict[str, object] = {}
    sources: dict[str, tuple[str, int]] = {"": (conf.name, 0)}
    for name, info in known.items():
        if info.pattern:
            continue
        entry = _lookup(conf, info.key, environ, module)
        if entry is not None:
            values[name] = convert(info, hints[name], entry)
            sources[name] = (entry.file, entry.line)
        elif info.default is REQUIRED:
            raise ConfigError(conf.name, 0, info.key, f"is missing; it is required: {info.help}")
    values.update(_further(conf, known))
    for warning in conf.warnings:
        log.warning("%s", warning)
    _warn_unknown(conf, known, getattr(cls, "IGNORED", ()))
    instance = cls(**values)
    object.__setattr__(instance, "_sources", sources)
    return instance


def variable(module: str, key: str) -> str:
    """The environment variable that overrides a key."""
    name = key if module in ("", "sems") else f"{module}_{key}"
    return "CORDBOARD_" + re.sub(r"\W", "_", name).upper()


def _lookup(conf: ConfigFile, key: str, environ: Mapping[str, str], module: str) -> ConfigEntry | None:
    name = variable(module, key)
    if name in environ:
        return ConfigEntry(environ[name], f"environment variable {name}", 0)
    return conf.entries.get(key)


def convert(info: OptionInfo, hint: object, entry: ConfigEntry) -> object:
    """Turn a key's text into its type. Raises ConfigError that says what would be right."""
    text = entry.value
    shown = "…" if info.secret else repr(text)
    if info.parse is not None:
        try:
            return info.parse(text)
        except ValueError as error:
            raise ConfigError(entry.file, entry.line, info.key, f"{shown} cannot be used: {error}") from error
    if info.choices is not None and text not in info.choices:
        raise ConfigError(entry.file, entry.line, info.key, f"{shown} is none of: {', '.join(info.choices)}")
    if hint is bool:
        if text not in ("yes", "no"):
            log.warning("%s:%d: %s: %s means no; only `yes` switches it on", entry.file, entry.line, info.key, shown)
        return text == "yes"
    if hint is int or hint is float:
        return _number(info, hint, entry, text)
    return text


def _number(info: OptionInfo, hint: object, entry: ConfigEntry, text: str) -> int | float:
    unit = f" ({info.unit})" if info.unit else ""
    pattern = r"-?[0-9]{1,18}" if hint is int else r"-?[0-9]{1,18}(\.[0-9]{1,18})?"
    right = _range_text(info, hint) + unit
    if not re.fullmatch(pattern, text):
        raise ConfigError(entry.file, entry.line, info.key, f"{text!r} is not {right}")
    number = int(text) if hint is int else float(text)
    low = 0 if info.minimum is None and hint is int else info.minimum
    if (low is not None and number < low) or (info.maximum is not None and number > info.maximum):
        raise ConfigError(entry.file, entry.line, info.key, f"{text} is not {right}")
    return number


def _range_text(info: OptionInfo, hint: object) -> str:
    kind = "a whole number" if hint is int else "a number"
    low = 0 if info.minimum is None else info.minimum
    return f"{kind} from {low:g} to {info.maximum:g}" if info.maximum is not None else f"{kind} from {low:g} up"


def _further(conf: ConfigFile, known: dict[str, OptionInfo]) -> dict[str, dict[str, str]]:
    declared = {info.key for info in known.values() if not info.pattern}
    return {
        name: {
            key: entry.value
            for key, entry in conf.entries.items()
            if key not in declared and fnmatch.fnmatchcase(key, info.pattern)
        }
        for name, info in known.items()
        if info.pattern
    }


def _warn_unknown(conf: ConfigFile, known: dict[str, OptionInfo], ignored: tuple[str, ...]) -> None:
    keys = [info.key for info in known.values() if not info.pattern]
    patterns = [info.pattern for info in known.values() if info.pattern]
    for key, entry in conf.entries.items():
        if key in keys or any(fnmatch.fnmatchcase(key, pattern) for pattern in patterns):
            continue
        if any(fnmatch.fnmatchcase(key, pattern) for pattern in ignored):
            log.info("%s:%d: %s is a key of SEMS that has no effect here", entry.file, entry.line, key)
            continue
        near = difflib.get_close_matches(key, keys, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        log.warning("%s:%d: unknown key %s is ignored%s", entry.file, entry.line, key, hint)
