# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit log: one line for each changing call from outside, with caller, source and arguments, without secrets.

    audit caller=panel transport=jsonrpc source=127.0.0.1 call=webconference.kickout room='r1' call_tag='…'

Only arguments that a method declares are shown, and of those only plain ones whose name does not sound like a secret:
what stands in arrays, structs and further arguments is counted, not shown.
"""

from __future__ import annotations

import logging
import re

from di.kernel.registry import Caller, Method
from di.kernel.value import Value

log = logging.getLogger("cordboard.audit")

_SECRET = re.compile(r"pass|pwd|pin|secret|token|auth|key|credential|digest", re.IGNORECASE)
_USERINFO = re.compile(r"([:;][^:@\s/;]*):[^@\s]*@")
_MAX_CHARS = 80


def audit(caller: Caller, method: Method, arguments: list[Value]) -> None:
    """Write the line; an observer of the registry. Calls from inside the server are not audited."""
    if not method.changes or caller.transport == "internal":
        return
    shown = "" if method.raw else show(method, arguments)
    log.info(
        "audit caller=%s transport=%s source=%s call=%s%s", caller.name, caller.transport, caller.source, method.full_name, shown
    )


def show(method: Method, arguments: list[Value]) -> str:
    """The arguments as ` name=value …`, each beginning with a blank."""
    parts = [
        f" {parameter.name}={show_value(parameter.name, value)}"
        for parameter, value in zip(method.parameters, arguments, strict=False)
    ]
    further = len(arguments) - len(method.parameters)
    if further > 0:
        parts.append(f" and {further} more")
    return "".join(parts)


def show_value(name: str, value: Value, most: int = _MAX_CHARS) -> str:
    """One argument: cut, quoted and free of control characters, passwords in URIs left out. `most`: characters of a text."""
    if _SECRET.search(name):
        return "***"
    if isinstance(value, str):
        return ascii(_USERINFO.sub(r"\1:***@", value[: most * 4]))[:most]
    if value is None or isinstance(value, (int, float)):
        return repr(value)[:_MAX_CHARS]
    if isinstance(value, (bytes, list, tuple, dict)):
        return f"<{type(value).__name__} of {len(value)}>"
    return f"<{type(value).__name__}>"
