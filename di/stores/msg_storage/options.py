# SPDX-License-Identifier: GPL-2.0-or-later
"""msg_storage.conf."""

from __future__ import annotations

from dataclasses import dataclass

from di.kernel.options import option


@dataclass(frozen=True)
class Options:
    """Where messages are kept, how many, how long."""

    storage_dir: str = option(
        "/var/spool/voicebox/", help="Folder of the messages: <domain>/<user>/<message>. Made if need be; must be writable."
    )
    quota_messages: int = option(500, help="Messages that a box may hold; then callers hear that it is full. 0: any number.")
    quota_mb: int = option(200, help="Size that a box may have before it takes no further message. 0: any size.", unit="MB")
    min_free_mb: int = option(64, help="Space that must be free on the disk for a message to be taken. 0: none.", unit="MB")
    keep_new_days: int = option(0, help="New messages are deleted so long after they were recorded. 0: never.", unit="days")
    keep_read_days: int = option(0, help="Messages that were heard are deleted so long after that. 0: never.", unit="days")
    sweep_minutes: int = option(60, help="How often old messages are looked for.", minimum=1, unit="min")
    spool_keep_hours: int = option(
        24, help="Recordings that became no message, as a crash leaves them, are deleted after so long.", minimum=1, unit="h"
    )
