# SPDX-License-Identifier: GPL-2.0-or-later
"""Variables and event parameters, and the log (spec dsm.md §4.1)."""

from __future__ import annotations

import logging

from di.dsm.language import arrays
from di.dsm.language.library import Lit, Res, Tpl, Var, action
from di.dsm.language.numbers import unsigned
from di.dsm.language.values import compile_template, evaluate
from di.dsm.run.engine import Run

log = logging.getLogger("di.dsm.script")

SELECTS = (
    "local_tag", "user", "domain", "remote_tag", "callid", "local_uri", "local_party", "remote_uri", "remote_party",
)  # fmt: skip
MAX_VALUE_CHARS = 10_000_000
"""append in an endless loop must not fill the memory of all calls."""


@action("set", separator="=")
def set_(run: Run, target: Lit, value: Res) -> None:
    """Assign a value to a variable or event parameter."""
    run.set_target(target, value)


@action("sets", separator="=")
def sets(run: Run, target: Lit, value: Tpl) -> None:
    """Assign a filled-in template."""
    run.set_target(target, value)


@action("setVar", separator="=")
def set_var(run: Run, name: Res, value: Res) -> None:
    """Assign to a variable whose name may be computed."""
    run.vars[name] = value


@action("var", separator="=")
def var(run: Run, target: Var, name: Res) -> None:
    """Copy from a variable whose name may be computed; a missing one is created empty (Q39)."""
    run.vars[target] = run.vars.setdefault(name, "")


@action("param", separator="=")
def param(run: Run, target: Var, name: Res) -> None:
    """Copy an event parameter whose name may be computed."""
    run.vars[target] = run.params.get(name, "") if run.params is not None else ""


@action("eval", separator="=")
def eval_(run: Run, target: Var, expression: Lit) -> None:
    """Integer sum or difference."""
    run.vars[target] = evaluate(expression, run)


@action("append")
def append(run: Run, target: Var, value: Res) -> None:
    """Add text at the end."""
    old = run.vars.get(target, "")
    if len(old) + len(value) > MAX_VALUE_CHARS:
        log.error("append($%s): the value would be longer than %d characters; it stays", target, MAX_VALUE_CHARS)
        return
    run.vars[target] = old + value


@action("substr")
def substr(run: Run, target: Var, rest: Lit) -> None:
    """Keep a part: position and, after another comma, length (0: to the end)."""
    first, _, second = rest.partition(",")
    position, length = unsigned(run.resolve(first.strip(" \t"))), unsigned(run.resolve(second.strip(" \t")))
    value = run.vars.get(target, "")
    if position is None or length is None or position > len(value):
        log.error("substr($%s,%s): position and length must be numbers inside a text of %d characters", target, rest, len(value))
        return
    run.vars[target] = value[position : position + length] if length else value[position:]


@action("inc")
def inc(run: Run, target: Var) -> None:
    """Add one; what is no number counts as 0."""
    run.vars[target] = str(((unsigned(run.vars.get(target, "")) or 0) + 1) % 2**32)


@action("clear")
def clear(run: Run, target: Var) -> None:
    """Delete a variable."""
    run.vars.pop(target, None)


@action("clearStruct")
def clear_struct(run: Run, target: Var) -> None:
    """Delete `s.*`."""
    arrays.clear_prefix(run.vars, target + ".")


@action("clearArray")
def clear_array(run: Run, target: Var) -> None:
    """Delete `a[*`."""
    arrays.clear_prefix(run.vars, target + "[")


@action("size")
def size(run: Run, name: Var, target: Var) -> None:
    """Count the elements of an array."""
    run.vars[target] = str(arrays.array_size(run.vars, name))


@action("arrayIndex")
def array_index(run: Run, name: Var, value: Lit) -> None:
    """Search an array; the index or `nil` goes to `$<var>.index` or `$index`."""
    target = value[1:] + ".index" if value.startswith("$") else "index"
    wanted = run.resolve(value)
    values = arrays.plain_array(run.vars, name)
    run.vars[target] = str(values.index(wanted)) if wanted in values else "nil"


# --------------------------------------------------------------------------------------------------------------------- log
_LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)


def write_log(run: Run, level: str, text: str) -> None:
    """One line of the script's log; secrets are the script's own business, so variables are only logged when it asks."""
    number = unsigned(level)
    log.log(_LEVELS[min(number, 3)] if number is not None else logging.ERROR, "%s: %s", run.session.id, text.replace("\n", "\\n"))


@action("log")
def log_(run: Run, level: Res, text: Lit) -> None:
    """Log one value."""
    value = run.resolve(text)
    write_log(run, level, value if value == text else f"{text} = {value}")


@action("logs")
def logs(run: Run, level: Res, text: Tpl) -> None:
    """Log a filled-in template."""
    write_log(run, level, text)


def _fixed(name: str, level: str) -> None:
    @action(name)
    def write(run: Run, text: Lit) -> None:
        write_log(run, level, compile_template(text)(run))

    write.__name__ = f"log_{name}"
    globals()[write.__name__] = write


for _name, _level in (("dbg", "3"), ("info", "2"), ("warn", "1"), ("error", "0")):
    _fixed(_name, _level)


@action("logVars")
def log_vars(run: Run, level: Res) -> None:
    """Log all variables."""
    for name in arrays.byte_order(run.vars):
        write_log(run, level, f"${name} = {run.vars[name]}")


@action("logParams")
def log_params(run: Run, level: Res) -> None:
    """Log all event parameters."""
    for name in arrays.byte_order(run.params or ()):
        write_log(run, level, f"#{name} = {(run.params or {})[name]}")


@action("logSelects")
def log_selects(run: Run, level: Res) -> None:
    """Log all selects."""
    for name in SELECTS:
        write_log(run, level, f"@{name} = {run.select(name)}")


@action("logAll")
def log_all(run: Run, level: Res) -> None:
    """Log variables, parameters and selects."""
    log_selects(run, level)
    log_vars(run, level)
    log_params(run, level)
