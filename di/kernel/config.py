# SPDX-License-Identifier: GPL-2.0-or-later
"""SEMS's configuration syntax: text in, keys with value, file and line out (spec core.md §1).

    key = value            # unquoted: ends at blank, '#' or end of line
    key = "a value"        # quoted: kept as it stands, also a \\" inside
    key = one;two;\\        # goes on in the next line: blanks around the break are dropped
          three
    @more.conf             # include; relative names are looked up in plugin_config_path

Only `ConfigFile.read` touches a disk; `parse` is the pure part. What a key means is decided in `di.kernel.options`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from di.kernel.errors import ConfigError
from di.kernel.text import from_file

_MAX_INCLUDE_DEPTH = 16
_KEY = re.compile(r"[^\s=#\"@][^\s=#\"]*")
_EXPECTED = "expected `key = value`, `@file` or a comment"


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """One key's value as written, and where it was written."""

    value: str
    file: str
    line: int


@dataclass
class ConfigFile:
    """The keys of one configuration file with its includes. `found` is False for a file that does not exist."""

    name: str
    entries: dict[str, ConfigEntry] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    found: bool = True

    @classmethod
    def empty(cls, name: str) -> ConfigFile:
        """A file without keys: every option keeps its default. `name` appears in messages."""
        return cls(name, found=False)

    @classmethod
    def read(cls, path: Path | str, include_dir: Path | str | None = None) -> ConfigFile:
        """Read a file and what it includes; relative includes are taken from `include_dir`, else from the file's own folder.

        Raises ConfigError for a syntax error, an unreadable file or a failing include.
        """
        path = Path(path)
        conf = cls(str(path))
        parse(_load(path, ""), conf, Path(include_dir) if include_dir is not None else path.parent, lambda p: _load(p, str(path)))
        return conf

    def get(self, key: str, default: str = "") -> str:
        """The value as text, for the few keys that are needed before the options are read."""
        entry = self.entries.get(key)
        return default if entry is None else entry.value


def _load(path: Path, wanted_by: str) -> str:
    try:
        return from_file(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        hint = f"cannot be read ({reason}); " + (f"it is included by {wanted_by}" if wanted_by else "name an existing file")
        raise ConfigError(str(path), 0, "", hint) from error


def parse(text: str, conf: ConfigFile, include_dir: Path, load: Callable[[Path], str], file: str = "", depth: int = 0) -> Path:
    """Add the keys of `text` to `conf`. Returns the include folder, which `plugin_config_path` changes as soon as it is seen.

    Raises ConfigError with file and line; any text gives keys or that error.
    """
    file = file or conf.name
    for number, line in _lines(text):
        if not line or line.startswith("#"):
            continue
        if line.startswith("@"):
            target = line[1:].split("#", 1)[0].strip(' \t"')
            include_dir = _include(target, conf, include_dir, load, file, number, depth)
            continue
        key, value = _split(line, file, number)
        if key in conf.entries:
            old = conf.entries[key]
            conf.warnings.append(f"{file}:{number}: {key} is set again (before: {old.file}:{old.line}); the last one counts")
        if key == "plugin_config_path":
            value = value if not value or value.endswith("/") else value + "/"
            include_dir = module_folder(Path(value), Path(conf.name)) if value else Path(conf.name).parent
        conf.entries[key] = ConfigEntry(value, file, number)
    return include_dir


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with the number of their first one; one that ends in a backslash goes on in the next, as in the 2009 presentation."""
    begun, first = "", 0
    for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        line = raw.strip(" \t")
        if line.endswith("\\") and (begun or not line.startswith("#")):
            begun, first = begun + line[:-1].rstrip(" \t"), first or number
            continue
        yield first or number, begun + line
        begun, first = "", 0
    if begun:
        yield first, begun


def module_folder(path: Path, file: Path) -> Path:
    """Where a `plugin_config_path` in `file` leads. What is configured does not depend on where one stands: a relative path is
    taken from the file's folder, then from the one above it (`etc/` in etc/sems.conf is that folder itself), then from here.
    """
    folder = file.absolute().parent
    for found in (folder / path, folder.parent / path, path):
        if os.path.isdir(found):  # unlike Path.is_dir it says no to a name that is too long
            return path if os.path.isdir(path) and path.samefile(found) else found  # the shorter name in messages
    return folder / path


def _include(
    target: str, conf: ConfigFile, include_dir: Path, load: Callable[[Path], str], file: str, number: int, depth: int
) -> Path:
    if not target:
        raise ConfigError(file, number, "", "`@` needs a file name, e.g. @local.conf")
    if depth >= _MAX_INCLUDE_DEPTH:
        raise ConfigError(file, number, "", f"includes nest deeper than {_MAX_INCLUDE_DEPTH}: does {target} include itself?")
    path = Path(target) if target.startswith("/") else include_dir / target
    try:
        included = load(path)
    except ConfigError as error:
        raise ConfigError(file, number, "@" + target, error.hint) from error
    return parse(included, conf, include_dir, load, str(path), depth + 1)


def _split(line: str, file: str, number: int) -> tuple[str, str]:
    match = _KEY.match(line)
    if match is None:
        raise ConfigError(file, number, "", _EXPECTED)
    key = match.group()
    rest = line[match.end() :].lstrip(" \t")
    if not rest.startswith("="):
        raise ConfigError(file, number, key, f"`=` is missing; {_EXPECTED}")
    rest = rest[1:].lstrip(" \t")
    if rest.startswith('"'):
        return key, _quoted(rest, key, file, number)
    value = re.match(r"[^ \t#]*", rest)
    assert value is not None
    after = rest[value.end() :].lstrip(" \t")
    if after and not after.startswith("#"):
        raise ConfigError(file, number, key, f'a value with blanks needs quotes: {key} = "{rest.split("#")[0].strip()}"')
    return key, value.group()


def _quoted(rest: str, key: str, file: str, number: int) -> str:
    match = re.match(r'"((?:\\"|[^"\\]|\\(?!"))*)"', rest)
    if match is None:
        raise ConfigError(file, number, key, 'the closing `"` is missing')
    after = rest[match.end() :].lstrip(" \t")
    if after and not after.startswith("#"):
        raise ConfigError(file, number, key, f"nothing may follow the closing quote, but there is {after[:20]!r}")
    return match.group(1)
