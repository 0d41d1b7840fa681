# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts on disk → diagrams: one collection for dsm.conf, one for each bundle (spec dsm.md §7.2)."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from di.dsm.language.check import findings
from di.dsm.language.errors import DsmError
from di.dsm.language.library import Library
from di.dsm.language.model import Diagram
from di.dsm.language.reader import read_diagram
from di.dsm.load.jail import ANYTHING, Jail
from di.dsm.load.modules import Modules, core_library
from di.dsm.options import BundleOptions
from di.kernel.config import ConfigFile
from di.kernel.text import from_file

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 4_000_000
"""A script is text that somebody wrote; a larger file is another kind of file."""


class DiskFiles:
    """`Loader` over the file system."""

    def read(self, path: str) -> str:
        """A file's text; bytes that are not UTF-8 survive as surrogate escapes."""
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise OSError(27, f"larger than {MAX_FILE_BYTES} bytes", path)
        try:
            return from_file(data)
        except ValueError as error:
            raise OSError(errno.EINVAL, str(error), path) from error

    def is_file(self, path: str) -> bool:
        """A regular file is there."""
        return "\0" not in path and os.path.isfile(path)

    def is_directory(self, path: str) -> bool:
        """A folder is there."""
        return "\0" not in path and os.path.isdir(path)

    def names(self, path: str) -> Sequence[str]:
        """What is in a folder."""
        return os.listdir(path)


@dataclass
class Bundle:
    """One collection of diagrams with its configuration. Calls keep the one that they began with; a reload makes a new one."""

    name: str
    options: BundleOptions
    config: Mapping[str, str] = field(default_factory=dict)
    diagrams: dict[str, Diagram] = field(default_factory=dict)
    methods: dict[tuple[str, bool], tuple[str, ...]] = field(default_factory=dict, init=False, compare=False, repr=False)
    """What `di.dsm.hub.taken_methods` has found in them."""

    @property
    def variables(self) -> dict[str, str]:
        """`$config.<key>` for every key of its file."""
        return {f"config.{key}": value for key, value in self.config.items()}

    @property
    def libraries(self) -> list[Library]:
        """Modules that any of its diagrams imports, each once (spec dsm.md §1.9)."""
        found: dict[str, Library] = {}
        for diagram in self.diagrams.values():
            for library in diagram.libraries:
                if isinstance(library, Library):
                    found.setdefault(library.name, library)
        return list(found.values())


def load_diagram(
    name: str, diag_path: str, mod_path: str, modules: Modules, *, jail: Jail = ANYTHING, check: bool = True, show: bool = False
) -> Diagram:
    """Read `<diag_path><name>.dsm`. Raises DsmError (GrammarError when the script is at fault); doubts are logged.

    `jail` says whether scripts of that folder may import modules that run code.
    """

    def find_module(module: str) -> Library:
        jail.check_module(module, diag_path)
        return modules.find(module, mod_path)

    path = f"{diag_path}{name}.dsm"
    try:
        text = DiskFiles().read(path)
    except (OSError, ValueError) as error:
        raise DsmError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if show:
        log.info("script %s:\n%s", path, text)
    reading = read_diagram(
        name, path, text, loader=DiskFiles(), core=core_library(), find_module=find_module, load_path=diag_path,
    )  # fmt: skip
    assert reading.diagram is not None
    for warning in (*reading.warnings, *(findings(reading.diagram, full=False) if check else ())):
        log.warning("%s", warning)
    return reading.diagram


def load_bundle(
    name: str,
    options: BundleOptions,
    conf: ConfigFile,
    modules: Modules,
    *,
    jail: Jail = ANYTHING,
    check: bool = True,
    show: bool = False,
) -> Bundle:
    """Read all scripts that a configuration names. Raises DsmError for the first that cannot be read."""
    config = {key: entry.value for key, entry in conf.entries.items()}
    bundle = Bundle(name, options, config)
    for diagram in options.load_diags:
        bundle.diagrams[diagram] = load_diagram(
            diagram, options.diag_path, options.mod_path, modules, jail=jail, check=check, show=show
        )
    for app in options.register_apps:
        if app not in bundle.diagrams:
            raise DsmError(f"{conf.name}: register_apps: {app} is not among load_diags ({', '.join(bundle.diagrams) or 'none'})")
    return bundle


def bundle_files(folder: str) -> list[Path]:
    """The configuration files of a conf_dir, in name order; a missing folder is only logged."""
    path = Path(folder)
    if not path.is_dir():
        log.error("conf_dir %s is no folder; no bundles are loaded", folder)
        return []
    return sorted(found for found in path.iterdir() if found.suffix == ".conf" and found.is_file())
