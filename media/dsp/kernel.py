# SPDX-License-Identifier: GPL-2.0-or-later
"""How a hot loop becomes machine code, and how such a loop reads memory that it knows by address.

``kernel`` is numba's ``njit`` with the settings all kernels share. Compiled code is cached on disk, so that only the set-up
(``python -m media.engine.warm``) pays for compiling: what it leaves can be read by every user.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from media.dsp.kernel_cache import KernelCache

F = TypeVar("F", bound=Callable[..., Any])
_typeof: Any = numba.typeof


def kernel(function: F) -> F:
    """Compile a function over arrays: no Python objects, no GIL held, cached on disk where that is possible (``kernel_cache.py``)."""
    compiled: Any = njit(nogil=True, error_model="numpy")(function)
    compiled._cache = KernelCache(function)  # what numba's `cache=True` sets, with our places
    result: F = compiled
    return result


class SteadyKernel:
    """A kernel that is called with arguments of the same types always: their types are looked up at the first call only.

    numba looks up the types of each call's arguments, which for named tuples of arrays costs more than a small tick's work (mix_rooms:
    6.8 us a call, of which 2.2 are the passing itself). Arrays may be replaced by others of the same dtype, dimensions and layout.
    """

    __slots__ = ("_enter", "dispatcher")

    def __init__(self, dispatcher: Any) -> None:
        self.dispatcher = dispatcher
        self._enter: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """Run it."""
        if self._enter is None:
            signature = tuple(_typeof(argument) for argument in arguments)
            self.dispatcher.compile(signature)
            self._enter = self.dispatcher.overloads[signature].entry_point
        return self._enter(*arguments)


def steady_kernel(function: F) -> F:
    """Compile a function as ``kernel`` does, for a tick that calls it with the same types each time; not to be called by kernels."""
    compiled: Any = SteadyKernel(kernel(function))
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
_unpacked: Any = cgutils.unpack_tuple
_declared: Any = cgutils.get_or_insert_function
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


def _generate_prefetch(typing_context: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, number = cgutils.voidptr_t, ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = _declared(builder.module, shape, "llvm.prefetch.p0")
        builder.call(function, [builder.inttoptr(arguments[0], pointer), number(_FOR_WRITING), number(_KEEP), number(_DATA)])
        return context.get_dummy_value()

    return types.void(types.uintp), generate


def _native_call(builder: Any, address: Any, pointers: Any, numbers: Any) -> Any:
    number = ir.IntType(32)
    shape = ir.FunctionType(number, [cgutils.voidptr_t] * len(pointers) + [number] * len(numbers))
    given = [builder.inttoptr(pointer, cgutils.voidptr_t) for pointer in pointers]
    return builder.call(builder.inttoptr(address, shape.as_pointer()), [*given, *numbers])


def _generate_call_3(typing_context: Any, function: Any, first: Any, second: Any, third: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _native_call(builder, arguments[0], arguments[1:], ())

    return types.int32(types.uintp, types.uintp, types.uintp, types.uintp), generate


def _generate_call_4(typing_context: Any, function: Any, first: Any, second: Any, third: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _native_call(builder, arguments[0], arguments[1:4], arguments[4:])

    return types.int32(types.uintp, types.uintp, types.uintp, types.uintp, types.uint32), generate


call_3: Any = intrinsic(_generate_call_3)
"""Call a C function by its address with three pointers, given as addresses; it returns an int. Inside kernels only.

A library that is called so need not be there when a kernel is compiled or loaded, only when it is called.
"""
call_4: Any = intrinsic(_generate_call_4)
"""The same with an unsigned int as fourth argument."""

_FOR_WRITING, _KEEP, _DATA = 1, 3, 1
_prefetch: Any = intrinsic(_generate_prefetch)
CACHE_LINE_BYTES = 64


@inline_kernel
def fetch_ahead(address: Any, size_bytes: Any) -> None:
    """Ask for the cache lines from an address on that will soon be read and written; any address may be given, none is touched.

    A loop over thousands of legs meets each leg's state and ring cold: fetched a few legs ahead, they come while the loop works.
    """
    at = np.uint64(address)
    end = at + np.uint64(size_bytes)
    while at < end:
        _prefetch(at)
        at += np.uint64(CACHE_LINE_BYTES)


def _borrow(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.BaseTuple):
        kinds: Any = kind
        parts: Any = zip(kinds, _unpacked(builder, value), strict=True)
        return context.make_tuple(builder, kind, [_borrow(context, builder, part, member) for part, member in parts])
    if not isinstance(kind, types.Array):
        return value
    view = context.make_array(kind)(context, builder, value)
    view.meminfo = _null(view.meminfo.type)
    view.parent = _null(view.parent.type)
    return view._getvalue()


def _generate_borrowed(typing_context: Any, argument: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _borrow(context, builder, signature.return_type, arguments[0])

    return argument(argument), generate


borrowed: Any = intrinsic(_generate_borrowed)
"""View an array, or each array of a named tuple, without owning it: for kernels' arguments, which their callers keep alive.

Every view that a loop takes of an owned array counts a reference, atomically, and that costs more than reading a packet's header.
"""
