# SPDX-License-Identifier: GPL-2.0-or-later
"""What a server prints when it is up: what is mapped, where to call, where panel and RPC are. Nothing that was not looked up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from di.calls.selection import Rule, Selection
    from di.server.services import Services
    from di.server.settings import Settings

_MAPPINGS = 6
_LITERAL = re.compile(r"\^?sips?\??:\(?([A-Za-z0-9_]+)")
_ANY = "anything-else"


def banner(settings: Settings, services: Services, transports: Iterable[tuple[str, str, int]]) -> str:
    """The lines. `transports`: (kind, IP, port) where SIP listens."""
    listening: dict[str, list[str]] = {}
    for kind, ip, port in transports:
        listening.setdefault(f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}", []).append(kind)
    place = next(iter(listening), "?")
    loaded, applications = services.loaded, list(services.applications.names())
    urls = services.urls
    xml, web, panel = (urls.get(name, "") for name in ("xmlrpc2di", "web", "panel"))
    return "\n".join(
        (
            f"cordboard is up: {len(loaded)} plug-ins, {len(applications)} applications. Ctrl-C stops it.",
            f"  SIP       {' · '.join(f'{at} ({chr(44).join(kinds)})' for at, kinds in listening.items())}",
            *(
                f"  {'call' if not number else '':<8}  {line}"
                for number, line in enumerate(_calls(settings.selection, place, applications))
            ),
            *((f"  panel     {panel}",) if panel else ()),
            f"  XML-RPC   {xml}" if xml else "  XML-RPC   (xmlrpc2di is not loaded)",
            f"  JSON-RPC  {web}jsonrpc" if web else "  JSON-RPC  (web is not loaded)",
            *((f"  try       python3 -c \"import xmlrpc.client as x; print(x.ServerProxy('{xml}').calls())\"",) if xml else ()),
            f"  modules   are configured in {settings.conf_dir.resolve()}",
            "  read      README.md, docs/",
        )
    )


def _calls(selection: Selection, place: str, applications: list[str]) -> Iterator[str]:
    """What can be called, and which application that is."""
    known = ", ".join(applications) or "none is loaded"
    match selection.setting:
        case "$(mapping)":
            for rule in selection.mapping[:_MAPPINGS]:
                yield f"{example(rule, selection, place)} → {rule.application}"
            if len(selection.mapping) > _MAPPINGS:
                yield f"… and {len(selection.mapping) - _MAPPINGS} more lines of app_mapping.conf"
            if not selection.mapping:
                yield "(app_mapping.conf maps nothing: every call gets 404)"
        case "$(apphdr)":
            yield f"anybody at {place}; the header P-App-Name says the application: {known}"
        case "$(ruri.user)":
            yield f"sip:APPLICATION@{place}, with one of: {known}"
        case "$(ruri.param)":
            yield f"sip:anybody@{place};app=APPLICATION, with one of: {known}"
        case "":
            yield "(sems.conf has no application=: every call gets 404)"
        case name:
            yield f"sip:anybody@{place} → {name}"


def example(rule: Rule, selection: Selection, place: str) -> str:
    """A URI that a line of the mapping takes, tried out; where none is found, the expression."""
    literal = _LITERAL.match(rule.pattern)
    users = [f"{literal[1]}1", literal[1]] if literal is not None else []
    users = (
        users
        if literal is not None and literal.end() < len(rule.pattern) and rule.pattern[literal.end()] in "|)"
        else users[::-1]
    )
    for uri in (*(f"sip:{user}@{place}" for user in users), f"sip:{_ANY}@{place}"):
        first = next((known for known in selection.mapping if known.search(uri) is not None), None)
        if first is rule:
            return uri
    return rule.pattern
