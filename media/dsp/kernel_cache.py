# SPDX-License-Identifier: GPL-2.0-or-later
"""When compiled kernels on disk are good: as long as nothing has changed that their machine code was made of.

numba compares a kernel with its own file only, but inlined kernels, constants and the layout of a table come from the files which that
one imports. So the stamp of a file with kernels is of its text and of all that it imports from its package, directly or not:

    receive.py ─┬─► arrival.py ───► counters.py
                ├─► leg_table.py ─► resample.py     one stamp
                └─► relay.py …

What is imported for the sake of types counts as well. Kernels should therefore import kernels and constants only: what commands steer
has its kernels in a file apart (those of ``media/engine/relays.py`` in ``media/engine/relay.py``).

Where they are: set-up fills the source's ``__pycache__``, which every user may read; who may not write there keeps what it had to
compile in its own cache folder, if it has one. Neither a folder nor a disk that cannot be written ever stops a kernel.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import pickle
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from numba.core import caching
from numba.core.runtime.nrt import rtsys

_UNREADABLE = (EOFError, pickle.UnpicklingError, ValueError, AttributeError, ImportError)
"""What comes of a file that ends in its middle, and of an older version's whose types have moved: numba reads before it compares stamps."""


class _Stamped:
    """How a locator of numba's names machine code and judges its freshness. Its file name holds no line, so that none is left over."""

    _py_file: str

    def get_source_stamp(self) -> str:
        return stamp(Path(self._py_file))

    def get_disambiguator(self) -> str:
        return "0"


class InTree(_Stamped, caching.InTreeCacheLocator):
    """In the ``__pycache__`` beside the source, which need not be writable: what set-up put there is read all the same."""

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> InTree | None:
        """The place, for a function of a file."""
        return cls(py_func, py_file) if os.path.exists(py_file) else None


class UserWide(_Stamped, caching.UserWideCacheLocator):
    """In the user's cache folder, where the source's cannot be written."""


class _InTreeImpl(caching.CompileResultCacheImpl):
    _locator_classes = [InTree]  # noqa: RUF012 – as the base class has it


class _UserWideImpl(caching.CompileResultCacheImpl):
    _locator_classes = [UserWide]  # noqa: RUF012 – likewise


class _InTreeCache(caching.FunctionCache):
    _impl_class = _InTreeImpl


class _UserWideCache(caching.FunctionCache):
    _impl_class = _UserWideImpl


class KernelCache(caching.NullCache):
    """What numba asks for a kernel's machine code: the first of the places that has it, and the first that takes it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._caches: list[Any] = []
        for cache_class in (_InTreeCache, _UserWideCache):
            with contextlib.suppress(RuntimeError, OSError):  # numba found no such folder, or may not make it
                self._caches.append(cache_class(function))

    @property
    def cache_path(self) -> str:
        """The first place."""
        return str(self._caches[0].cache_path) if self._caches else ""

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The machine code, None when it has to be compiled. A place that cannot be read has nothing.

        Numba's own function of this name first imports and enlists all that it can compile, 0.1 s of a media process's start; machine
        code only needs what owns arrays. Whatever is compiled after all has numba do the rest then.
        """
        rtsys.initialize(target_context)
        for known in self._caches:
            try:
                found = known._load_overload(signature, target_context)
            except OSError:
                continue
            except _UNREADABLE:  # begin it anew
                with contextlib.suppress(OSError):
                    known.flush()
                continue
            if found is not None:
                return found
        return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Keep what was compiled, where that is possible."""
        for known in self._caches:
            with contextlib.suppress(OSError, *_UNREADABLE):
                known.save_overload(signature, data)
                return


@cache  # a process runs the source that it began with
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
            waiting += _imported_by(package, file)
    return sorted(seen)


@cache
def _imported_by(package: Path, file: Path) -> tuple[Path, ...]:
    """The files of a package that a file imports itself."""
    return tuple(dict.fromkeys(found for name in _imports(file) for found in _files_of(package, name)))


@cache
def _package_of(source: Path) -> Path:
    """The outermost package that a file is in."""
    package = source.parent
    while (package.parent / "__init__.py").is_file():
        package = package.parent
    return package


@cache
def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


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
