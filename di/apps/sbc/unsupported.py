# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of SEMS's profiles that cannot be had here, and why. A profile that sets one of them is refused when it is loaded."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Missing:
    """`keys`: shell pattern. `harmless`: values with which it may stand; empty texts always may."""

    keys: str
    why: str
    harmless: tuple[str, ...] = ()


MISSING = (
    Missing("Contact", "SEMS does not read it either; take it out"),
    Missing("transparent_dlg_id", "the SIP stack chooses the tags of its dialogs; Call-ID=$ci passes the Call-ID", ("no",)),
    Missing("aleg_outbound_interface", "a dialog stays on the address that its INVITE came to", ("default",)),
    Missing("[ab]_rtp_mux_*", "each leg has a port of its own"),
    Missing("log_rtp", "msg_logger_path is for SIP; tcpdump writes RTP", ("no",)),
    Missing("max_491_retry_time", "the SIP stack waits as RFC 3261 §14.1 says", ("2000",)),
    Missing("enable_call_timer", "SEMS does not read it either; use call_control with module cc_call_timer", ("no",)),
    Missing("enable_prepaid", "SEMS does not read it either; use call_control with module cc_prepaid", ("no",)),
)


def why_not(key: str, value: str) -> str:
    """Why a key cannot have that value; empty when it can."""
    for missing in MISSING:
        if value and value not in missing.harmless and fnmatch.fnmatchcase(key, missing.keys):
            return missing.why
    return ""
