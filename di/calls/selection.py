# SPDX-License-Identifier: GPL-2.0-or-later
"""Which application takes a call (spec core.md §5): `application=` in sems.conf and the lines of app_mapping.conf."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from di.kernel.errors import ConfigError
from di.kernel.posix_regex import Search, compile_extended
from di.sip.headers import first_header, parse_uri

_MOST_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of app_mapping.conf: the expression, searched in the whole Request-URI, and the application with `\\1` … `\\9`."""

    search: Search
    application: str
    pattern: str
    line: int = 0


def parse_mapping(text: str, file: str) -> tuple[Rule, ...]:
    """Read `regex=>application` lines; `#` lines and empty ones are skipped. Raises ConfigError for any other line."""
    rules: list[Rule] = []
    for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        pattern, separator, application = line.rpartition("=>")
        pattern, application = pattern.strip(), application.strip()
        if not separator or not pattern or not application:
            raise ConfigError(file, number, "", "expected `regular expression=>application`, e.g. ^sip:announce=>announcement")
        try:
            rules.append(Rule(compile_extended(pattern), application, pattern, number))
        except ValueError as error:
            raise ConfigError(file, number, "", str(error)) from error
    return tuple(rules)


def map_uri(rules: Sequence[Rule], request_uri: str) -> str:
    """The application of the first rule that matches, groups filled in; empty when none does."""
    for rule in rules:
        groups = rule.search(request_uri)
        if groups is not None:
            return _filled_in(rule.application, groups)
    return ""


def _filled_in(application: str, groups: tuple[str, ...]) -> str:
    return re.sub(r"\\([1-9])", lambda m: groups[int(m[1])] if int(m[1]) < len(groups) else "", application)


@dataclass(frozen=True, slots=True)
class Selection:
    """The configured way to choose. `mapping` is used by `$(mapping)` only."""

    setting: str
    mapping: tuple[Rule, ...] = ()
    _mapped: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    """What URIs were mapped to before: callers call the same ones again and again."""

    def lines(self) -> str:
        """The mapping as text, to be read again by `parse_mapping`."""
        return "\n".join(f"{rule.pattern}=>{rule.application}" for rule in self.mapping)

    def choose(self, request_uri: str, headers: Sequence[tuple[str, str]]) -> str:
        """The application's name for a call; empty when there is none."""
        match self.setting:
            case "$(ruri.user)":
                return parse_uri(request_uri).user
            case "$(ruri.param)":
                return parse_uri(request_uri).params.get("app", "")
            case "$(apphdr)":
                return (first_header(headers, "P-App-Name") or "").strip()
            case "$(mapping)":
                return self._map(request_uri)
            case name:
                return name

    def _map(self, request_uri: str) -> str:
        known = self._mapped.get(request_uri)
        if known is None:
            if len(self._mapped) >= _MOST_REMEMBERED:
                self._mapped.clear()
            known = self._mapped[request_uri] = map_uri(self.mapping, request_uri)
        return known
