# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of several files is the first that is there, asked again and again: what is missing is looked for anew only when a folder has changed.

A caller's announcement is looked for in five places, four of which nearly always lack it, and each look is a system call of up to 10 us.
A file that is not there cannot come without a change of the nearest folder above it that is (its time of change, which nobody can set), so
of such a folder one look is enough for all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterable
from os.path import dirname, isdir, isfile, lexists
from pathlib import Path
from typing import TypeAlias

_Stamp: TypeAlias = tuple[int, int, int]
_MOST = 1000
_YOUNG_NS = 1_000_000_000
"""A folder that was changed since may change once more with the same time: file systems count in ticks of some milliseconds."""


class KnownFiles:
    """What was found, by what was asked for. `wall_ns`: nanoseconds since 1970."""

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._wall_ns = wall_ns
        self._known: dict[Hashable, tuple[Path, str, dict[str, _Stamp]]] = {}

    def first(self, asked: Hashable, paths: Callable[[], Iterable[Path]]) -> Path | None:
        """The first path that is a file; None when none is. `paths` are always the same for what is asked."""
        known = self._known.get(asked)
        if known is not None and isfile(known[1]) and all(_stamp(folder) == stamp for folder, stamp in known[2].items()):
            return known[0]
        missing: list[str] = []
        for path in paths():
            if isfile(path):
                self._keep(asked, path, missing)
                return path
            missing.append(str(path))
        return None

    def _keep(self, asked: Hashable, found: Path, missing: list[str]) -> None:
        """Remember that, if what is missing cannot come unnoticed."""
        self._known.pop(asked, None)
        lacking = [_lacking(path) for path in missing]
        stamps: dict[str, _Stamp] = {}
        for folder in lacking:
            stamp = _stamp(folder) if folder is not None else None
            if folder is None or stamp is None or self._wall_ns() - stamp[2] < _YOUNG_NS:
                return
            stamps[folder] = stamp
        if lacking != [_lacking(path) for path in missing]:
            return  # something came between the look and the stamp
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[asked] = found, str(found), stamps


def _stamp(folder: str) -> _Stamp | None:
    """Which folder it is, and when it was changed last: entries, owner or rights."""
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_ctime_ns


def _lacking(path: str) -> str | None:
    """The folder without whose change a path does not come to be; None when it is there and no file (a link to nowhere may come to life)."""
    while not lexists(path):
        path = dirname(path) or "."
        if isdir(path):
            return path
    return None
