# SPDX-License-Identifier: GPL-2.0-or-later
"""How a hot loop becomes machine code, and how such a loop reads memory that it knows by address.

``kernel`` is numba's ``njit`` with the settings all kernels share. Compiled code is cached on disk, so that only the set-up
(``python -m media.engine.warm``) pays for compiling; where no cache folder can be written the kernel is compiled at every start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a function over arrays: no Python objects, no GIL held, cached on disk where that is possible."""
    try:
        compiled: Any = njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no folder that it may write a cache to
        compiled = njit(nogil=True, error_model="numpy")(function)
    result: F = compiled
    return result


def inline_kernel(function: F) -> F:
    """Compile a small function into each kernel that calls it; its own cache would never be asked."""
    compiled: Any = njit(nogil=True, error_model="numpy", inline="never")(function)
    result: F = compiled
    return result


def _generate_pointer(typing_context: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


_null: Any = cgutils.get_null_value
_pointer: Any = intrinsic(_generate_pointer)
_carray: Any = numba.carray  # type: ignore[attr-defined]
_uint8: Any = types.uint8
_int16: Any = types.int16


@inline_kernel
def bytes_at(address: Any, count: Any) -> Any:
    """View ``count`` bytes of memory as uint8. Inside kernels only; whoever stored the address keeps the array alive."""
    return _carray(_pointer(address), count, _uint8)


@inline_kernel
def samples_at(address: Any, count: Any) -> Any:
    """View ``count`` 16-bit samples of memory as int16, like ``bytes_at``."""
    return _carray(_pointer(address), count, _int16)


def _generate_borrowed(typing_context: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.return_type)(context, builder, arguments[0])
        view.meminfo = _null(view.meminfo.type)
        view.parent = _null(view.parent.type)
        return view._getvalue()

    return array(array), generate


borrowed: Any = intrinsic(_generate_borrowed)
"""View an array without owning it: for kernels' arguments, which their callers keep alive.

Every view that a loop takes of an owned array counts a reference, atomically, and that costs more than reading a packet's header.
"""
