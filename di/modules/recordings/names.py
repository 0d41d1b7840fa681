# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of recordings and of their files. Pure.

    20261129T163005Z-room1-3fa9c1           a recording: when it began (UTC), of what, six random digits
    20261129T163005Z-room1-3fa9c1.json      its sidecar
    20261129T163005Z-room1-3fa9c1.wav       the mix of a room, or a call
    20261129T163005Z-room1-3fa9c1-17.wav    one member of a room, by the number of its leg

What others choose (a room's name) becomes letters, digits, `_` and `-`. A name from outside counts only if it looks like one of these, so
none of them leads anywhere else.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from random import Random

MOST_CHARS_OF_TARGET = 40
_NAME = r"[0-9]{8}T[0-9]{6}Z-[A-Za-z0-9_-]{1,40}-[0-9a-f]{6}"
_RECORDING = re.compile(_NAME)
_FILE = re.compile(rf"({_NAME})(-[0-9]{{1,18}})?\.wav")
_SIDECAR = re.compile(rf"({_NAME})\.json")


def new_name(began_s: float, target: str, random: Random) -> str:
    """The name of a recording that begins at a wall-clock time, of a room or call of that name."""
    when = datetime.fromtimestamp(began_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", target)[:MOST_CHARS_OF_TARGET] or "_"
    return f"{when}-{safe}-{random.getrandbits(24):06x}"


def is_recording(name: str) -> bool:
    """Whether this is the name of a recording."""
    return _RECORDING.fullmatch(name) is not None


def recording_of(file: str) -> str:
    """The recording that a sound file belongs to by its name; "" when it belongs to none."""
    match = _FILE.fullmatch(file)
    return match[1] if match else ""


def recording_of_sidecar(file: str) -> str:
    """The recording whose sidecar has that file name; "" when it is none."""
    match = _SIDECAR.fullmatch(file)
    return match[1] if match else ""


def main_file(name: str) -> str:
    """The file of a room's mix, or of a call."""
    return f"{name}.wav"


def sidecar_file(name: str) -> str:
    """The file of a recording's sidecar."""
    return f"{name}.json"


def track_file(name: str, leg: int) -> str:
    """The file of one member of a room, as the media process names it."""
    return f"{name}-{leg}.wav"
