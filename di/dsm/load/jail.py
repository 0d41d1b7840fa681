# SPDX-License-Identifier: GPL-2.0-or-later
"""Which folders RPC may load scripts, modules and configurations from, and whose scripts may run code of their own.

    diag_path, mod_path, conf_dir of dsm.conf  ─┬─ what a function that names a path may name, with load_folders
                                                └─ scripts from diag_path, or from code_folders if that is set, may import mod_sys, mod_py

Whoever may call such a function (role admin) thus loads what the owner of the machine has put there, and nothing else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from di.dsm.language.errors import DsmError

CODE_MODULES = frozenset(("mod_sys", "mod_py"))
"""Modules that hand a script the server's rights: shell commands, files, Python."""


def inside(path: str, folders: tuple[str, ...]) -> bool:
    """Whether a path, with links followed, lies in one of the folders or is one."""
    if not path or "\0" in path:
        return False
    real = os.path.realpath(path)
    return any(os.path.commonpath((real, os.path.realpath(folder))) == os.path.realpath(folder) for folder in folders if folder)


@dataclass(frozen=True)
class Jail:
    """Absolute folders. `loads`: what may be named; `code`: whose scripts may import modules that run code."""

    loads: tuple[str, ...]
    code: tuple[str, ...]

    def check_load(self, path: str, what: str) -> None:
        """Raise DsmError for a path outside."""
        if not inside(path, self.loads):
            allowed = ", ".join(folder for folder in self.loads if folder) or "none"
            raise DsmError(
                f"{what} {path[:200]!r} is in none of the folders that may be loaded from ({allowed}); load_folders in dsm.conf adds some"
            )

    def check_module(self, module: str, diag_path: str) -> None:
        """Raise DsmError when scripts of a folder may not import a module."""
        if module in CODE_MODULES and not inside(diag_path, self.code):
            raise DsmError(
                f"{module} gives a script the rights of the server, and scripts of {diag_path or 'the current folder'} may not use it; "
                "code_folders in dsm.conf names the folders whose scripts may"
            )


ANYTHING = Jail(("/",), ("/",))
"""For tools that read a script on behalf of who started them."""
