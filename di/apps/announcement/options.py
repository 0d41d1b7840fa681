# SPDX-License-Identifier: GPL-2.0-or-later
"""announcement.conf."""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.api import option


def exactly_true(text: str) -> bool:
    """SEMS reads this key's value as on only when it is `true`. Raises ValueError for what was meant otherwise, as `yes`."""
    if text not in ("true", "false", "no", ""):
        raise ValueError("right is true or false")
    return text == "true"


@dataclass(frozen=True)
class Options:
    """Where the announcements are."""

    announce_path: str = option("prompts/", help="Folder of the files: <domain>/<user>.wav, <user>.wav, then the default.")
    default_announce: str = option("default.wav", help="File played when the called user has none; must exist.")
    loop: bool = option(False, help="`true`: play again and again until the caller hangs up.", parse=exactly_true)
