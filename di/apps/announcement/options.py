# SPDX-License-Identifier: GPL-2.0-or-later
"""announcement.conf."""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.announcing.keys import AnnouncementKeys
from di.apps.api import option


def exactly_true(text: str) -> bool:
    """SEMS reads this key's value as on only when it is `true`. Raises ValueError for what was meant otherwise, as `yes`."""
    if text not in ("true", "false", "no", ""):
        raise ValueError("right is true or false")
    return text == "true"


@dataclass(frozen=True)
class Options(AnnouncementKeys):
    """Where the announcements are, and how often one is played."""

    loop: bool = option(False, help="`true`: play again and again until the caller hangs up.", parse=exactly_true)
