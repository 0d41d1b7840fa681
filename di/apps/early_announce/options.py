# SPDX-License-Identifier: GPL-2.0-or-later
"""early_announce.conf."""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.announcing.keys import AnnouncementKeys
from di.apps.api import option


@dataclass(frozen=True)
class Options(AnnouncementKeys):
    """Where the announcements are, and what follows one."""

    continue_b2b: str = option(
        "no",
        help="yes: the call goes on to its destination; app-param: where the proxy says B2B=yes.",
        choices=("no", "yes", "app-param"),
    )
    next_hop: str = option("", help="Where the call goes on to, as SIP URI; empty: outbound_proxy, else the called domain.")
