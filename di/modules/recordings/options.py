# SPDX-License-Identifier: GPL-2.0-or-later
"""recordings.conf."""

from __future__ import annotations

from dataclasses import dataclass

from di.kernel.options import option


def parse_folder(text: str) -> str:
    """A folder's name. Raises ValueError for one that the media process would read otherwise."""
    if not text or "|" in text:
        raise ValueError("right is the name of a folder, without `|`")
    return text


def parse_rate(text: str) -> int:
    """Read samples a second. Raises ValueError."""
    if text not in ("8000", "16000"):
        raise ValueError("right is 8000 or 16000")
    return int(text)


@dataclass(frozen=True)
class Options:
    """Where recordings go, and how much of them."""

    folder: str = option(
        "/var/spool/cordboard/recordings",
        help="Folder of all recordings, made for the owner only if it is not there; one server at a time uses it.",
        parse=parse_folder,
    )
    max_recordings: int = option(20, help="Rooms and calls recorded at once.", minimum=1, maximum=10000)
    max_minutes: int = option(240, help="A recording ends after so long.", unit="min", minimum=1, maximum=2880)
    room_rate_hz: int = option(8000, help="Samples a second of a room's files: 8000 or 16000.", parse=parse_rate)
    quota_mb: int = option(10000, help="All recordings together; 0: no limit.", unit="MB", maximum=100000000)
    min_free_mb: int = option(500, help="None begins, and all end, when the disk has less.", unit="MB", maximum=100000000)
    keep_days: int = option(0, help="Older recordings are deleted; 0: none is.", unit="days", maximum=36500)
    room_notice: str = option("", help="Sound file played to everybody in a room when its recording begins; empty: none.")
