# SPDX-License-Identifier: GPL-2.0-or-later
"""announce_transfer.conf."""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.announcing.keys import AnnouncementKeys
from di.apps.api import option


@dataclass(frozen=True)
class Options(AnnouncementKeys):
    """Where the announcements are, and how long a transfer may take."""

    transfer_timeout: int = option(180, help="A caller who has not said how the transfer went is hung up.", unit="s", minimum=1)
