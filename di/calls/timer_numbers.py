# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers of the timers that the core sets in a call, all in one place since no two may be alike.

They are negative; scripts and applications have no reason to use such numbers.
"""

from __future__ import annotations

GRANT_TIMER = -1_000_001
"""Until something is to be done about a grant (`di.calls.admission`)."""
RING_TIMER = -1_000_002
"""How long a second leg rings (`di.calls.hunt`)."""
ANSWER_TIMER = -1_000_003
"""How long a call out waits for its answer (RFC 3261 §16.6, timer C)."""
WAY_TIMER = -1_000_004
"""How long an address may take for its 100, while there is another one (`di.calls.next_way`)."""
