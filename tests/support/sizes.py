# SPDX-License-Identifier: GPL-2.0-or-later
"""How large the border tests are: small beside all others, at full size under CORDBOARD_LONG (`make fuzz`)."""

from __future__ import annotations

import os

LONG = bool(os.environ.get("CORDBOARD_LONG"))


def size(small: int, full: int = 100_000) -> int:
    """How many messages, examples or rounds a test takes."""
    return full if LONG else small
