# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of the module, and what a caller's parameters make of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from di.apps.api import CallInfo, Refused, configured, parse_uri
from di.apps.conference.options import Options
from di.apps.parameters import parameter
from di.apps.prompts import LONELY_USER, Asked, PromptFolder, Prompts


@dataclass(frozen=True)
class CallerSettings:
    """One caller's room and wishes."""

    room: str
    lonely_file: Path | None
    dialout_suffix: str
    dialout_from: str
    dialout_extra: str
    listen_only: bool


class Files:
    """Where the module's sounds are."""

    def __init__(self, options: Options, conf_dir: Path) -> None:
        folder = configured(options.audio_path, conf_dir)
        self.lonely = PromptFolder("conference", folder, LONELY_USER, options.default_announce)
        """What the only participant hears: in his language, of his domain if it has one, else the default."""
        sounds = {"joined": options.join_sound, "left": options.drop_sound}
        self.sounds = Prompts("conference", {change: folder / text if text else None for change, text in sounds.items()})
        """By the kind of `RoomChanged`."""


def for_caller(info: CallInfo, options: Options, files: Files, call: str) -> CallerSettings:
    """Read a caller's settings. `call`: the call's id, for the log. Raises Refused 404 for a user that is no room with RFC 4240 naming."""
    room = info.user
    if options.use_rfc4240_rooms:
        if not room.startswith("conf=") or len(room) == len("conf="):
            raise Refused(404, "Not Found")
        room = room[len("conf=") :]
    headers, host = info.headers, parse_uri(info.request_uri).host.strip("[]")
    suffix = parameter(headers, "Dialout-Suffix") if options.dialout_suffix else None  # what is not configured stays off
    return CallerSettings(
        room,
        files.lonely.find(Asked(host, language=parameter(headers, "Language") or ""), call),
        options.dialout_suffix if suffix is None else suffix,
        parameter(headers, "Dialout-From") or "",
        parameter(headers, "Dialout-Extra") or "",
        parameter(headers, "Listen-Only") is not None,
    )
