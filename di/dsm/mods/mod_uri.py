# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_uri: URIs and headers (spec dsm.md §5.3)."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from di.dsm.language.library import Res, Var, action, hook
from di.dsm.run.engine import Run

_URI = re.compile(
    r"(?P<scheme>sips?|tel):(?:(?P<user>[^@;?>\s]*)@)?(?P<host>\[[^\]\s]*\]|[^:;?>@\s]*)(?::(?P<port>[0-9]*))?"
    r"(?P<param>(?:;[^?>\s]*)?)(?:\?(?P<headers>[^>\s]*))?",
    re.IGNORECASE,
)
_NAMEADDR = re.compile(r'\s*(?:"(?P<quoted>(?:\\.|[^"\\])*)"|(?P<plain>[^<"]*?))\s*<(?P<uri>[^>]*)>(?P<after>.*)', re.DOTALL)


def parse_address(text: str) -> dict[str, str] | None:
    """The parts of a name-addr or URI: user, host, port, headers, param, display_name, uri_param.* – None when it is neither."""
    found = _NAMEADDR.fullmatch(text)
    display, after = "", ""
    uri = text.strip()
    if found is not None:
        display = found["quoted"] if found["quoted"] is not None else found["plain"] or ""
        uri, after = found["uri"].strip(), found["after"]
    parts = _URI.fullmatch(uri)
    if parts is None or not (parts["host"] or parts["user"]):
        return None
    user = (parts["user"] or "").partition(":")[0]
    result = {
        "display_name": display, "user": user, "host": parts["host"] or "", "port": parts["port"] or "",
        "param": (parts["param"] or "").removeprefix(";"), "headers": parts["headers"] or "",
    }  # fmt: skip
    for piece in after.split(";")[1:]:
        name, _, value = piece.strip().partition("=")
        if name:
            result[f"uri_param.{name}"] = value
    return result


def _store(run: Run, text: str, prefix: str, nameaddr: bool) -> None:
    parts = parse_address(text)
    if parts is None:
        run.fail("general", f"{text!r} is no URI")
        return
    for name, value in parts.items():
        if nameaddr or not name.startswith(("display_name", "uri_param.")):
            run.vars[prefix + name] = value
    run.ok()


@action("uri.parse")
def parse(run: Run, uri: Res, prefix: Res = "") -> None:
    """Split a URI into variables."""
    _store(run, uri, prefix, False)


@action("uri.parseNameaddr")
def parse_nameaddr(run: Run, address: Res, prefix: Res = "") -> None:
    """Split an address with display name and header parameters into variables."""
    _store(run, address, prefix, True)


@action("uri.getHeader")
def get_header(run: Run, name: Res, target: Res) -> None:
    """The first header of that name in `$hdrs`."""
    run.vars[target] = ""
    for line in re.sub(r"\r?\n[ \t]+", " ", run.vars.get("hdrs", "")).splitlines():
        header, _, value = line.partition(":")
        if header.strip().lower() == name.strip().lower():
            run.vars[target] = value.strip()
            return


@action("uri.encode", separator="=")
def encode(run: Run, target: Var, text: Res) -> None:
    """Percent-encode everything but letters, digits and `-_.~`."""
    run.vars[target] = quote(text.encode("utf-8", "surrogateescape"), safe="-_.~")


@action("uri.decode", separator="=")
def decode(run: Run, target: Var, text: Res) -> None:
    """Undo percent-encoding."""
    run.vars[target] = unquote(text, errors="surrogateescape")


@hook("on_invite")
def remember_headers(run: Run, headers: str) -> None:
    """`$hdrs`: the header block of the initial INVITE."""
    run.vars["hdrs"] = headers
