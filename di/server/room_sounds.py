# SPDX-License-Identifier: GPL-2.0-or-later
"""Sound files that may be played to a room by DI: those in the configured folders, by their names there.

Everything here looks at the disk, so it is run in threads. A name is taken apart into steps, each a safe name; what a link leads to must be in
the folder, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from di.kernel.paths import safe_name
from media.control.audio_formats import FORMATS, suffix_of

MOST_STEPS = 6
MOST_LISTED = 2000


class RoomSounds:
    """`folders`: absolute; of two files of one name that of the first counts."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)

    def find(self, name: str) -> Path | None:
        """The file of that name (`welcome.wav`, `de/welcome.wav`); None when there is none, or it is no sound."""
        steps = name.split("/")
        if len(steps) > MOST_STEPS or not all(map(safe_name, steps)) or suffix_of(name) not in FORMATS:
            return None
        for folder in self.folders:
            try:
                path = folder.joinpath(*steps).resolve(strict=True)
                if path.is_file() and path.is_relative_to(folder.resolve()):
                    return path
            except (OSError, RuntimeError):  # not there; links in a circle
                continue
        return None

    def names(self) -> list[str]:
        """What there is, in order, at most MOST_LISTED names."""
        found: dict[str, None] = {}
        for folder in self.folders:
            found |= dict.fromkeys(islice(_sounds(folder), MOST_LISTED))
        return [name for name in sorted(found)[:MOST_LISTED] if self.find(name) is not None]


def _sounds(folder: Path) -> Iterator[str]:
    for place, below, files in os.walk(folder):
        steps = Path(place).relative_to(folder).parts
        below[:] = sorted(name for name in below if safe_name(name) and len(steps) < MOST_STEPS - 2)
        for file in files:
            if safe_name(file) and suffix_of(file) in FORMATS:
                yield "/".join((*steps, file))
