# SPDX-License-Identifier: GPL-2.0-or-later
"""A profile: one file `<name>.sbcprofile.conf` (spec applications.md §22.3), checked when it is read. Pure.

text ─► `parse_profile` ─► Profile, texts with patterns ─► `filled(values)` for a call ─► Profile, texts as they count
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from di.apps.api import ConfigError, ConfigFile, PatternValues, describe, fill_pattern, load_options, parse_config
from di.apps.sbc.keys import (
    AuthKeys,
    CodecKeys,
    ContactKeys,
    FilterKeys,
    HeaderKeys,
    HoldKeys,
    IdentityKeys,
    OtherKeys,
    RoutingKeys,
    RtpKeys,
    TimerKeys,
    has_pattern,
    names,
)
from di.apps.sbc.message_pcap import part_of_name
from di.apps.sbc.refusal import parse_refusal
from di.apps.sbc.unsupported import why_not

SUFFIX = ".sbcprofile.conf"
_NOT_FILLED = ("call_control",)
"""It is read before a call is there, entry by entry."""


@dataclass(frozen=True)
class Profile(
    OtherKeys, HoldKeys, CodecKeys, RtpKeys, TimerKeys, AuthKeys, HeaderKeys, FilterKeys, RoutingKeys, ContactKeys, IdentityKeys
):
    """All options of one file. `controls`: instance of call_control → its keys, `module` among them, with patterns."""

    controls: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def filled(self, values: PatternValues) -> Profile:
        """The same with every text filled in for a call."""
        changes: dict[str, str] = {}
        for name in _TEXTS:
            text = getattr(self, name)
            if "$" in text or "\\" in text:
                changes[name] = fill_pattern(text, values, part_of_name if name == "msg_logger_path" else None)
        return dataclasses.replace(self, **changes) if changes else self  # type: ignore[arg-type]


_INFOS = describe(Profile)
_KEYS = {name: info.key for name, info in _INFOS.items()}
"""Field → key."""
_TEXTS = tuple(
    f.name for f in dataclasses.fields(Profile) if f.name in _INFOS and f.type == "str" and f.name not in _NOT_FILLED
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LoadedProfile:
    """A profile with its name and file; `md5` of the file's bytes."""

    name: str
    path: Path
    md5: str
    profile: Profile


def load_profile(name: str, path: Path) -> LoadedProfile:
    """Read a file. Raises ConfigError with the place and what would be right."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), 0, "", f"profile {name} cannot be read: {error.strerror}") from error
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return LoadedProfile(name, path, md5, parse_profile(data.decode("utf-8", "surrogateescape"), path))


def parse_profile(text: str, path: Path) -> Profile:
    """Read the text of a file. Raises ConfigError."""
    conf = ConfigFile(str(path))
    parse_config(text, conf, path.parent, _included)
    return _read(conf)


def _included(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise ConfigError(str(path), 0, "", f"cannot be read: {error.strerror}") from error


def _read(conf: ConfigFile) -> Profile:
    controls = _controls(conf)
    own = ConfigFile(conf.name)
    for key, entry in conf.entries.items():
        if why := why_not(key, entry.value):
            raise ConfigError(entry.file, entry.line, key, f"{entry.value!r} cannot be had here: {why}")
        if key in _KEYS.values():
            own.entries[key] = entry
        elif not any(key.startswith(f"{name}_") for name in controls) and not _read_by_nobody(key):
            near = difflib.get_close_matches(key, _KEYS.values(), 1)
            raise ConfigError(
                entry.file, entry.line, key, f"is no option of a profile{f'; did you mean {near[0]}?' if near else ''}"
            )
    profile = load_options(Profile, own, {}, "")
    if not has_pattern(profile.refuse_with):
        parse_refusal(profile.refuse_with, lambda why: ConfigError(*_place(conf, "refuse_with"), "refuse_with", why))
    return dataclasses.replace(profile, controls=controls)


def _place(conf: ConfigFile, key: str) -> tuple[str, int]:
    entry = conf.entries.get(key)
    return (entry.file, entry.line) if entry is not None else (conf.name, 0)


def _read_by_nobody(key: str) -> bool:
    return key.startswith(("enable_call_timer", "enable_prepaid"))


def _controls(conf: ConfigFile) -> dict[str, dict[str, str]]:
    """Instances by name: those that call_control names, and those that have a module, which a pattern may name for a call."""
    wanted = [name for name in names(conf.get("call_control")) if not has_pattern(name)]
    wanted += [key.removesuffix("_module") for key in conf.entries if key.endswith("_module")]
    return {name: dict(_keys_of(name, conf)) for name in dict.fromkeys(wanted)}


def _keys_of(name: str, conf: ConfigFile) -> Iterator[tuple[str, str]]:
    for key, entry in conf.entries.items():
        if key.startswith(f"{name}_"):
            yield key.removeprefix(f"{name}_"), entry.value
