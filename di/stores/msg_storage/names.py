# SPDX-License-Identifier: GPL-2.0-or-later
"""Which names from outside may be a folder or a file of the storage, and where they lead. Pure.

    <root>/<domain>/<user>/<message>        the messages (spec applications.md §11)
    <root>/.spool/                          recordings that are made, and what is written aside
    <root>/.index.db  .lock                 the index, and who works here now

A name is one step of a path, is not hidden and is no longer than a file's name may be; so none leads out of the root, and none to what
is the storage's own, which is all hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from di.kernel.paths import safe_name
from di.stores.messages import BoxOwner

LONGEST_BYTES = 240
"""Of a name; file systems take 255, and a number may be put in."""
SPOOL, INDEX, LOCK = ".spool", ".index.db", ".lock"


def usable(name: str) -> bool:
    """Whether a name may be a domain, a user or a message. Bytes that are no UTF-8 ride as surrogate escapes (`di.kernel.value`)."""
    try:
        return safe_name(name) and len(name.encode("utf-8", "surrogateescape")) <= LONGEST_BYTES
    except UnicodeEncodeError:  # half a character, which no file has in its name
        return False


def numbered(name: str, number: int) -> str:
    """A name with a number before its extension: `17+ann.wav`, 2 → `17+ann.2.wav`."""
    stem, dot, extension = name.rpartition(".")
    return f"{stem}.{number}.{extension}" if dot and stem else f"{name}.{number}"


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of a storage."""

    root: Path

    @property
    def spool(self) -> Path:
        """Recordings that are made, and what is written aside; on the disk of the messages."""
        return self.root / SPOOL

    def box(self, owner: BoxOwner) -> Path | None:
        """The folder of an owner's messages; None where a name is none of a folder's."""
        if usable(owner.domain) and usable(owner.user):
            return self.root / owner.domain / owner.user
        return None

    def message(self, owner: BoxOwner, name: str) -> Path | None:
        """The file of a message, None as for `box`."""
        box = self.box(owner)
        return box / name if box is not None and usable(name) else None
