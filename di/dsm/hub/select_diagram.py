# SPDX-License-Identifier: GPL-2.0-or-later
"""`inbound_start_diag=$(mon_select)`: the diagram of an incoming call stands in the monitoring store (spec dsm.md §7.3)."""

from __future__ import annotations

import logging

from di.calls.session import Session
from di.dsm.language.arrays import flatten
from di.dsm.options import DsmOptions
from di.kernel.errors import DIError, Refused
from di.kernel.registry import Registry
from di.kernel.value import Value
from di.sip.app_params import session_map
from di.sip.headers import first_header, parse_uri, uri_of

log = logging.getLogger(__name__)

MON_SELECT = "$(mon_select)"


def choose_diagram(options: DsmOptions, registry: Registry, session: Session) -> tuple[str, dict[str, str]]:
    """Diagram and variables of a call to the application `dsm`. Raises Refused when there is none."""
    if options.inbound_start_diag != MON_SELECT:
        return options.inbound_start_diag, {}
    found = _look_up(options, registry, session)
    if found is not None:
        return found
    if not options.monitor_select_fallback:
        raise Refused(500, "Server Internal Error")
    return options.monitor_select_fallback, {}


def filters(options: DsmOptions, session: Session) -> list[Value]:
    """What the record must have: caller, callee, configured parameters."""
    info = session.info
    wanted: list[Value] = []
    if options.monitor_select_use_caller == "from":
        wanted.append(["caller", parse_uri(info.contact_uri or uri_of(info.from_header)).user])
    elif options.monitor_select_use_caller == "pai":
        wanted.append(["caller", parse_uri(uri_of(first_header(info.headers, "P-Asserted-Identity") or "")).user])
    if options.monitor_select_use_callee == "ruri":
        wanted.append(["callee", parse_uri(info.request_uri).user])
    elif options.monitor_select_use_callee in ("to", "from"):
        wanted.append(["callee", parse_uri(uri_of(info.to_header)).user])
    params = session_map(info.headers)
    wanted += [[name, params.get(name, "")] for name in options.monitor_select_filters]
    return wanted


def _look_up(options: DsmOptions, registry: Registry, session: Session) -> tuple[str, dict[str, str]] | None:
    try:
        ids = registry.invoke("monitoring", "listByFilter", filters(options, session))
        id = ids[0] if isinstance(ids, list) and ids else None
        record = registry.invoke("monitoring", "get", [id]) if id is not None else None
    except DIError as error:
        log.error("call %s: $(mon_select): %s: %s", session.id, type(error).__name__, error)
        return None
    attributes = record[0] if isinstance(record, list) and record and isinstance(record[0], dict) else record
    if not isinstance(attributes, dict) or not isinstance(attributes.get("app"), str):
        return None
    variables = {"mon_session_record": str(id)}
    given = attributes.get("appParams")
    for key, value in given.items() if isinstance(given, dict) else ():
        flatten(value, str(key), variables.__setitem__)
    return str(attributes["app"]), variables
