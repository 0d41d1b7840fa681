# SPDX-License-Identifier: GPL-2.0-or-later
"""How a hot loop becomes machine code, and how such a loop reads memory that it knows by address.

``kernel`` is numba's ``njit`` with the settings all kernels share. Compiled code is cached on disk, so that only the set-up
(``python -m media.engine.warm``) pays for compiling; where no cache folder can be written the kernel is compiled at every start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a function over arrays: no Python objects, no GIL held, cached on disk where that is possible."""
    try:
        compiled: F = njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no folder that it may write a cache to
        compiled = njit(nogil=True, error_model="numpy")(function)
    return compiled


def inline_kernel(function: F) -> F:
    """Compile a small function into each kernel that calls it; its own cache would never be asked."""
    compiled: F = njit(nogil=True, error_model="numpy", inline="never")(function)
    return compiled


@intrinsic  # type: ignore[untyped-decorator]
def _pointer(typing_context: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


@inline_kernel
def bytes_at(address: int, count: int) -> Any:
    """View ``count`` bytes of memory as uint8. Inside kernels only; whoever stored the address keeps the array alive."""
    return carray(_pointer(address), count, types.uint8)


@inline_kernel
def samples_at(address: int, count: int) -> Any:
    """View ``count`` 16-bit samples of memory as int16, like ``bytes_at``."""
    return carray(_pointer(address), count, types.int16)
