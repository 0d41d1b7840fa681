# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts, modules and prompts as the configuration names them: paths made absolute, files read, modules prepared. Knows no call."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from di.dsm.hub.hub_port import ServerHub
from di.dsm.language.errors import DsmError
from di.dsm.load.bundles import Bundle, load_bundle
from di.dsm.load.jail import Jail, inside
from di.dsm.load.modules import Modules
from di.dsm.load.prompt_sets import PromptSets
from di.dsm.options import BundleOptions, DsmOptions
from di.kernel.config import ConfigFile
from di.kernel.paths import configured
from di.kernel.text import from_file

log = logging.getLogger(__name__)


class ScriptFiles:
    """`options` are those of dsm.conf. `preload_prompt(path)` has the media process read a prompt now."""

    def __init__(self, options: DsmOptions, conf_dir: Path, hub: ServerHub, preload_prompt: Callable[[str], None]) -> None:
        self.options = options
        self.modules = Modules()
        self.prompts = PromptSets()
        self._conf_dir = conf_dir
        self._hub = hub
        self._preload_prompt = preload_prompt

    def path(self, text: str) -> str:
        """A path of the configuration: relative ones are looked for beside it."""
        if not text:
            return ""
        found = str(configured(text, self._conf_dir))
        return found + "/" if text.endswith("/") else found

    def media_path(self, text: str, to_read: bool = False) -> str | None:
        """The file that a script means: below the current folder, else the configuration's. None: outside media_root, or no path.

        `to_read`: the file itself decides which of the two is meant, not only its folder.
        """
        if not text or "\0" in text:
            return None
        found = os.path.abspath(text)
        if not text.startswith("/") and not os.path.exists(found if to_read else os.path.dirname(found)):
            found = os.path.abspath(os.path.join(self._conf_dir, text))  # `/` of Path costs twice the look at the file
        root = self.path(self.options.media_root)
        if root and not os.path.realpath(found).startswith(os.path.realpath(root) + os.sep):
            log.error("%s lies outside media_root %s", text, root)
            return None
        return found

    def read(self, name: str, options: BundleOptions, conf: ConfigFile) -> Bundle:
        """Read the scripts of a configuration. Raises DsmError."""
        placed, jail = self.placed(options), self.jail
        ours = Path(conf.name) == self._conf_dir / "dsm.conf" or inside(conf.name, (self.path(self.options.conf_dir),))
        if ours and not self.options.code_folders:
            jail = dataclasses.replace(jail, code=(placed.diag_path,))
        return load_bundle(
            name,
            placed,
            conf,
            self.modules,
            jail=jail,
            check=self.options.dsm_consistency_check,
            show=self.options.debug_raw_dsm,
        )

    @property
    def jail(self) -> Jail:
        """What functions from outside may load, and whose scripts may run code."""
        options, further = self.options, tuple(map(self.path, self.options.load_folders))
        diag_path = self.path(options.diag_path)
        loads = tuple(filter(None, (diag_path, self.path(options.mod_path), self.path(options.conf_dir), *further)))
        return Jail(loads, tuple(map(self.path, options.code_folders)) or (diag_path,))

    def placed(self, options: BundleOptions) -> BundleOptions:
        """Options with the paths of scripts and modules made absolute."""
        return dataclasses.replace(options, diag_path=self.path(options.diag_path), mod_path=self.path(options.mod_path))

    def load_prompts(self, options: BundleOptions) -> None:
        """Read the prompt lists; what they name is read by the media process now. Raises DsmError."""
        lists = [(self.path(name), "") for name in options.load_prompts]
        lists += [(self.path(options.prompts_sets_path + name), name) for name in options.load_prompts_sets]
        for path, set_name in lists:
            try:
                text = from_file(Path(path).read_bytes())
            except (OSError, ValueError) as error:
                raise DsmError(f"prompt list {path} cannot be read: {getattr(error, 'strerror', '') or error}") from error
            for prompt in self.prompts.add(text, os.path.isfile, set_name):
                self._preload_prompt(os.path.abspath(prompt))
        missing = [name for name in options.required_prompts if name not in self.prompts.default]
        if missing:
            raise DsmError(f"required_prompts: {', '.join(missing)} not found in load_prompts")

    def preload(self, options: BundleOptions) -> None:
        """Load modules before any script asks for them. Raises DsmError."""
        for name in options.preload_mods:
            self.preload_module(name, self.path(options.mod_path))

    def preload_module(self, name: str, folder: str) -> None:
        """Load one and let it prepare. Raises DsmError."""
        library = self.modules.find(name, folder)
        prepare: Any = library.hooks.get("preload")
        if prepare is not None:
            # mod_regex reads mod_regex.conf, mod_aws reads aws.conf (spec dsm.md §5.7, §5.11)
            prepare(self._hub.settings(name) or self._hub.settings(name.removeprefix("mod_")), self._hub.shared)
