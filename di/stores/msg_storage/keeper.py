# SPDX-License-Identifier: GPL-2.0-or-later
"""What the storage's thread does: boxes on the disk, and the index beside them. Each function is called inside `turn`.

    with keeper.turn():            the lock against other processes, one transaction of the index
        stored = keeper.store(owner, name, recording, Existing.RENAME)

The disk decides, always; an index that cannot be used costs time and one line in the log, no message (`di.stores.msg_storage.turns`).
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from di.stores.messages import BoxOwner, Existing, MessageBox, MsgCode, OpenedMessage, Stored, StoredMessage
from di.stores.msg_storage import disk, steps
from di.stores.msg_storage.disk import FileSeen
from di.stores.msg_storage.index import IndexEntry, MessageIndex
from di.stores.msg_storage.names import Place, numbered, usable
from di.stores.msg_storage.steps import Step
from di.stores.msg_storage.turns import StorageTurns

log = logging.getLogger(__name__)
T = TypeVar("T")
_UNSURE_NS = 3_000_000_000
"""A folder that changed so shortly before it was read may change again without its time of change telling (it has the clock's ticks)."""
_MOST_NUMBERS = 10_000


@dataclass(frozen=True, slots=True)
class Quota:
    """What a box may hold, and what must stay free on the disk; 0: no limit."""

    messages: int = 0
    bytes: int = 0
    free_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StoreOrder:
    """A message to be: as for `di.stores.messages.Messages.store`."""

    owner: BoxOwner
    name: str
    recording: Path | None
    existing: Existing


@dataclass(frozen=True, slots=True, eq=False)
class _Planned:
    """What is to be done for an order."""

    owner: BoxOwner
    target: Path
    change_ns: int
    plan: tuple[Step, ...]


class Keeper:
    """Boxes below a folder. `now_ns`: wall clock; `wait`: a pause of some milliseconds between attempts to get the lock, False: no more."""

    def __init__(self, root: Path, quota: Quota, now_ns: Callable[[], int], wait: Callable[[int], bool]) -> None:
        """Make what is missing of the storage's own. Raises OSError where the folder cannot be written."""
        self.place = Place(root)
        self.quota = quota
        self._now_ns = now_ns
        self._number = 0
        root.mkdir(0o750, parents=True, exist_ok=True)
        self.place.spool.mkdir(0o750, exist_ok=True)
        self._turns = StorageTurns(root, wait)
        self._strange: set[Path] = set()
        for folder in (root.parent, root):  # what was just made is on disk before any message is
            with contextlib.suppress(OSError):
                disk.perform(steps.SyncFolder(folder))

    def close(self) -> None:
        """Give everything back."""
        self._turns.close()

    def fresh_name(self, suffix: str) -> str:
        """A name in the spool that nobody else has: this process, a random part, a number."""
        self._number += 1
        return f"{os.getpid()}-{os.urandom(4).hex()}-{self._number}.{suffix}"

    def turn(self) -> AbstractContextManager[None]:
        """Work on the storage, alone. Raises StorageBusy."""
        return self._turns.turn()

    def indexed(self, use: Callable[[MessageIndex], T]) -> T | None:
        """Use the index; None while it cannot be used."""
        return self._turns.use(use)

    # ---------------------------------------------------------------------------------------------------------------------- a box
    def entries(self, owner: BoxOwner) -> dict[str, IndexEntry] | None:
        """What is in a box now, None when there is no such box. Raises OSError where its folder cannot be read."""
        folder = self.place.box(owner)
        if folder is None:
            return None
        changed_ns = disk.changed_ns(folder)
        if changed_ns is None:
            self.indexed(lambda index: index.forget_box(owner))
            return None
        if owner not in self._turns.doubted and self.indexed(lambda index: index.seen_ns(owner)) == changed_ns:
            known = self.indexed(lambda index: index.entries(owner))
            if known is not None:
                return known
        return self._read(owner, folder, changed_ns)

    def _read(self, owner: BoxOwner, folder: Path, changed_ns: int) -> dict[str, IndexEntry]:
        """Read a box from its folder, and let the index have it."""
        files, strange = disk.files(folder)
        if strange and folder not in self._strange:
            self._strange.add(folder)
            log.warning("msg_storage: %s holds %r, which is no name of a message; such are left out", folder, strange[0])
        known = self.indexed(lambda index: index.entries(owner)) or {}
        now_ns = self._now_ns()
        found = {file.name: entry_of(file, known.get(file.name), now_ns) for file in files}
        sure = now_ns - changed_ns > _UNSURE_NS
        changed = [entry for entry in found.values() if known.get(entry.name) != entry]
        self._turns.touched.add(owner)
        self._turns.doubted.discard(owner)
        self.indexed(lambda index: index.set_box(owner, changed_ns if sure else 0, changed, known.keys() - found.keys()))
        return found

    def messages(self, owner: BoxOwner) -> MessageBox:
        """All messages of a box, the newest name first."""
        try:
            entries = self.entries(owner)
        except OSError as error:
            log.error("msg_storage: the box of %s cannot be read: %s", owner, error.strerror)
            return MessageBox(MsgCode.STORAGE)
        if entries is None:
            return MessageBox(MsgCode.USER_NOT_FOUND)
        ordered = sorted(entries.values(), key=lambda entry: os.fsencode(entry.name), reverse=True)
        return MessageBox(MsgCode.OK, tuple(StoredMessage(e.name, not e.read, e.size_bytes, e.change_ns) for e in ordered))

    def owners(self) -> tuple[BoxOwner, ...]:
        """Whose boxes are on the disk."""
        root = self.place.root
        return tuple(BoxOwner(domain, user) for domain in disk.folders(root) for user in disk.folders(root / domain))

    def open(self, owner: BoxOwner, name: str) -> OpenedMessage:
        """The file of a message."""
        path = self.place.message(owner, name)
        if path is None or disk.look(path) is None:
            return OpenedMessage(MsgCode.NOT_FOUND)
        return OpenedMessage(MsgCode.OK, path)

    # ------------------------------------------------------------------------------------------------------------------- changes
    def room_for(self, owner: BoxOwner, coming: int = 0, replacing: bool = False) -> Stored:
        """Whether another message would be taken. `coming`: so many are just being stored; `replacing`: it takes another one's place."""
        folder = self.place.box(owner)
        if folder is None:
            return Stored(MsgCode.STORAGE, cause=f"{owner} is no name of a box")
        quota = self.quota
        try:
            free = disk.free_bytes(self.place.root)
            held = (self.entries(owner) or {}).values() if (quota.messages or quota.bytes) and not replacing else ()
        except OSError as error:
            return Stored(MsgCode.STORAGE, cause=f"{folder} cannot be read: {error.strerror}")
        if free < quota.free_bytes:
            return Stored(
                MsgCode.NO_SPACE, cause=f"the disk of {self.place.root} has {free >> 20} MB left (min_free_mb): clear it up"
            )
        if quota.messages and len(held) + coming >= quota.messages:
            return Stored(MsgCode.NO_SPACE, cause=f"the box of {owner} holds {len(held) + coming} messages (quota_messages)")
        size = sum(entry.size_bytes for entry in held)
        if quota.bytes and size >= quota.bytes:
            return Stored(MsgCode.NO_SPACE, cause=f"the box of {owner} holds {size >> 20} MB (quota_mb)")
        there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        for written in (there, self.place.spool):
            if not os.path.isdir(written):
                return Stored(MsgCode.STORAGE, cause=f"{written} is no folder: move it away")
            if not os.access(written, os.W_OK | os.X_OK):
                return Stored(MsgCode.STORAGE, cause=f"{written} cannot be written: give it to the server's user")
        return Stored(MsgCode.OK)

    def store(self, owner: BoxOwner, name: str, recording: Path | None, existing: Existing) -> Stored:
        """Make a recording a message (`di.stores.messages.Messages.store`)."""
        return self.store_all([StoreOrder(owner, name, recording, existing)])[0]

    def store_all(self, orders: Sequence[StoreOrder]) -> list[Stored]:
        """The same for several, which share the price of the syncs."""
        outcomes: list[Stored | _Planned] = []
        taken: dict[BoxOwner, set[Path]] = {}
        for order in orders:
            try:
                outcome: Stored | _Planned = self._prepare(order, taken.setdefault(order.owner, set()))
            except OSError as error:
                outcome = _not_stored(error, self.place.root)
            if isinstance(outcome, _Planned):
                taken[order.owner].add(outcome.target)
            outcomes.append(outcome)
        planned = [outcome for outcome in outcomes if isinstance(outcome, _Planned)]
        failures = dict(zip(map(id, planned), disk.perform_together([each.plan for each in planned]), strict=True))
        return [each if isinstance(each, Stored) else self._stored(each, failures[id(each)]) for each in outcomes]

    def _prepare(self, order: StoreOrder, taken: set[Path]) -> Stored | _Planned:
        """What is to be done, or why nothing is. `taken`: what other orders will put into the box."""
        owner, recording = order.owner, order.recording
        folder = self.place.box(owner)
        if folder is None:
            return Stored(MsgCode.USER_NOT_FOUND, cause=f"{str(owner)!r} is no name of a box")
        if not usable(order.name):
            return Stored(MsgCode.STORAGE, cause=f"{order.name!r:.100} is no name of a message")
        replaces = order.existing is Existing.REPLACE
        room = self.room_for(owner, len(taken), replaces and disk.look(folder / order.name) is not None)
        if room.code is MsgCode.NO_SPACE:
            return room
        self._turns.touched.add(owner)
        try:
            disk.perform_all(steps.folders(path for path in (folder.parent, folder) if not path.is_dir()))
        except OSError as error:
            code = MsgCode.NO_SPACE if disk.is_full(error) else MsgCode.USER_NOT_FOUND
            return Stored(code, cause=f"the folder {folder} cannot be made: {error.strerror}")
        target = folder / order.name if replaces else _free(folder, order.name, order.existing, taken)
        if target is None:
            return Stored(MsgCode.EXISTS, order.name, f"{owner} has a message {order.name} already")
        try:
            change_ns = recording.stat().st_mtime_ns if recording is not None else self._now_ns()
            elsewhere = recording is not None and disk.is_elsewhere(recording, self.place.spool)
        except OSError as error:
            return _not_stored(error, target)
        aside = self.place.spool / self.fresh_name("aside")
        new = steps.NewFile(recording, elsewhere, aside, target, change_ns, replaces)
        return _Planned(owner, target, change_ns, steps.store(new))

    def _stored(self, done: _Planned, failure: OSError | None) -> Stored:
        self.doubt(done.owner)
        if failure is not None:
            return _not_stored(failure, done.target)
        with contextlib.suppress(OSError):  # it is there, and the index learns of it in any case, by the folder's time
            file = disk.look(done.target)
            if file is not None:
                entry = IndexEntry(done.target.name, file.size_bytes, done.change_ns, False, done.change_ns)
                self.indexed(lambda index: index.put(done.owner, entry))
        return Stored(MsgCode.OK, done.target.name)

    def doubt(self, owner: BoxOwner) -> None:
        """A box has been changed: it is read anew when it is next wanted."""
        self._turns.touched.add(owner)
        self.indexed(lambda index: index.doubt(owner))

    def mark_read(self, owner: BoxOwner, name: str) -> MsgCode:
        """A message is new no more."""
        path = self.place.message(owner, name)
        file = disk.look(path) if path is not None else None
        if path is None or file is None:
            return MsgCode.NOT_FOUND
        self._turns.touched.add(owner)
        try:
            entry = (self.entries(owner) or {}).get(name)
            disk.perform_all(steps.mark_read(path, file.change_ns))
        except OSError as error:
            log.error("msg_storage: %s cannot be marked read: %s", path, error.strerror)
            return MsgCode.READ_ERROR
        if entry is None or not entry.read:
            read = IndexEntry(name, file.size_bytes, file.change_ns, True, self._now_ns())
            self.indexed(lambda index: index.put(owner, read))
        return MsgCode.OK

    def delete(self, owner: BoxOwner, name: str) -> MsgCode:
        """Remove a message."""
        path = self.place.message(owner, name)
        if path is None or disk.look(path) is None:
            return MsgCode.NOT_FOUND
        self._turns.touched.add(owner)
        try:
            disk.perform_all(steps.delete(path))
        except OSError as error:
            log.error("msg_storage: %s cannot be deleted: %s", path, error.strerror)
            return MsgCode.STORAGE
        self.indexed(lambda index: index.drop(owner, name))
        self.doubt(owner)
        return MsgCode.OK


def _free(folder: Path, name: str, existing: Existing, taken: set[Path]) -> Path | None:
    """A place for a message: its name, or that with the first number that is free. None: there is none."""

    def is_free(path: Path) -> bool:
        return path not in taken and not os.path.lexists(path)

    if is_free(folder / name):
        return folder / name
    if existing is Existing.REFUSE:
        return None
    places = (folder / free for number in range(2, _MOST_NUMBERS) if usable(free := numbered(name, number)))
    return next(filter(is_free, places), None)


def _not_stored(error: OSError, target: Path) -> Stored:
    code = MsgCode.NO_SPACE if disk.is_full(error) else MsgCode.STORAGE
    return Stored(code, cause=f"{error.filename or target}: {error.strerror}")


def entry_of(file: FileSeen, known: IndexEntry | None, now_ns: int) -> IndexEntry:
    """What a file of a box is. Unread are those whose two times are one (spec applications.md §11).

    One that the index knows is as it says, whatever has read the file since (that may set the time of access); our own mark counts always.
    """
    if known is not None and (known.size_bytes, known.change_ns) == (file.size_bytes, file.change_ns):
        read = known.read or file.access_ns == file.change_ns + steps.READ_MARK_NS
        return known if read == known.read else IndexEntry(file.name, file.size_bytes, file.change_ns, read, now_ns)
    read = file.access_ns // 1_000_000_000 != file.change_ns // 1_000_000_000
    return IndexEntry(file.name, file.size_bytes, file.change_ns, read, now_ns if read else file.change_ns)
