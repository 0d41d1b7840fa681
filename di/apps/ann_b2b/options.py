# SPDX-License-Identifier: GPL-2.0-or-later
"""ann_b2b.conf."""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.announcing.keys import AnnouncementKeys
from di.apps.api import option


@dataclass(frozen=True)
class Options(AnnouncementKeys):
    """Where the announcements are, and where calls go after them."""

    next_hop: str = option("", help="Where the call goes on to, as SIP URI; empty: outbound_proxy, else the called domain.")
