# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes of a call by the keys that SEMS's controls ctl and cc_rest know (spec applications.md §23). Pure.

Capitals do not count, and `headerfilter` is `header_filter`. Lists are parted by `|` or commas; the lines of `append_headers` by line
ends, which may be written `\\r\\n`, or by `|`.
"""

from __future__ import annotations

from collections.abc import Mapping

from di.calls.call_changes import FILTER_KINDS, CallChanges, FilterKind, NameFilter
from di.calls.patterns import PatternValues, fill
from di.sip.headers import header_lines

_TEXTS = (
    "ruri",
    "from",
    "to",
    "call-id",
    "outbound_proxy",
    "next_hop",
    "outbound_interface",
    "rtprelay_interface",
    "aleg_rtprelay_interface",
)
_SWITCHES = ("force_outbound_proxy", "sst_enabled", "sst_aleg_enabled", "rtprelay_enabled")
_FILTERS = ("header_filter", "headerfilter", "header_list", "message_filter", "messagefilter", "message_list")
_YES, _NO = frozenset(("yes", "true", "1", "on", "enable", "y")), frozenset(("no", "false", "0", "off", "disable", "n"))
KEYS = frozenset((*_TEXTS, *_SWITCHES, *_FILTERS, "append_headers"))


def changes_of(values: Mapping[str, str]) -> CallChanges:
    """What they say; keys that are none of `KEYS` are passed over, empty values change nothing. Raises ValueError that names the key."""
    given = {key.lower(): value.strip() for key, value in values.items() if value.strip()}
    return CallChanges(
        request_uri=given.get("ruri", ""),
        from_header=given.get("from", ""),
        to_header=given.get("to", ""),
        call_id=given.get("call-id", ""),
        outbound_proxy=given.get("outbound_proxy", ""),
        force_outbound_proxy=_switch("force_outbound_proxy", given),
        next_hop=given.get("next_hop", ""),
        outbound_interface=given.get("outbound_interface", ""),
        session_timer=_switch("sst_enabled", given),
        aleg_session_timer=_switch("sst_aleg_enabled", given),
        rtprelay=_switch("rtprelay_enabled", given),
        rtprelay_interface=given.get("rtprelay_interface", ""),
        aleg_rtprelay_interface=given.get("aleg_rtprelay_interface", ""),
        header_filter=_filter("header", given),
        message_filter=_filter("message", given),
        append_headers=tuple(header_lines(given.get("append_headers", "").replace("\\r\\n", "|"))),
    )


def filled(configured: Mapping[str, str], values: PatternValues) -> dict[str, str]:
    """The values of a control for a call. What patterns give begins no further line of `append_headers`."""
    return {
        key: fill(text, values, _in_a_header if key.lower() == "append_headers" else None) for key, text in configured.items()
    }


def _in_a_header(given: str) -> str:
    return given.replace("|", "%7C").replace("\\r\\n", "%5Cr%5Cn")


def unknown(values: Mapping[str, str]) -> list[str]:
    """Keys that say nothing here."""
    return sorted(key for key in values if key.lower() not in KEYS)


def _switch(key: str, given: Mapping[str, str]) -> bool | None:
    text = given.get(key)
    if text is None:
        return None
    if text.lower() not in _YES | _NO:
        raise ValueError(f"{key}={text!r}: right is yes or no")
    return text.lower() in _YES


def _filter(part: str, given: Mapping[str, str]) -> NameFilter | None:
    names = tuple(name.strip().lower() for name in given.get(f"{part}_list", "").replace(",", "|").split("|") if name.strip())
    text = given.get(f"{part}_filter") or given.get(f"{part}filter")
    if text is None:
        if names:
            raise ValueError(f"{part}_list needs {part}_filter, or {part}filter: {', '.join(FILTER_KINDS)}")
        return None
    kind: FilterKind | None = next((kind for kind in FILTER_KINDS if kind == text.lower()), None)
    if kind is None:
        raise ValueError(f"{part}_filter={text!r}: right is one of {', '.join(FILTER_KINDS)}")
    return NameFilter(kind, names)
