# SPDX-License-Identifier: GPL-2.0-or-later
"""How a Python function becomes an action or a condition of scripts.

    @action("weather.get")
    def get(run: Run, city: Res, target: Var) -> None:
        run.vars[target] = forecast(city)

The types of the parameters after `run` say how each is read (spec dsm.md, "Conventions"): `Res` resolved, `Tpl` template, `Var` variable
name, `NameRes` name that may stand in a variable, `Lit` as written, `Raw` the whole text between the parentheses, `Prepared` what
`prepare` made of that text when the script was loaded. None: parameters are ignored; two: split at the separator; a default value makes
the second optional. An action may return an awaitable: its call waits for it, no other does.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Annotated, Any, TypeVar

from di.dsm.language.errors import DsmError
from di.dsm.language.event import Kind
from di.dsm.language.expressions import compile_expression
from di.dsm.language.model import Performer, Predicate
from di.dsm.language.tokens import split_one, split_two
from di.dsm.language.values import Constant, Evaluator, compile_template, compile_value, variable_name

Res = Annotated[str, "res"]
Tpl = Annotated[str, "tpl"]
Var = Annotated[str, "var"]
NameRes = Annotated[str, "name"]
Lit = Annotated[str, "lit"]
Raw = Annotated[str, "raw"]
Prepared = Annotated[Any, "prepared"]

_F = TypeVar("_F", bound=Callable[..., Any])
_MARK = "dsm_definitions"


_COMPILE: dict[str, Callable[[str], Evaluator]] = {
    "res": compile_value,
    "tpl": compile_template,
    "var": lambda text: Constant(variable_name(text)),
    "name": compile_value,
    "lit": Constant,
    "raw": Constant,
}


@dataclass(frozen=True)
class ActionDefinition:
    """An action by name. `control` names those that the engine does itself."""

    name: str
    function: Callable[..., Any]
    kinds: tuple[str, ...] = ()
    optional: bool = False
    separator: str = ","
    control: str = ""
    prepare: Callable[[str], object] | None = None

    def bind(self, parameters: str) -> tuple[Performer, str]:
        """Read the parameters once. Returns what the engine calls, and what is wrong with the parameters (empty: nothing).

        Raises DsmError when `prepare` refuses them. For an action with `Raw`, text that `prepare` returns becomes a warning.
        """
        evaluators: list[Callable[[Any], Any]]
        problem = ""
        if self.kinds == ("prepared",):
            assert self.prepare is not None
            prepared = self.prepare(parameters)
            function = self.function
            return (lambda run: function(run, prepared)), ""
        if self.kinds == ("raw",):
            parts: tuple[str, ...] = (parameters,)
            problem = str(self.prepare(parameters) or "") if self.prepare is not None else ""
        elif len(self.kinds) == 1:
            parts = (split_one(parameters),)
        elif len(self.kinds) == 2:
            first, second, problem = split_two(parameters, self.separator, self.optional)
            parts = (first, second)
        else:
            parts = ()
        evaluators = [_COMPILE[kind](part) for kind, part in zip(self.kinds, parts, strict=True)]
        return _call(self.function, evaluators), problem


@dataclass(frozen=True)
class ConditionDefinition:
    """A condition by name: an event type with an expression, or a function."""

    name: str
    kind: Kind | None = None
    function: Callable[..., Any] | None = None
    kinds: tuple[str, ...] = ()
    prepare: Callable[[str], object] | None = None

    def bind(self, parameters: str) -> tuple[Predicate | None, str]:
        """Read the parameters once, as `ActionDefinition.bind`. None: the event type alone decides."""
        function = self.function
        if function is None:
            return compile_expression(parameters)
        if self.kinds == ("prepared",):
            assert self.prepare is not None
            prepared = self.prepare(parameters)
            return (lambda run: function(run, prepared)), ""
        problem = ""
        parts: tuple[str, ...] = ()
        if len(self.kinds) == 1:
            parts = (parameters,)
        elif len(self.kinds) == 2:
            first, second, problem = split_two(parameters, ",", False)
            parts = (first, second)
        return _call(function, [_COMPILE[kind](part) for kind, part in zip(self.kinds, parts, strict=True)]), problem


def _call(function: Callable[..., Any], evaluators: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """One call with its arguments evaluated; the usual shapes without a list in between."""
    if not evaluators:
        return function
    if all(isinstance(evaluator, Constant) for evaluator in evaluators):
        texts = tuple(evaluator.text for evaluator in evaluators if isinstance(evaluator, Constant))
        return lambda run: function(run, *texts)
    if len(evaluators) == 1:
        only = evaluators[0]
        return lambda run: function(run, only(run))
    first, second = evaluators
    if isinstance(first, Constant):
        name = first.text
        return lambda run: function(run, name, second(run))
    return lambda run: function(run, first(run), second(run))


# -------------------------------------------------------------------------------------------------------------- decorators
def _kinds(function: Callable[..., Any], what: str) -> tuple[tuple[str, ...], bool]:
    """How the parameters after `run` are read, and whether the last has a default. Raises TypeError for a wrong signature."""
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    kinds = []
    for parameter in parameters:
        kind = next(iter(getattr(hints.get(parameter.name), "__metadata__", ())), None)
        if kind not in (*_COMPILE, "prepared"):
            raise TypeError(
                f"{what}: parameter {parameter.name} needs one of the types Res, Tpl, Var, NameRes, Lit, Raw, Prepared"
            )
        kinds.append(str(kind))
    if len(kinds) > 2 or (len(kinds) == 2 and {"raw", "prepared"} & set(kinds)):
        raise TypeError(f"{what}: at most two parameters after run, Raw and Prepared only alone")
    return tuple(kinds), bool(parameters) and parameters[-1].default is not inspect.Parameter.empty


def action(
    *names: str, separator: str = ",", control: str = "", prepare: Callable[[str], object] | None = None
) -> Callable[[_F], _F]:
    """Make a function an action under one or more names."""

    def mark(function: _F) -> _F:
        kinds, optional = _kinds(function, names[0])
        found = [ActionDefinition(name, function, kinds, optional, separator, control, prepare) for name in names]
        _definitions(function).extend(found)
        return function

    return mark


def condition(*names: str, kind: Kind | None = None, prepare: Callable[[str], object] | None = None) -> Callable[[_F], _F]:
    """Make a function a condition. One parameter gets the text as written (untrimmed); it answers bool, or an awaitable of it."""

    def mark(function: _F) -> _F:
        kinds, _ = _kinds(function, names[0])
        _definitions(function).extend(ConditionDefinition(name, kind, function, kinds, prepare) for name in names)
        return function

    return mark


def hook(name: str) -> Callable[[_F], _F]:
    """Make a function a hook of its module: `load`, `preload`, `on_invite`, `on_destroy` (spec dsm.md §3.7).

    `load(context)` runs when a script imports the module and may raise DsmError: the module cannot work here.
    """

    def mark(function: _F) -> _F:
        _definitions(function).append(Hook(name, function))
        return function

    return mark


def _definitions(function: Callable[..., Any]) -> list[Any]:
    found: list[Any] = getattr(function, _MARK, [])
    setattr(function, _MARK, found)
    return found


@dataclass(frozen=True)
class Hook:
    """A function that a module wants called."""

    name: str
    function: Callable[..., Any]


@dataclass
class Library:
    """What one module offers."""

    name: str
    actions: dict[str, ActionDefinition] = field(default_factory=dict)
    conditions: dict[str, ConditionDefinition] = field(default_factory=dict)
    hooks: dict[str, Callable[..., Awaitable[object] | bool | None]] = field(default_factory=dict)

    def include(self, module: ModuleType) -> Library:
        """Add everything that a Python module defines. Raises DsmError when a name is defined twice."""
        for value in list(vars(module).values()):
            if isinstance(value, ConditionDefinition):
                self._add(value)
            elif isinstance(value, (list, tuple)):
                for item in value:
                    if isinstance(item, ConditionDefinition):
                        self._add(item)
            elif inspect.isfunction(value) and value.__module__ == module.__name__:
                for definition in getattr(value, _MARK, ()):
                    self._add(definition)
        return self

    def _add(self, definition: ActionDefinition | ConditionDefinition | Hook) -> None:
        table: dict[str, Any] = (
            self.actions
            if isinstance(definition, ActionDefinition)
            else self.conditions
            if isinstance(definition, ConditionDefinition)
            else self.hooks
        )
        if definition.name in table:
            raise DsmError(f"{self.name}: {definition.name} is defined twice")
        table[definition.name] = definition.function if isinstance(definition, Hook) else definition
