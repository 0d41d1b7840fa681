# SPDX-License-Identifier: GPL-2.0-or-later
"""Message boxes for tests: recordings, and a storage used by one thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from di.stores.messages import BoxChanged, BoxOwner, Existing, MessageBox, MsgCode, OpenedMessage, Stored, StoredMessage
from di.stores.msg_storage.keeper import Keeper, Quota

NOW_NS = 1_800_000_000_000_000_000
"""Some time in 2027: later than anything on the disk."""


def recording(path: Path, data: bytes = b"voice") -> Path:
    """A file as the media process leaves it."""
    path.write_bytes(data)
    return path


def keeper(root: Path, quota: Quota | None = None, now_ns: Callable[[], int] = lambda: NOW_NS) -> Keeper:
    """A storage whose lock nobody waits for."""
    return Keeper(root, quota or Quota(), now_ns, lambda attempt: False)


class MemoryMessages:
    """`di.stores.messages.Messages` in memory, for applications: `boxes` has name → message, `paths` where its file is said to be.

    `unreadable`, `undeletable`: the disk is in trouble.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.boxes: dict[BoxOwner, dict[str, StoredMessage]] = {}
        self.listeners: list[Callable[[BoxChanged], None]] = []
        self.unreadable = self.undeletable = False

    def put(self, owner: BoxOwner, name: str, new: bool = True, size_bytes: int = 5, stored_ns: int = NOW_NS) -> None:
        """A message that has come."""
        recording(self.folder / name)
        self.boxes.setdefault(owner, {})[name] = StoredMessage(name, new, size_bytes, stored_ns)

    def tell(self, owner: BoxOwner, what: str, name: str) -> None:
        """News for who watches."""
        for listener in self.listeners:
            listener(BoxChanged(owner, what, name))

    def recording_path(self, suffix: str = "wav") -> Path:
        """Not asked for by who only listens."""
        return self.folder / f"recording.{suffix}"

    async def room_for(self, owner: BoxOwner) -> Stored:
        """There is."""
        return Stored(MsgCode.OK)

    async def store(self, owner: BoxOwner, name: str, recording: Path | None, existing: Existing = Existing.RENAME) -> Stored:
        """Keep it."""
        self.put(owner, name, size_bytes=5 if recording is not None else 0)
        self.tell(owner, "msg_new", name)
        return Stored(MsgCode.OK, name)

    async def messages(self, owner: BoxOwner) -> MessageBox:
        """All of a box, the newest first."""
        if self.unreadable:
            return MessageBox(MsgCode.STORAGE)
        if owner not in self.boxes:
            return MessageBox(MsgCode.USER_NOT_FOUND)
        return MessageBox(MsgCode.OK, tuple(m for _, m in sorted(self.boxes[owner].items(), reverse=True)))

    async def owners(self) -> tuple[BoxOwner, ...]:
        """Whose boxes there are."""
        return tuple(self.boxes)

    async def open(self, owner: BoxOwner, name: str) -> OpenedMessage:
        """The file of one."""
        found = name in self.boxes.get(owner, {})
        return OpenedMessage(MsgCode.OK, self.folder / name) if found else OpenedMessage(MsgCode.NOT_FOUND)

    async def mark_read(self, owner: BoxOwner, name: str) -> MsgCode:
        """One is new no more."""
        if name not in self.boxes.get(owner, {}):
            return MsgCode.NOT_FOUND
        self.boxes[owner][name] = replace(self.boxes[owner][name], new=False)
        self.tell(owner, "msg_markread", name)
        return MsgCode.OK

    async def delete(self, owner: BoxOwner, name: str) -> MsgCode:
        """One goes."""
        if self.undeletable:
            return MsgCode.STORAGE
        if self.boxes.get(owner, {}).pop(name, None) is None:
            return MsgCode.NOT_FOUND
        self.tell(owner, "msg_delete", name)
        return MsgCode.OK

    def watch(self, listener: Callable[[BoxChanged], None]) -> Callable[[], None]:
        """Hear of changes."""
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)
