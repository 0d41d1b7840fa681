# SPDX-License-Identifier: GPL-2.0-or-later
"""The one registry of DI functions: what a module offers, how arguments are bound, who may call.

A module marks methods and hands its object over; everything else is read from signature and docstring:

    class Webconference:
        @di_method("roomCreate")
        def room_create(self, room: str, timeout_s: int = 0) -> list[Value]:
            '''Create a room and return its admin pin.'''

Binding follows AmArg (spec di.md §1.2): a missing argument is OutOfBounds, another type is TypeMismatch, extra arguments are ignored,
nothing is converted (bool ≠ int ≠ LongLong ≠ float). A `*rest: Value` parameter takes all further arguments. A parameter annotated
`Lenient[T]` counts as absent when its type does not fit. A method whose one parameter is annotated `RawArgs` gets the argument value
unbound. A parameter annotated `Caller` is filled in with who calls and is no argument of the wire. A method may be `async`; `invoke` then
returns an awaitable. There is no global registry object: `di.boot` makes one.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any, TypeAlias, TypeVar

from di.kernel.errors import Forbidden, NoSuchModule, NotImplementedInDI, OutOfBounds, TypeMismatch
from di.kernel.value import LongLong, Value

T = TypeVar("T")
_LENIENT = "lenient"
Lenient = Annotated[T, _LENIENT]
_RAW = "raw"
RawArgs = Annotated[Value, _RAW]
Function: TypeAlias = "Callable[..., Value | Awaitable[Value]]"

_EXACT: dict[object, type] = {t: t for t in (str, int, float, bool, bytes, list, dict, LongLong)}
_ANY = (object, Any)


@dataclasses.dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a call runs. `allows(module, method)` is the whole access decision; in-process callers may do everything.

    `would_allow` decides alike, for who only wants to know beforehand: no line in the log says that somebody was denied.
    """

    name: str = "core"
    transport: str = "internal"
    source: str = ""
    allows: Callable[[str, str], bool] = lambda module, method: True
    would_allow: Callable[[str, str], bool] = lambda module, method: True


INTERNAL = Caller()


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter: `type` None accepts any value; `lenient` treats a wrong type as absent."""

    name: str
    type: type | None
    required: bool
    lenient: bool = False
    default: Value = None


@dataclasses.dataclass(frozen=True, slots=True)
class Method:
    """A callable DI function. `listed` is the name shown by `_list`, or None; `rest` says that further arguments are taken."""

    module: str
    name: str
    function: Function
    parameters: tuple[Parameter, ...]
    rest: bool
    raw: bool
    listed: str | None
    changes: bool
    dangerous: bool
    returns: object
    doc: str
    wants_caller: bool = False

    @property
    def full_name(self) -> str:
        """`module.method`, the name that permissions and audit use."""
        return f"{self.module}.{self.name}"

    def bind(self, args: Value) -> list[Value]:
        """Check a call's arguments and return them positionally.

        `args` is a list, a dict (bound by parameter name, new in cordboard) or None (no parameter list at all, spec di.md §3.2).
        Raises OutOfBounds or TypeMismatch.
        """
        if self.raw:
            return [args]
        if isinstance(args, list):
            return self._bind_positions(args)
        if args is None:
            if any(p.required for p in self.parameters):
                raise TypeMismatch(f"{self.full_name} needs arguments")
            return []
        if type(args) is dict:
            return self._bind_names(args)
        raise TypeMismatch(f"{self.full_name}: arguments must be an array")

    def _bind_positions(self, args: list[Value]) -> list[Value]:
        count = len(args)
        bound: list[Value] = []
        for index, parameter in enumerate(self.parameters):
            if index >= count:
                if parameter.required:
                    raise OutOfBounds(f"{self.full_name}: argument {index} ({parameter.name}) is missing")
                break
            value = args[index]
            if parameter.type is not None and type(value) is not parameter.type:
                value = self._of_another_type(index, parameter, value)
            bound.append(value)
        if self.rest:
            bound.extend(args[len(self.parameters) :])
        return bound

    def _bind_names(self, args: dict[str, Value]) -> list[Value]:
        names = {p.name for p in self.parameters}
        for name in args:
            if name not in names:
                raise TypeMismatch(f"{self.full_name} has no parameter {name!r}; it has: {', '.join(sorted(names)) or 'none'}")
        values: list[Value] = []
        for index, parameter in enumerate(self.parameters):
            if parameter.name not in args:
                if parameter.required:
                    raise OutOfBounds(f"{self.full_name}: argument {index} ({parameter.name}) is missing")
                values.append(parameter.default)
                continue
            value = args[parameter.name]
            if parameter.type is not None and type(value) is not parameter.type:
                value = self._of_another_type(index, parameter, value)
            values.append(value)
        return values

    def _of_another_type(self, index: int, parameter: Parameter, value: Value) -> Value:
        """What a value that is not exactly of a parameter's type binds as; bool and LongLong are no int. Raises TypeMismatch."""
        if parameter.type is list and isinstance(value, list):
            return value  # an OwnArray: a list to everybody else
        if parameter.lenient:
            return parameter.default
        raise TypeMismatch(_mismatch(self, index, parameter, value))


def _mismatch(method: Method, index: int, parameter: Parameter, value: Value) -> str:
    assert parameter.type is not None
    return (
        f"{method.full_name}: argument {index} ({parameter.name}) must be {parameter.type.__name__}, not {type(value).__name__}"
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Mark:
    names: tuple[str, ...]
    listed: bool | str
    changes: bool
    dangerous: bool


F = TypeVar("F", bound=Callable[..., object])


def di_method(*names: str, listed: bool | str = True, changes: bool = True, dangerous: bool = False) -> Callable[[F], F]:
    """Mark a method as a DI function under one or more SEMS names.

    `listed`: whether `_list` shows it, or the name it shows instead. `changes`: it alters state, so a call is written to the audit log.
    `dangerous`: it names files, loads or evaluates code, reaches other hosts, dials, or stops things; a role gets it only by name, never by
    a `*` pattern. A function with `changes=False` leaves everything as it is, for whoever may call nothing else
    (tests/property/di/test_readers_change_nothing.py calls them all).
    """

    def mark(function: F) -> F:
        function.__dict__["__di_method__"] = _Mark(names, listed, changes, dangerous)
        return function

    return mark


class Interface:
    """The DI functions of one module."""

    def __init__(self, name: str, target: object) -> None:
        """Read every marked method of `target`. Raises TypeError for one without docstring or with an unknown annotation."""
        self.name = name
        self.methods: dict[str, Method] = {}
        for function, mark in _marked(target):
            for method_name in mark.names:
                self.methods[method_name] = _describe(name, method_name, function, mark)

    def listed(self) -> list[Value]:
        """The names `_list` gives, in the order of definition."""
        return [m.listed for m in self.methods.values() if m.listed is not None]


def _marked(target: object) -> Iterator[tuple[Function, _Mark]]:
    seen: dict[str, tuple[Function, _Mark]] = {}
    for cls in reversed(type(target).__mro__):
        for attribute, function in vars(cls).items():
            mark = getattr(function, "__di_method__", None)
            if isinstance(mark, _Mark):
                seen[attribute] = (getattr(target, attribute), mark)
    yield from seen.values()


def _describe(module: str, name: str, function: Function, mark: _Mark) -> Method:
    doc = inspect.getdoc(function)
    if not doc:
        raise TypeError(f"{module}.{name} has no docstring; its first line becomes the published summary")
    hints = typing.get_type_hints(function, include_extras=True)
    parameters: list[Parameter] = []
    rest = raw = wants_caller = False
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name)
        if hint is Caller:
            wants_caller = True
        elif hint == RawArgs:
            raw = True
        elif parameter.kind is parameter.VAR_POSITIONAL:
            rest = True
        else:
            parameters.append(_parameter(module, name, parameter, hint))
    listed = mark.listed if isinstance(mark.listed, str) else (name if mark.listed else None)
    return Method(
        module,
        name,
        function,
        tuple(parameters),
        rest,
        raw,
        listed,
        mark.changes,
        mark.dangerous,
        hints.get("return", object),
        doc,
        wants_caller,
    )


def _parameter(module: str, method: str, parameter: inspect.Parameter, hint: object) -> Parameter:
    lenient = False
    if typing.get_origin(hint) is Annotated:
        hint, *notes = typing.get_args(hint)
        lenient = _LENIENT in notes
    origin = typing.get_origin(hint) or hint
    if origin in (typing.Union, types.UnionType) or origin in _ANY:
        exact = None
    elif origin in _EXACT:
        exact = _EXACT[origin]
    else:
        raise TypeError(f"{module}.{method}: parameter {parameter.name!r} has no usable annotation ({hint!r})")
    required = parameter.default is parameter.empty
    return Parameter(parameter.name, exact, required, lenient, None if required else parameter.default)


class Registry:
    """Every DI interface by name. `invoke` is the one way in, for gateways, sessions and modules alike."""

    def __init__(self) -> None:
        self._interfaces: dict[str, Interface] = {}
        self.version = 0
        """Grows with every interface that comes or goes; for who keeps what he has made of them."""
        self.observers: list[Callable[[Caller, Method, list[Value]], None]] = []

    def register(self, name: str, target: object) -> Interface:
        """Publish `target` under a DI name. Raises ValueError when the name is taken."""
        if name in self._interfaces:
            raise ValueError(f"DI interface {name!r} is registered already")
        interface = self._interfaces[name] = Interface(name, target)
        self.version += 1
        return interface

    def unregister(self, name: str) -> None:
        """Withdraw an interface; unknown names are ignored."""
        self._interfaces.pop(name, None)
        self.version += 1

    def interface(self, name: str) -> Interface | None:
        """The interface of that name, or None when no module registered it."""
        return self._interfaces.get(name)

    def interfaces(self) -> Iterator[Interface]:
        """All interfaces in order of registration."""
        yield from self._interfaces.values()

    def find(self, module: str, method: str) -> Method:
        """Look a function up. Raises NoSuchModule or NotImplementedInDI."""
        interface = self._interfaces.get(module)
        if interface is None:
            raise NoSuchModule(module)
        target = interface.methods.get(method)
        if target is None:
            raise NotImplementedInDI(method)
        return target

    def invoke(self, module: str, method: str, args: Value, caller: Caller = INTERNAL) -> Value | Awaitable[Value]:
        """Call a DI function. The answer is a value, or an awaitable of one for a function that waits.

        `args` as for `Method.bind`. `_list` works for every interface that lists something (spec di.md §6). Raises NoSuchModule,
        NotImplementedInDI, OutOfBounds, TypeMismatch, Forbidden, CallFailed, or whatever the function raises: a gateway treats that
        as SEMS treats std::exception.
        """
        if not caller.allows(module, method):
            raise Forbidden(f"{module}.{method}")
        if method == "_list" and module in self._interfaces and (names := self._interfaces[module].listed()):
            return names
        target = self.find(module, method)
        bound = target.bind(args)
        for observe in self.observers:
            observe(caller, target, bound)
        return target.function(caller, *bound) if target.wants_caller else target.function(*bound)

    async def call(self, module: str, method: str, args: Value, caller: Caller = INTERNAL) -> Value:
        """`invoke`, waiting when the function waits."""
        answer = self.invoke(module, method, args, caller)
        if inspect.isawaitable(answer):
            return await answer
        return answer
