# SPDX-License-Identifier: GPL-2.0-or-later
"""One scrape: ask a server over XML-RPC and write the text format (spec monitoring.md §5.3).

Against cordboard nothing is reset by asking: the maxima come from `core.statistics`. SEMS has no such function; there each scrape
resets the maxima, which cannot be helped from outside.
"""

from __future__ import annotations

import http.client
import xml.parsers.expat
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping
from functools import partial

_ERRORS = (
    OSError,
    http.client.HTTPException,
    xmlrpc.client.Error,
    xml.parsers.expat.ExpatError,
    ValueError,
    TypeError,
    LookupError,
)

_TIMEOUT_S = 5.0
"""A server that hangs must not keep the collector waiting longer than its own patience, which is 10 s as a rule."""

Ask = Callable[..., object]
"""Method name and arguments → the server's answer; raises one of `_ERRORS`."""

# metric, type, help, built-in method, member of core.statistics
_CORE = (
    ("sems_active_calls", "gauge", "Calls now.", "calls", "calls"),
    ("sems_sessions_total", "counter", "Calls since the start.", "get_sessioncount", "sessions"),
    ("sems_calls_avg", "gauge", "Average calls at once since the last query.", "get_callsavg", ""),
    ("sems_calls_max", "gauge", "Most calls at once since the last query that resets it.", "get_callsmax", "calls_max"),
    ("sems_cps_avg", "gauge", "Calls per second over the last 5 s.", "get_cpsavg", "cps"),
    ("sems_cps_max", "gauge", "Highest rate since the last query that resets it.", "get_cpsmax", "cps_max"),
    ("sems_shutdown_mode", "gauge", "1 while new calls are refused.", "get_shutdownmode", "shutdown_mode"),
)
_REGISTRATION = ("reg_active", "registrations", "registered_uas")


class _Plain(xmlrpc.client.Transport):
    def make_connection(self, host: tuple[str, dict[str, str]] | str) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = _TIMEOUT_S
        return connection


class _Secure(xmlrpc.client.SafeTransport):
    def make_connection(self, host: tuple[str, dict[str, str]] | str) -> http.client.HTTPSConnection:
        connection = super().make_connection(host)
        connection.timeout = _TIMEOUT_S
        return connection


def asker(url: str) -> Ask:
    """A function that calls methods of the server at a URL; `http://name:secret@host:port` logs in."""
    server = xmlrpc.client.ServerProxy(url, transport=_Secure() if url.startswith("https:") else _Plain())

    def ask(method: str, *arguments: object) -> object:
        return getattr(server, method)(*arguments)

    return ask


def page(ask: Ask) -> str:
    """The whole page. Never raises: what cannot be had is a comment or left out."""
    return "".join(_lines(ask))


def _lines(ask: Ask) -> Iterator[str]:
    statistics = _statistics(ask)
    for metric, kind, text, method, member in _CORE:
        try:
            value = statistics[member] if member in statistics else ask(method)
            yield _metric(metric, kind, text, _number(value))
        except _ERRORS as error:
            yield f"# error querying {metric}: {_one_line(error)}\n"
    yield from _limits(ask)
    yield from _store(ask, own=bool(statistics))


def _statistics(ask: Ask) -> Mapping[str, object]:
    try:
        answer = ask("di", "core", "statistics")
    except _ERRORS:
        return {}
    return answer if isinstance(answer, dict) else {}


def _limits(ask: Ask) -> Iterator[str]:
    try:
        hard, soft = str(ask("get_cpslimit")).split()
        yield _metric("sems_cps_hard_limit", "gauge", "Hard limit of calls per second, 0: none.", _number(int(hard)))
        yield _metric("sems_cps_soft_limit", "gauge", "Soft limit of calls per second, 0: none.", _number(int(soft)))
    except _ERRORS:
        return


def _store(ask: Ask, own: bool) -> Iterator[str]:
    """`own`: the server has cordboard's functions, which count without creating attributes."""
    for state in ("active", "finished"):
        counted = _try(partial(_length, ask, f"list{state.capitalize()}"))
        if counted is not None:
            yield _metric(f"sems_monitoring_{state}_sessions", "gauge", f"Records of the store that are {state}.", counted)
    if not own:
        return
    for attribute in _REGISTRATION:
        have = _try(partial(_count, ask, attribute))
        if have is not None:
            yield _metric(f"sems_{attribute}", "gauge", f"Records of the store with attribute {attribute}.", have)
    yield _try(lambda: _rates(ask("di", "monitoring", "sampleRates"))) or ""


def _length(ask: Ask, function: str) -> str:
    return _number(len(_list(ask("di", "monitoring", function))))


def _count(ask: Ask, attribute: str) -> str:
    return _number(_list(ask("di", "monitoring", "countAttribute", attribute))[0])


def _rates(rates: object) -> str:
    if not isinstance(rates, dict) or not rates:
        return ""
    lines = [f'sems_monitoring_count{{name="{label(str(name))}"}} {_number(value)}\n' for name, value in sorted(rates.items())]
    head = "# HELP sems_monitoring_count Samples of the last whole second, by name.\n# TYPE sems_monitoring_count gauge\n"
    return head + "".join(lines)


def _try(call: Callable[[], str]) -> str | None:
    try:
        return call()
    except _ERRORS:
        return None


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("not an array")
    return value


def _number(value: object) -> str:
    if not isinstance(value, (int, float)):
        raise TypeError(f"{value!r:.40} is no number")
    return str(int(value) if isinstance(value, bool) else value)


def _metric(name: str, kind: str, text: str, value: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n{name} {value}\n"


def label(text: str) -> str:
    """A label value: backslash, quote and line end escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return escaped.encode("utf-8", "replace").decode("utf-8")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
