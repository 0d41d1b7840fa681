# SPDX-License-Identifier: GPL-2.0-or-later
"""When compiled kernels on disk are good: as long as nothing has changed that their machine code was made of.

numba compares a kernel with its own file only, but inlined kernels, constants and the layout of a table come from the files which that
one imports. So the stamp of a file with kernels is of its text and of all that it imports from its package, directly or not:

    receive.py ─┬─► arrival.py ───► counters.py
                ├─► leg_table.py ─► resample.py     one stamp
                └─► relay.py …

What is imported for the sake of types counts as well. Kernels should therefore import kernels and constants only: what commands steer
has its kernels in a file apart (those of ``media/engine/relays.py`` in ``media/engine/relay.py``).
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from numba.core import caching


class _Stamped:
    """How a locator of numba's names machine code and judges its freshness. Its file name holds no line, so that none is left over."""

    _py_file: str

    def get_source_stamp(self) -> str:
        return stamp(Path(self._py_file))

    def get_disambiguator(self) -> str:
        return "0"


class InTree(_Stamped, caching.InTreeCacheLocator):
    """In the ``__pycache__`` beside the source."""


class UserWide(_Stamped, caching.UserWideCacheLocator):
    """In the user's cache folder, where the source's cannot be written."""


LOCATORS = ",".join(f"{cls.__module__}.{cls.__name__}" for cls in (InTree, UserWide))
"""Value of numba's CACHE_LOCATOR_CLASSES."""


def stamp(source: Path) -> str:
    """Return a digest of a file and of all files of its package that it imports, directly or not."""
    package = _package_of(source)
    files = (f"{file.relative_to(package)} {_digest(file)}" for file in imported_files(source))
    return hashlib.sha256("\n".join(files).encode()).hexdigest()


def imported_files(source: Path) -> list[Path]:
    """Return a file and all files of its package that it imports, directly or not, sorted."""
    package = _package_of(source)
    seen: set[Path] = set()
    waiting = [source]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += (found for name in _imports(file) for found in _files_of(package, name))
    return sorted(seen)


def _package_of(source: Path) -> Path:
    """The outermost package that a file is in."""
    package = source.parent
    while (package.parent / "__init__.py").is_file():
        package = package.parent
    return package


@cache  # a process runs the source that it began with
def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@cache
def _imports(file: Path) -> tuple[str, ...]:
    """Full names of modules that a file imports, and of what it takes from them: that may be modules as well.

    Raises ValueError for an import relative to the file, which a package of ours does not have.
    """
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise ValueError(f"{file}:{node.lineno}: a file with kernels, or one that they import, must import by full names")
            names += (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    return tuple(names)


def _files_of(package: Path, name: str) -> Iterator[Path]:
    """The file of a module's full name, and those of the packages that it is in; nothing for other packages' and for no module."""
    first, *inner = name.split(".")
    if first != package.name:
        return
    for depth in range(len(inner) + 1):
        path = package.joinpath(*inner[:depth])
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                yield file
