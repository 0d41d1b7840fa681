# SPDX-License-Identifier: GPL-2.0-or-later
"""File names in module configuration, and names from outside that become part of a path."""

from __future__ import annotations

import re
from pathlib import Path

_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")


def configured(text: str, conf_dir: Path) -> Path:
    """A path as a module's file gives it: a relative one is taken from the configuration's folder, else from the current one."""
    path = Path(text)
    if path.is_absolute():
        return path
    beside = conf_dir / path
    return (beside if beside.exists() or not path.exists() else path).resolve()


def absolute_path(text: str) -> Path:
    """Read an absolute path, for `option(parse=…)`. Raises ValueError with what would be right."""
    path = Path(text)
    if not path.is_absolute():
        raise ValueError("right is an absolute path")
    return path


def existing_folder(text: str) -> Path:
    """Read the absolute path of a folder that exists. Raises ValueError with what would be right."""
    path = Path(text)
    if not path.is_absolute() or not path.is_dir():
        raise ValueError("right is the absolute path of a folder that exists")
    return path


def safe_name(name: str) -> bool:
    """Whether a name that a caller chose may be one step of a path: no separators, no control characters, not hidden, not `..`."""
    return bool(name) and len(name) <= 200 and not name.startswith(".") and _UNSAFE.search(name) is None
