# SPDX-License-Identifier: GPL-2.0-or-later
"""Session timer keys that SEMS's applications take in their own files (spec core.md §10.1).

pjsua2 negotiates session timers for all calls alike, so the keys are accepted and noted without effect.
"""

from __future__ import annotations

KEYS = (
    "enable_session_timer",
    "session_expires",
    "minimum_timer",
    "maximum_timer",
    "session_refresh_method",
    "accept_501_reply",
)
