# SPDX-License-Identifier: GPL-2.0-or-later
"""What controls change of a call's profile (spec applications.md §23, `ctl` and `cc_rest`). Pure."""

from __future__ import annotations

import logging
from dataclasses import replace

from di.apps.api import CallChanges, NameFilter
from di.apps.sbc.profile import Profile
from di.apps.sbc.unsupported import why_not

log = logging.getLogger(__name__)
_TEXTS = {
    "request_uri": "ruri", "from_header": "from_", "to_header": "to", "call_id": "call_id", "outbound_proxy": "outbound_proxy",
    "next_hop": "next_hop", "outbound_interface": "outbound_interface", "rtprelay_interface": "rtprelay_interface",
    "aleg_rtprelay_interface": "aleg_rtprelay_interface",
}  # fmt: skip
"""Change → field of the profile."""
_SWITCHES = {
    "force_outbound_proxy": "force_outbound_proxy", "session_timer": "enable_session_timer",
    "aleg_session_timer": "enable_aleg_session_timer", "rtprelay": "enable_rtprelay",
}  # fmt: skip


def changed(profile: Profile, changes: CallChanges) -> Profile:
    """A filled-in profile with what controls want otherwise. What cannot be had is left as it was, with a line in the log."""
    new: dict[str, str | tuple[str, ...]] = {}
    for name in changes.names():
        value = getattr(changes, name)
        if name in _TEXTS:
            new[_TEXTS[name]] = value
        elif name in _SWITCHES:
            new[_SWITCHES[name]] = "yes" if value else "no"
        elif isinstance(value, NameFilter):
            kind, names = ("header_filter", "header_list") if name == "header_filter" else ("message_filter", "message_list")
            new[kind], new[names] = value.kind, value.names
        else:
            new["append_headers"] = "\r\n".join((*filter(None, [profile.append_headers]), *value))
    for field, value in list(new.items()):
        if isinstance(value, str) and (why := _why_not(field, value)):
            log.warning("sbc: a control sets %s=%s, which cannot be had: %s", field, value, why)
            del new[field]
    return replace(profile, **new)  # type: ignore[arg-type]


def _why_not(field: str, value: str) -> str:
    if field == "enable_aleg_session_timer":
        return "the interval of the A leg is agreed on before a control is asked"
    return why_not(field, value)
