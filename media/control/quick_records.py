# SPDX-License-Identifier: GPL-2.0-or-later
"""Frozen records that are made as fast as ordinary ones.

`dataclass(frozen=True)` sets each field by `object.__setattr__`, 0.1 us a field, and a short call makes some thirty records of up to 25
fields in three processes. A record here is, while it is being made, of a twin class with the same slots and without that guard:

    record (frozen) ─► its class becomes the twin's ─► fields are set ─► its class is its own again

Such classes are quickly made, too: dataclasses writes and compiles six functions for each, 0.3 ms, and there are a hundred of them in each
process. `record` writes `__init__` alone; the others are the same for all, with the names of the fields in them as values.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

__all__ = ["record"]

R = TypeVar("R")


def _record(*, frozen: Literal[True], slots: Literal[True]) -> Callable[[type[R]], type[R]]:
    """Make of a class what `dataclass(frozen=True, slots=True)` makes of it, with an `__init__` that takes a fifth of the time.

    Raises TypeError for a class with a `__post_init__` or with fields that are not in its signature.
    """

    def make(bare: type[R]) -> type[R]:
        cls: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(bare)
        fields = dataclasses.fields(cls)
        _check(cls, fields)
        everything = _values([field.name for field in fields])
        compared = _values([field.name for field in fields if field.compare])
        shown = [field.name for field in fields if field.repr]

        def __eq__(self: Any, other: object) -> bool:
            return bool(compared(self) == compared(other)) if other.__class__ is self.__class__ else NotImplemented

        def __hash__(self: Any) -> int:
            return hash(compared(self))

        def __repr__(self: Any) -> str:
            return f"{cls.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

        def __reduce__(self: Any) -> tuple[Any, tuple[Any, ...]]:
            return cls, everything(self)

        for function in (__eq__, __hash__, __repr__, __reduce__, *([_init(cls, fields)] if fields else [])):
            if function.__name__ not in bare.__dict__ or function is __hash__:
                setattr(cls, function.__name__, function)
        cls.__setattr__, cls.__delattr__ = _refuse_to_set, _refuse_to_delete
        made: type[R] = cls
        return made

    assert frozen
    return make


def _values(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What takes these fields of a record."""
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda record: tuple(getattr(record, name) for name in names)


def _refuse_to_set(_self: Any, name: str, _value: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _check(cls: type, fields: tuple[dataclasses.Field[Any], ...]) -> None:
    if "__slots__" not in cls.__dict__ or hasattr(cls, "__post_init__") or not all(field.init for field in fields):
        raise TypeError(f"{cls.__name__} must be a dataclass(frozen=True, slots=True) without __post_init__ and init=False")


def _init(cls: type, fields: tuple[dataclasses.Field[Any], ...]) -> Any:
    """The function, made of text as dataclasses makes its own."""
    twin = type(cls.__name__, (), {"__slots__": tuple(field.name for field in fields)})
    known: dict[str, Any] = {"_twin": twin, "_own": cls, "_missing": object(), "_become": object.__setattr__}
    parameters, steps = ["self"], ["_become(self, '__class__', _twin)"]
    for field in fields:
        name, value = field.name, field.name
        parameter = name
        if field.default is not dataclasses.MISSING:
            known[f"_default_{name}"] = field.default
            parameter = f"{name}=_default_{name}"
        elif field.default_factory is not dataclasses.MISSING:
            known[f"_make_{name}"] = field.default_factory
            parameter, value = f"{name}=_missing", f"_make_{name}() if {name} is _missing else {name}"
        parameters.append(parameter)
        steps.append(f"self.{name} = {value}")
    steps.append("self.__class__ = _own")
    exec(f"def __init__({', '.join(parameters)}):\n    " + "\n    ".join(steps), known)
    made = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = {field.name: field.type for field in fields} | {"return": None}
    return made


if TYPE_CHECKING:  # type checkers know dataclass by its name
    from dataclasses import dataclass as record
else:
    record = _record
