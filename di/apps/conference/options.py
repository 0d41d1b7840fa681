# SPDX-License-Identifier: GPL-2.0-or-later
"""conference.conf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from di.apps.api import SessionTimerOptions, option
from di.apps.room_options import drop_sound, join_sound, playout_type


@dataclass(frozen=True)
class Options(SessionTimerOptions):
    """The conference's configuration."""

    audio_path: str = option("prompts/", help="Folder that the file names below are taken from.")
    default_announce: str = option("default.wav", help="Played to the only participant; must exist.")
    join_sound: str = join_sound("")
    drop_sound: str = drop_sound("")
    dialout_suffix: str = option("", help="Put behind a dialled number to make its address; empty: no dial-out.")
    playout_type: str = playout_type()
    max_participants: int = option(0, help="So many may be in a room; 0: no limit.")
    use_rfc4240_rooms: bool = option(False, help="The called user is `conf=<room>`; other users are refused with 404.")

    IGNORED: ClassVar[tuple[str, ...]] = ("mysql_*",)
