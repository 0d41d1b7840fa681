# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done on the disk, as a list of steps. Pure; `di.stores.msg_storage.disk` carries it out.

folders   MakeFolder → SyncFolder, for each that is missing
store     Stamp → SyncFile → Move → SyncFolder → SyncFolder        the answer OK comes after the last
          from another disk: Copy before, Remove the source after, so that a crash may leave both
read      Stamp → SyncFile
delete    Remove → SyncFolder

The server may be killed, or the power fail, between any two steps. `Move` is the one moment in which a message comes to be: before it
the recording is where it was, after it there is a message, and never both, since both are one disk's. A message is complete when it comes
to be: its bytes were synced before. Only when its folder is synced, too, is the caller told that it is kept.

tests/property/di/test_message_steps.py runs these lists on a disk that forgets what was not synced.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

READ_MARK_NS = 1_000_000_000
"""A message is marked read by an access time one second after its change (spec applications.md §11)."""


@dataclass(frozen=True, slots=True)
class MakeFolder:
    """Make a folder; one that is there is as good. Its parent is there."""

    path: Path


@dataclass(frozen=True, slots=True)
class SyncFolder:
    """Have on disk what files are in a folder."""

    path: Path


@dataclass(frozen=True, slots=True)
class Create:
    """Make an empty file, which is not there."""

    path: Path


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy a file's bytes to a new file."""

    source: Path
    target: Path


@dataclass(frozen=True, slots=True)
class Stamp:
    """Set a file's times of access and of change."""

    path: Path
    access_ns: int
    change_ns: int


@dataclass(frozen=True, slots=True)
class SyncFile:
    """Have a file's bytes and times on disk."""

    path: Path


@dataclass(frozen=True, slots=True)
class Move:
    """Give a file another name on its disk, in one moment. `replaces`: what has that name may be there, and is gone then."""

    source: Path
    target: Path
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a file."""

    path: Path


Step: TypeAlias = MakeFolder | SyncFolder | Create | Copy | Stamp | SyncFile | Move | Remove


@dataclass(frozen=True, slots=True)
class NewFile:
    """A message to be: `recording` becomes `target`. `aside`: a free name on the storage's disk; used when there is none or it is elsewhere.

    `change_ns`: when it was recorded. `replaces`: as for `Move`.
    """

    recording: Path | None
    elsewhere: bool
    aside: Path
    target: Path
    change_ns: int
    replaces: bool = False


def folders(missing: Iterable[Path]) -> tuple[Step, ...]:
    """Make folders that are not there; the outermost first."""
    return tuple(step for folder in missing for step in (MakeFolder(folder), SyncFolder(folder.parent)))


def store(new: NewFile) -> tuple[Step, ...]:
    """Make a recording a message, new because both its times are one."""
    ready = new.aside
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()
    if new.recording is None:
        before = (Create(ready),)
    elif new.elsewhere:
        before = (Copy(new.recording, ready),)
        after = (Remove(new.recording),)  # last: from here on nothing may fail that would take the message back
    else:
        ready = new.recording
    return (
        *before,
        Stamp(ready, new.change_ns, new.change_ns),
        SyncFile(ready),
        Move(ready, new.target, new.replaces),
        SyncFolder(new.target.parent),
        SyncFolder(ready.parent),
        *after,
    )


def undo(done: Sequence[Step], failed: Step) -> tuple[Step, ...]:
    """What takes back a `store` that broke off at `failed`: the recording is where it was, and nothing is in the box. Folders may stay.

    What has replaced something stays: the other is gone, and one of the two should be there.
    """
    back: list[Step] = []
    if isinstance(failed, Create | Copy):
        back.append(Remove(_made_by(failed)))
    for step in reversed(done):
        match step:
            case Move(source, target, False):
                back.append(Move(target, source))
            case Move():
                return tuple(back)
            case Create() | Copy():
                back.append(Remove(_made_by(step)))
            case _:
                pass
    return tuple(back)


def _made_by(step: Create | Copy) -> Path:
    return step.path if isinstance(step, Create) else step.target


def mark_read(path: Path, change_ns: int) -> tuple[Step, ...]:
    """A message is new no more."""
    return (Stamp(path, change_ns + READ_MARK_NS, change_ns), SyncFile(path))


def delete(path: Path) -> tuple[Step, ...]:
    """Remove a message."""
    return (Remove(path), SyncFolder(path.parent))
