# SPDX-License-Identifier: GPL-2.0-or-later
"""Which profile a request gets (spec applications.md §22.1). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from di.apps.api import PatternValues, app_param, fill_pattern, parse_uri

_SPECIAL = ("$(paramhdr)", "$(ruri.user)")


def choose(active: Sequence[str], values: PatternValues) -> str:
    """The first entry that yields something; empty when none does."""
    for entry in active:
        if entry == "$(paramhdr)":
            name = app_param(values.headers, "profile")
        elif entry == "$(ruri.user)":
            name = parse_uri(values.request_uri).user
        else:
            name = fill_pattern(entry, values) if "$" in entry or "\\" in entry else entry
        if name:
            return name
    return ""


def literal(active: Iterable[str]) -> list[str]:
    """Entries that are names of profiles."""
    return [entry for entry in active if entry not in _SPECIAL and "$" not in entry and "\\" not in entry]
