# SPDX-License-Identifier: GPL-2.0-or-later
"""From an argument's text to a value: variables, event parameters, selects, templates (spec dsm.md §2.2–§2.4).

Everything is a string. `compile_value` and `compile_template` look at the text once, when the script is read; what they return is called
with the `Scope` of the running event.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol, TypeAlias


class Scope(Protocol):
    """What a value can refer to."""

    vars: dict[str, str]
    params: dict[str, str] | None

    def select(self, name: str) -> str:
        """A property of the SIP dialog; unknown ones are empty."""

    def errno_read(self) -> None:
        """`$errno` or `$strerror` is being looked at."""


class Constant:
    """An evaluator whose answer does not depend on the call."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self, scope: Scope) -> str:
        return self.text


Evaluator: TypeAlias = "Callable[[Scope], str]"

_SIGILS = "$#@"


def compile_value(text: str) -> Evaluator:
    """The *res* rule (spec dsm.md §2.2): a variable, parameter or select as a whole, else literal text without outer `"`."""
    sigil = text[:1]
    if sigil == "" or sigil not in _SIGILS:
        return Constant(text.strip('"'))
    if text[1:2] == sigil or text == "@":
        return Constant(sigil)
    name = text[1:]
    if sigil == "$":
        return (lambda scope: _errno(scope, name)) if name in _ERRNO else lambda scope: scope.vars.get(name, "")
    if sigil == "#":
        return lambda scope: scope.params.get(name, "") if scope.params is not None else ""
    return lambda scope: scope.select(name)


_ERRNO = frozenset({"errno", "strerror"})


def _errno(scope: Scope, name: str) -> str:
    scope.errno_read()
    return scope.vars.get(name, "")


def resolve(text: str, scope: Scope) -> str:
    """`compile_value` for text that is known only at run time."""
    return compile_value(text)(scope)


def variable_name(text: str) -> str:
    """The *var* rule: a name, one leading `$` optional."""
    return text[1:] if text.startswith("$") else text


# --------------------------------------------------------------------------------------------------------------- templates
_TEMPLATE_SIGIL = re.compile(r"[$#@]")
_TEMPLATE_END = re.compile(r"[ \t,()\[\]$#@;:'\"]")
_CLOSING = {"(": ")", '"': '"', "'": "'"}


def compile_template(text: str) -> Evaluator:
    """The *tpl* rule (spec dsm.md §2.3)."""
    if _TEMPLATE_SIGIL.search(text) is None:
        return Constant(text)
    return lambda scope: substitute(text, scope)


def substitute(text: str, scope: Scope) -> str:
    """Replace the references in a template. Inserted text is not looked at again; the doubling rule does not hold at the very start."""
    at = 0
    while (found := _TEMPLATE_SIGIL.search(text, at)) is not None:
        at = found.start()
        sigil = text[at]
        if at and text[at + 1 : at + 2] == sigil:
            text = text[:at] + text[at + 1 :]
            at += 1
            continue
        if at and text[at - 1] == "\\":
            at += 1
            continue
        name, end = _reference(text, at)
        value = _look_up(sigil, name, scope)
        if value is None:
            at += 1
            continue
        inserted, existed = value
        text = text[:at] + inserted + text[end:]
        at += len(inserted) or existed
    return text


def _reference(text: str, at: int) -> tuple[str, int]:
    """The name that a sigil at `at` refers to, and where the reference ends; `$(n)` needs a name of two or more characters."""
    start = at + 1
    opener = text[start : start + 1]
    closing = _CLOSING.get(opener, "")
    stop = _TEMPLATE_END.search(text, start + 1 if closing else start)
    end = len(text) if stop is None else stop.start()
    name = text[start:end]
    if closing and len(name) > 2 and text[end : end + 1] == closing:
        return name[1:], end + 1
    return name, end


def _look_up(sigil: str, name: str, scope: Scope) -> tuple[str, int] | None:
    """(text to insert, 1 when an empty value makes the scan skip one character), or None when the reference stays as it is."""
    if sigil == "$":
        if name in _ERRNO:
            scope.errno_read()
        value = scope.vars.get(name)
        return ("", 0) if value is None else (value, 1)
    if sigil == "#":
        if scope.params is None:
            return None
        return scope.params.get(name, ""), 0
    return (scope.select(name), 1) if name else None


# -------------------------------------------------------------------------------------------------------------------- eval
_DIGITS = re.compile(r"[0-9]+")
_MAX_TERMS = 200


def evaluate(expression: str, scope: Scope) -> str:
    """`eval`: integer `+` and `-`, right-associative, no precedence (spec dsm.md §2.4)."""
    return _evaluate(expression.replace(" ", ""), scope, 0)


def _evaluate(text: str, scope: Scope, depth: int) -> str:
    operator = "-" if "-" in text else "+" if "+" in text else ""
    if operator and depth < _MAX_TERMS:
        left_text, _, right_text = text.partition(operator)
        left, right = _evaluate(left_text, scope, depth + 1), _evaluate(right_text, scope, depth + 1)
        if _DIGITS.fullmatch(left) and _DIGITS.fullmatch(right) and len(left) < 1000 and len(right) < 1000:
            return str(int(left) - int(right) if operator == "-" else int(left) + int(right))
    return resolve(text, scope)
