# SPDX-License-Identifier: GPL-2.0-or-later
"""Brings recordings to where they are kept, whatever becomes of their calls, and says when they are.

    begin ─► journal ─► … RecordingStopped ─► synced ─► mail queue, box: both on the disk ─► told "it is kept" ─► journal, spool: gone
    after a crash: what the journal has and nobody writes any more ─► made readable ─► the same way

A way that is blocked (full box, full disk) is tried again; the recording stays in the spool meanwhile. Repeating does nothing twice: a mail
has the recording's id as key, and what lies in the box already is recognized.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from di.apps.api import (
    MESSAGES,
    DatabaseFailed,
    Existing,
    FolderLock,
    MsgCode,
    RecordingStopped,
    Services,
    SqliteThread,
)
from di.apps.voicemail import files, journal
from di.apps.voicemail.journal import JournalEntry
from di.apps.voicemail.order import VoicemailOrder
from di.apps.voicemail.templates import MailTemplate, choose
from di.apps.voicemail.ways import MessageWays, owner_of

log = logging.getLogger(__name__)

_ORDERLY = frozenset(("asked", "length", "silence", "closed"))
_SAID_NOTHING_MS = 200
"""A recording that ended by silence is nothing but silence when it is hardly longer than that."""
_LOOK_AGAIN_S = 0.5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 30.0, 3600.0
_LAST_WORDS_S = 4.0


class MessageFate(Enum):
    """What became of a recording."""

    KEPT = "kept"
    NOTHING = "nothing"
    """Nothing, or too little, was said."""
    FAILED = "failed"


class MessageRoom(Enum):
    """Whether a message would be taken."""

    ENOUGH = "enough"
    FULL = "full"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class DispatchRules:
    """What of voicemail.conf decides how recordings are kept."""

    templates: Mapping[str, MailTemplate]
    suffix: str
    min_ms: int
    silence_ms: int
    save_empty: bool
    min_free_mb: int


class Dispatch:
    """One for the server. `rules` are replaced when the configuration is read anew."""

    def __init__(self, services: Services, spool: Path, rules: DispatchRules) -> None:
        self.rules = rules
        self.spool = spool
        self.totals = dict.fromkeys((outcome.value for outcome in MessageFate), 0)
        self._services = services
        self._ways = MessageWays(services)
        self._lock: FolderLock | None = None
        self._journal = SqliteThread(spool / "journal.db", journal.SCHEMA)
        self._tasks: set[asyncio.Task[None]] = set()
        self._scan: asyncio.Future[set[str]] | None = None
        self._recorded: set[str] = set()
        self._stuck: set[str] = set()

    async def open(self) -> None:
        """Open the journal and take up what a crash has left. Raises DatabaseFailed or OSError, also when another server has the folder."""
        self._lock = await asyncio.to_thread(FolderLock, self.spool)
        await self._journal.open()
        await asyncio.to_thread(files.clear_twins, self.spool)
        entries, unreadable = await self._journal.run(journal.left)
        for id in unreadable:
            log.error("voicemail: the journal's entry %s cannot be read; its recording stays in %s", id, self.spool)
        if entries:
            log.warning("voicemail: %d recordings were not handed over when the server ended; that is done now", len(entries))
        for entry in entries:
            self._spawn(self._recover(entry))

    async def close(self) -> None:
        """Let what is under way end; what does not is taken up at the next start."""
        try:
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._all_ended()
        except TimeoutError:
            log.warning("voicemail: %d recordings are handed over at the next start", len(self._recorded | self._stuck))
        for task in self._tasks:
            task.cancel()
        await self._journal.close()
        if self._lock is not None:
            self._lock.release()

    async def _all_ended(self) -> None:
        while self._tasks or self._recorded:
            if self._tasks:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.sleep(_LOOK_AGAIN_S / 10)  # the media process closes the files of calls that have just ended

    @property
    def unfinished(self) -> int:
        """Recordings that could not be handed over so far, and are tried again."""
        return len(self._stuck)

    # ------------------------------------------------------------------------------------------------------ beside the calls
    async def room(self, order: VoicemailOrder, call: str) -> MessageRoom:
        """Whether a message would be taken; if not, a line in the log says what to do."""
        try:
            free_mb = await asyncio.to_thread(files.free_mb, self.spool)
        except OSError as error:
            log.error("call %s: voicemail: no message can be taken: spool_dir %s: %s", call, self.spool, error.strerror)
            return MessageRoom.NONE
        if free_mb < self.rules.min_free_mb:
            log.error(
                "call %s: voicemail: no message can be taken: %d MB are free in spool_dir %s, less than min_free_mb: make room there",
                call, free_mb, self.spool,
            )  # fmt: skip
            return MessageRoom.NONE
        messages = self._services.capabilities.find(MESSAGES)
        if not order.mode.boxes or messages is None:
            return MessageRoom.ENOUGH
        stored = await messages.room_for(owner_of(order))
        if stored.code is MsgCode.OK:
            return MessageRoom.ENOUGH
        level = logging.WARNING if stored.code is MsgCode.NO_SPACE else logging.ERROR
        log.log(level, "call %s: voicemail: the box of %s takes no message: %s", call, owner_of(order), stored.cause)
        if order.mode.mails:
            return MessageRoom.ENOUGH
        return MessageRoom.FULL if stored.code is MsgCode.NO_SPACE else MessageRoom.NONE

    def begin(self, call: str, order: VoicemailOrder) -> JournalEntry:
        """A recording begins. Its file is `path_of` the entry."""
        entry = JournalEntry(call, f"{call}.{self.rules.suffix}", order)
        self._recorded.add(call)
        self._spawn(self._note_begin(entry))
        return entry

    async def _note_begin(self, entry: JournalEntry) -> None:
        try:
            await self._journal.run(lambda c: journal.begin(c, entry))
        except DatabaseFailed as error:
            log.error("call %s: voicemail: a crash would lose this message: %s", entry.id, error)

    def path_of(self, entry: JournalEntry) -> Path:
        """Where a recording is made."""
        return self.spool / entry.file

    def finish(self, entry: JournalEntry, record: RecordingStopped, told: Callable[[MessageFate], None]) -> None:
        """A recording has ended, in whatever way. `told` is called from the loop once it is kept, or is not."""
        self._recorded.discard(entry.id)
        self._spawn(self._finish(entry, record, told))

    def nothing_said(self, call: str, order: VoicemailOrder) -> None:
        """The caller went before the recording began."""
        self.totals[MessageFate.NOTHING.value] += 1
        self._spawn(self._store_empty(call, order))

    # -------------------------------------------------------------------------------------------------------------- the work
    async def _finish(self, entry: JournalEntry, record: RecordingStopped, told: Callable[[MessageFate], None]) -> None:
        outcome = MessageFate.FAILED
        try:
            if record.reason in _ORDERLY:
                outcome = await self._ended(entry, record)
            else:
                log.error("call %s: voicemail: recording %s broke off: %s", entry.id, record.path, record.reason)
                self._spawn(self._recover(entry))  # what was said so far is kept, if that goes; the caller hears that it did not
        finally:
            self.totals[outcome.value] += 1
            told(outcome)

    async def _ended(self, entry: JournalEntry, record: RecordingStopped) -> MessageFate:
        silence_ms = self.rules.silence_ms if record.reason == "silence" else 0
        said_ms = record.length_ms - silence_ms
        if said_ms < max(self.rules.min_ms, _SAID_NOTHING_MS if silence_ms else 1):
            log.info("call %s: voicemail: %d ms are no message", entry.id, max(said_ms, 0))
            await self._end(entry)
            await self._store_empty(entry.id, entry.order)
            return MessageFate.NOTHING
        return await self._bring(replace(entry, length_ms=record.length_ms), Existing.RENAME)

    async def _recover(self, entry: JournalEntry, pause_s: float = _FIRST_PAUSE_S) -> None:
        """Take up a recording whose end nobody saw, or that could not be handed over."""
        path = self.path_of(entry)
        try:
            await self._until_closed(path)
            length_ms = await asyncio.to_thread(files.finished, path)
        except FileNotFoundError:  # it never began, or lies in the box already
            await self._end(entry)
            return
        except OSError as error:
            log.error("call %s: voicemail: recording %s cannot be read: %s", entry.id, path, error.strerror)
            self._try_again(entry, pause_s)
            return
        length_ms = entry.length_ms if length_ms is None else length_ms
        if 0 <= length_ms < max(self.rules.min_ms, 1):
            log.warning("call %s: voicemail: nothing was recorded into %s", entry.id, path)
            await self._end(entry)
            return
        await self._bring(replace(entry, length_ms=length_ms), Existing.REFUSE, pause_s)

    async def _until_closed(self, path: Path) -> None:
        """Wait until nobody writes a file any more. Many who wait share one look at all processes."""
        while True:
            if self._scan is None or self._scan.done():
                self._scan = asyncio.ensure_future(asyncio.to_thread(files.being_written, self.spool))
            if path.name not in await asyncio.shield(self._scan):
                return
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _bring(self, entry: JournalEntry, existing: Existing, pause_s: float = _FIRST_PAUSE_S) -> MessageFate:
        """Hand a recording over wherever it is to go. KEPT: it is in one place at least."""
        path, order, wrong = self.path_of(entry), entry.order, []
        try:
            await asyncio.to_thread(files.sync, path)
        except OSError as error:
            wrong.append(f"{path} cannot reach the disk: {error.strerror}")
        if order.mode.mails and not entry.mailed and not wrong:
            cause = await self._ways.mail(entry, path, choose(self.rules.templates, order.did, order.language))
            wrong += [cause] if cause else []
            entry = replace(entry, mailed=not cause)
            if order.mode.boxes:
                await self._note(entry)
        if order.mode.boxes and not entry.boxed:
            cause = await self._ways.box(entry, path, existing)
            wrong += [cause] if cause else []
            entry = replace(entry, boxed=not cause)
        if entry.complete:
            await self._end(entry)
            self._tell(entry)
            return MessageFate.KEPT
        for cause in wrong:
            log.error(
                "call %s: voicemail: %s. The recording stays in %s; it is tried again in %.0f s", entry.id, cause, path, pause_s
            )
        await self._note(entry)
        self._try_again(entry, pause_s)
        return MessageFate.KEPT if entry.mailed or entry.boxed else MessageFate.FAILED

    async def _store_empty(self, call: str, order: VoicemailOrder) -> None:
        if self.rules.save_empty:
            cause = await self._ways.empty(order, self.rules.suffix)
            if cause:
                log.warning("call %s: voicemail: %s", call, cause)

    # -------------------------------------------------------------------------------------------------------------- the ends
    async def _note(self, entry: JournalEntry) -> None:
        try:
            await self._journal.run(lambda c: journal.note(c, entry))
        except DatabaseFailed as error:  # after a crash it is handed over again, which does nothing twice
            log.error("call %s: voicemail: the journal cannot be written: %s", entry.id, error)

    async def _end(self, entry: JournalEntry) -> None:
        """The recording is no longer needed here: the file goes first, for without it a row does nothing."""
        self._stuck.discard(entry.id)
        try:
            await asyncio.to_thread(self.path_of(entry).unlink, True)
            await self._journal.run(lambda c: journal.done(c, entry.id))
        except (OSError, DatabaseFailed) as error:
            log.warning("call %s: voicemail: %s is not cleared away: %s", entry.id, self.path_of(entry), error)

    def _try_again(self, entry: JournalEntry, pause_s: float) -> None:
        self._stuck.add(entry.id)
        again_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        self._services.clock.call_later(int(pause_s * 1e9), lambda: self._spawn(self._recover(entry, again_s)))

    @staticmethod
    def _tell(entry: JournalEntry) -> None:
        order = entry.order
        ways = [f"queued for {order.email}"] if order.mode.mails else []
        ways += [f"in the box of {owner_of(order)}"] if order.mode.boxes else []
        log.info(
            "call %s: voicemail: message of %s, %d ms: %s", entry.id, order.sender, max(entry.length_ms, 0), " and ".join(ways)
        )

    def _spawn(self, work: Awaitable[object]) -> None:
        task = asyncio.ensure_future(_said(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _said(work: Awaitable[object]) -> None:
    """Do some work; a fault in it is said and ends nothing else."""
    try:
        await work
    except Exception:
        log.exception("voicemail: a message is not handed over; it stays in the spool until the next start")
