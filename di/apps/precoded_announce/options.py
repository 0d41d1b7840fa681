# SPDX-License-Identifier: GPL-2.0-or-later
"""precoded_announce.conf."""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.api import option


@dataclass(frozen=True)
class Options:
    """What is played."""

    announcement_file: str = option(
        "prompts/precoded.predef",
        help="Definition (.predef) of the announcement: one line a payload, see docs/media.md; must exist.",
    )
