# SPDX-License-Identifier: GPL-2.0-or-later
"""The expression in `test(…)`, `key(…)` and the like (spec dsm.md §4.2)."""

from __future__ import annotations

from di.dsm.language.model import Predicate
from di.dsm.language.numbers import c_long
from di.dsm.language.values import Constant, Evaluator, compile_value

_OPERATORS = ("==", "!=", "<", ">")


def compile_expression(text: str) -> tuple[Predicate | None, str]:
    """What decides whether an event matches (None: every one), and what is wrong with the text: then nothing ever matches."""
    if not text:
        return None, ""
    for operator in _OPERATORS:
        if operator in text:
            left_text, _, right_text = text.partition(operator)
            return _compare(operator, _operand(left_text), _operand(right_text)), ""
    return _never, f"{text!r} has no operator; one of == != < > is needed, so it never matches"


def _never(run: object) -> bool:
    return False


def _operand(text: str) -> Evaluator:
    text = text.strip(" ")
    if len(text) > 5 and text.startswith("len(") and text.endswith(")"):
        inner = compile_value(text[4:-1])
        if isinstance(inner, Constant):
            return Constant(str(_length(inner.text)))
        return lambda scope: str(_length(inner(scope)))
    return compile_value(text)


def _length(text: str) -> int:
    """Bytes, as the original counts."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def _compare(operator: str, left: Evaluator, right: Evaluator) -> Predicate:
    if operator == "==":
        if isinstance(right, Constant) and "*" not in right.text:
            value = right.text
            return lambda run: left(run) == value
        return lambda run: _equal(left(run), right(run))
    if operator == "!=":
        return lambda run: left(run) != right(run)
    if operator == "<":
        return lambda run: _less(left(run), right(run))
    return lambda run: _less(right(run), left(run))


def _equal(left: str, right: str) -> bool:
    """Equality; a `*` in the right value ends the comparison there (Q35)."""
    prefix, star, _ = right.partition("*")
    return left.startswith(prefix) if star else left == right


def _less(left: str, right: str) -> bool:
    """Numeric when both sides are integers, empty counting as 0 (Q36), else by bytes."""
    a, b = c_long(left), c_long(right)
    if a is None or b is None:
        return left.encode("utf-8", "surrogateescape") < right.encode("utf-8", "surrogateescape")
    return a < b
