# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_regex: named POSIX extended expressions, shared by all calls (spec dsm.md §5.11). RE2 runs them in linear time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from di.dsm.language.errors import DsmError
from di.dsm.language.library import Lit, Res, action, condition, hook
from di.dsm.run.engine import Run
from di.dsm.run.ports import HubPort
from di.kernel.posix_regex import Search, compile_extended

log = logging.getLogger(__name__)

MAX_EXPRESSIONS = 10_000
"""The table lives as long as the server; a script that invents names must not fill the memory."""


class Expressions:
    """Name → expression."""

    def __init__(self) -> None:
        self.table: dict[str, Search] = {}


def _shared(hub: HubPort) -> dict[str, Search]:
    return hub.shared("mod_regex", Expressions).table


@hook("preload")
def preload(settings: Mapping[str, str], shared: Callable[[str, Callable[[], Expressions]], Expressions]) -> None:
    """Compile the lines of mod_regex.conf. Raises DsmError for a bad one."""
    table = shared("mod_regex", Expressions).table
    for name, expression in settings.items():
        try:
            table[name] = compile_extended(expression)
        except ValueError as error:
            raise DsmError(f"mod_regex.conf: {name}: {error}") from error


@action("regex.compile")
def compile_(run: Run, name: Res, expression: Lit) -> None:
    """(Re)compile an expression."""
    table = _shared(run.session.hub)
    if name not in table and len(table) >= MAX_EXPRESSIONS:
        run.fail("arg", f"there are {MAX_EXPRESSIONS} expressions already; clear some")
        return
    try:
        table[name] = compile_extended(expression)
    except ValueError as error:
        run.fail("arg", str(error))


def _match(run: Run, name: str, text: str) -> bool | None:
    search = _shared(run.session.hub).get(name)
    if search is None:
        log.error("%s: regex.match: there is no expression %r", run.session.id, name)
        return None
    groups = search(text)
    for number, group in enumerate(groups or ()):
        if number:
            run.vars[f"regex.match[{number}]"] = group
    return groups is not None


@action("regex.match")
def match(run: Run, name: Res, text: Res) -> None:
    """`$regex.match` becomes 1 or 0, groups go to `$regex.match[n]`."""
    found = _match(run, name, text)
    if found is not None:
        run.vars["regex.match"] = "1" if found else "0"


@action("regex.clear")
def clear(run: Run, name: Res) -> None:
    """Forget an expression."""
    _shared(run.session.hub).pop(name, None)


@condition("regex.match")
def matches(run: Run, name: Res, text: Res) -> bool:
    """The text matches; groups go to `$regex.match[n]`."""
    return bool(_match(run, name, text))
