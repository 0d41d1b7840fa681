# SPDX-License-Identifier: GPL-2.0-or-later
"""The mail queue at work: takes mails over, sends what is due, tries again, gives up. The shell around table, schedule and submission.

    submit ─► files on the disk ─► row on the disk ─► ok           the caller's own copy may go now
    sender ─► claim ─► MAIL, RCPT ─► row says HANDING ─► DATA ─► 250 ─► row says ACCEPTED ─► files removed

A mail is sent again when nobody knows whether its server has it: the connection broke, or we were killed, between the end of DATA and the
row that says ACCEPTED. It then has the same Message-ID, and a line in the log says so. No other way leads to a second delivery.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from di.kernel.folder_lock import FolderLock
from di.kernel.ports import Clock
from di.kernel.sqlite_thread import DatabaseFailed, SqliteThread
from di.modules.mail import attachments, message, table
from di.modules.mail.options import Options
from di.modules.mail.schedule import Schedule
from di.modules.mail.submission import HandedOver, InDoubt, MailServer, ServerTrouble, Submission
from di.modules.mail.table import MailState, QueuedMail
from di.stores.mailing import Mail, Queued

log = logging.getLogger(__name__)
T = TypeVar("T")

_IDLE_S = 5.0
"""How long a connection stays open for the next mail."""
_DISK_PAUSE_S = 5.0
_TEND_S = 3600.0
_LAST_WORDS_S = 3.0
"""At a stop a mail that is being sent gets so long."""
_ORPHAN_S = 86_400.0


class Outbox:
    """`di.stores.mailing.MailQueue`. `counts`, `oldest_s` and the totals are what was last known, for metrics and DI."""

    def __init__(self, options: Options, folder: Path, clock: Clock, tls: ssl.SSLContext) -> None:
        self.options = options
        self.folder = folder
        self.files = folder / "files"
        self.database = SqliteThread(folder / "queue.db", table.SCHEMA)
        self.schedule = Schedule(options.retry_first, options.retry_most, options.give_up_after)
        self.counts: dict[str, int] = dict.fromkeys((state.value for state in MailState), 0)
        self.oldest_s: float | None = None
        self.accepted_total = self.failed_total = self.doubts_total = self.given_up_total = 0
        self.trouble = ""
        """What is wrong with the server now; empty: nothing that is known."""
        self._lock: FolderLock | None = None
        self._clock = clock
        self._tls = tls
        self._default_server = ("localhost", 25)
        self._wake = asyncio.Event()
        self._server_failures = 0
        self._server_again_s = 0.0
        self._senders: list[asyncio.Task[None]] = []
        self._submitting: set[asyncio.Future[Queued]] = set()
        self._closing = False
        self._disk_trouble = ""

    # ----------------------------------------------------------------------------------------------------------- start, stop
    async def open(self) -> None:
        """Open the queue and begin to send. Raises DatabaseFailed or OSError, also when another server has the folder."""
        self._lock = await asyncio.to_thread(FolderLock, self.folder)
        await asyncio.to_thread(self.files.mkdir, 0o750, True, True)
        await self.database.open()
        now_s = self._clock.epoch_s()
        for mail in await self.database.run(lambda c: table.recover(c, now_s)):
            self._tell_doubt(mail, "the server was stopped while it was handed over")
        await self._tend()
        self._senders = [asyncio.create_task(self._send_all()) for _ in range(self.options.connections)]
        self._senders.append(asyncio.create_task(self._tend_always()))

    async def close(self) -> None:
        """Let mails that are being sent end, for a moment; all others are sent after the next start."""
        self._closing = True
        self._wake.set()
        if self._submitting:
            await asyncio.wait(self._submitting, timeout=_LAST_WORDS_S)
        if self._senders:
            self._senders[-1].cancel()
            await asyncio.wait(self._senders, timeout=_LAST_WORDS_S)
        for task in self._senders:
            task.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        await self.database.close()
        if self._lock is not None:
            self._lock.release()

    def take(self, options: Options, tls: ssl.SSLContext) -> None:
        """Go on with other options, all but `queue_dir` and `connections`; what waits is tried at once."""
        self.options, self._tls = options, tls
        self.schedule = Schedule(options.retry_first, options.retry_most, options.give_up_after)
        self._server_again_s = 0.0
        self._wake.set()

    def use_server(self, host: str, port: int, source: str) -> None:
        """The server to use where mail.conf names none."""
        if self.options.smtp_server:
            log.info("mail: %s:%d of %s is not used: mail.conf names %s", host, port, source, self.options.smtp_server)
            return
        self._default_server = host, port

    @property
    def server(self) -> MailServer:
        """Where mails go."""
        options = self.options
        host, port = self._default_server
        if options.smtp_server:
            host, port = options.smtp_server, {"tls": 465}.get(options.smtp_security, 587)
        return MailServer(
            host, options.smtp_port or port, options.smtp_security, options.smtp_ca_file, options.smtp_user, options.smtp_password,
            options.hello_name, options.timeout,
        )  # fmt: skip

    # ----------------------------------------------------------------------------------------------------------------- taking
    async def submit(self, mail: Mail) -> Queued:
        """Take a mail over, as `MailQueue` has it."""
        taking = asyncio.ensure_future(self._take(mail))
        self._submitting.add(taking)
        taking.add_done_callback(self._submitting.discard)
        return await asyncio.shield(taking)

    async def _take(self, mail: Mail) -> Queued:
        if self.waiting >= self.options.max_waiting:
            return Queued(False, f"{self.waiting} mails wait already (max_waiting in mail.conf): is {self.server} out of order?")
        try:
            if await self.database.run(lambda c: table.knows(c, mail.key)):
                return Queued(True)
            now_s = self._clock.epoch_s()
            message.kept(mail, self.options.from_address, now_s, ())  # before files are copied
            files = await asyncio.to_thread(attachments.take_over, self.files, message.token_of(mail.key), mail.attachments)
            kept = message.kept(mail, self.options.from_address, now_s, files)
            content, recipients = message.to_content(kept), [address for _, address in kept.to]
            await self.database.run(lambda c: table.add(c, mail.key, content, recipients, now_s))
        except (OSError, DatabaseFailed, ValueError, sqlite3.Error) as error:
            return Queued(False, f"the mail cannot be queued in {self.folder}: {error}")
        await self._look()
        self._wake.set()
        return Queued(True)

    @property
    def waiting(self) -> int:
        """How many mails have not been accepted or given up."""
        return sum(self.counts[state.value] for state in table.UNSENT)

    # ---------------------------------------------------------------------------------------------------------------- sending
    async def _send_all(self) -> None:
        connection: Submission | None = None
        while not self._closing:
            try:
                mail = await self._next()
                if mail is None:
                    connection = await self._wait(connection)
                    continue
                if connection is not None and not connection.leads_to(self.server, self._tls):  # the options are others now
                    await connection.close()
                    connection = None
                connection = connection or Submission(self.server, self._tls)
                await self._send(connection, mail)
            except DatabaseFailed as error:
                await self._disk_pause(error)
            except Exception:
                log.exception("mail: sending failed; it goes on in %.0f s", _DISK_PAUSE_S)
                await asyncio.sleep(_DISK_PAUSE_S)
        if connection is not None:
            await connection.close()

    async def _next(self) -> QueuedMail | None:
        """Claim what is due; None while nothing is, or the server is left alone for a while."""
        now_s = self._clock.epoch_s()
        if now_s < self._server_again_s:
            return None
        return await self.database.run(lambda c: table.claim(c, now_s))

    async def _wait(self, connection: Submission | None) -> Submission | None:
        """Wait until something may be due; a connection is closed when nothing is for a while."""
        self._wake.clear()  # before the look: what comes after it sets it again
        now_s = self._clock.epoch_s()
        due_s = await self.database.run(table.next_due_s)
        until_s = max(due_s, self._server_again_s) if due_s is not None else now_s + _TEND_S
        seconds = min(max(until_s - now_s, 0.05), _TEND_S)
        if connection is not None and seconds > _IDLE_S:
            seconds = _IDLE_S
        if self._closing:
            return connection
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)
            return connection
        if connection is not None:
            await connection.close()
        return None

    async def _send(self, connection: Submission, mail: QueuedMail) -> None:
        kept = message.from_content(mail.content)
        try:
            contents = await asyncio.to_thread(attachments.read_all, self.files, kept.files)
            data = await asyncio.to_thread(message.compose, kept, contents)
        except OSError as error:
            await self._failed(mail, mail.recipients, f"its attachment cannot be read: {error}", False)
            return
        except ValueError as error:
            await self._give_up(mail, mail.recipients, f"it cannot be written as a mail: {error}")
            return
        try:
            await connection.open()
            outcome = await connection.send(
                self.options.from_address, mail.recipients, data,
                lambda: self.database.run(lambda c: table.handing(c, mail.id)),
            )  # fmt: skip
        except ServerTrouble as trouble:
            await self._server_failed(mail, trouble)
        except InDoubt as doubt:
            self.doubts_total += 1
            self._tell_doubt(mail, str(doubt))
            await self._failed(mail, mail.recipients, str(doubt), True)
        except DatabaseFailed as error:  # HANDING is not on the disk, so nothing was sent
            connection.drop()
            why = str(error)
            await self._must(lambda c: self._later(c, mail, mail.recipients, self._clock.epoch_s(), why, False, False))
        else:
            self._server_works()
            await self._settle(mail, kept, outcome)

    async def _settle(self, mail: QueuedMail, kept: message.KeptMail, outcome: HandedOver) -> None:
        """The server has answered for every recipient."""
        for recipient, words in outcome.refused.items():
            log.error("mail %d to %s is refused by %s: %s", mail.id, recipient, self.server, words)
        if not (outcome.accepted or outcome.later or outcome.refused):
            return  # dropped just before it was sent
        if outcome.accepted:
            self.accepted_total += 1
            log.info("mail %d to %s was accepted by %s: %s", mail.id, ", ".join(outcome.accepted), self.server, kept.message_id)
        if outcome.later:
            await self._failed(mail, tuple(outcome.later), next(iter(outcome.later.values())), False)
        elif outcome.refused:
            await self._give_up(mail, tuple(outcome.refused), next(iter(outcome.refused.values())))
        else:
            now_s = self._clock.epoch_s()
            await self._must(lambda c: table.accepted(c, mail.id, now_s))
            await self._remove(kept)

    async def _remove(self, kept: message.KeptMail) -> None:
        try:
            await asyncio.to_thread(attachments.remove, self.files, kept.files)
        except OSError as error:
            log.warning("mail: an attachment that is not needed any more stays in %s: %s", self.files, error)

    # ----------------------------------------------------------------------------------------------------------------- failing
    async def _failed(self, mail: QueuedMail, recipients: tuple[str, ...], why: str, doubt: bool) -> None:
        now_s = self._clock.epoch_s()
        self.failed_total += 1
        if self.schedule.is_over(mail.queued_s, now_s):
            await self._give_up(mail, recipients, why)
            return
        pause_s = self.schedule.pause_s(mail.failures + 1)
        log.warning("mail %d to %s: %s; it is tried again in %.0f s", mail.id, ", ".join(recipients), why, pause_s)
        await self._must(lambda c: self._later(c, mail, recipients, now_s + pause_s, why, True, doubt))

    @staticmethod
    def _later(
        connection: sqlite3.Connection,
        mail: QueuedMail,
        recipients: tuple[str, ...],
        next_s: float,
        why: str,
        failed: bool,
        doubt: bool,
    ) -> None:
        table.later(connection, mail.id, recipients, next_s, why, failed, doubt)

    async def _give_up(self, mail: QueuedMail, recipients: tuple[str, ...], why: str) -> None:
        now_s = self._clock.epoch_s()
        self.given_up_total += 1
        log.error(
            "mail %d to %s is given up: %s. It is kept: mail.retry(%d) sends it again, mail.drop(%d) removes it",
            mail.id, ", ".join(recipients), why, mail.id, mail.id,
        )  # fmt: skip
        await self._must(lambda c: table.give_up(c, mail.id, recipients, now_s, why))

    async def _server_failed(self, mail: QueuedMail, trouble: ServerTrouble) -> None:
        """Nothing can be sent: the server is left alone for a while. The mail is not to blame, but its time goes on."""
        now_s = self._clock.epoch_s()
        self.failed_total += 1
        if now_s >= self._server_again_s:
            self._server_failures += 1
            pause_s = min(self.schedule.pause_s(self._server_failures), 300.0)
            self._server_again_s = now_s + pause_s
            advice = "; see smtp_user, smtp_password, smtp_security and smtp_ca_file in mail.conf" if trouble.login else ""
            level = logging.ERROR if trouble.login or str(trouble) != self.trouble else logging.WARNING
            log.log(
                level, "mail: %s takes nothing: %s%s. %d mails wait; it is tried again in %.0f s",
                self.server, trouble, advice, self.waiting, pause_s,
            )  # fmt: skip
            self.trouble = str(trouble)
        if self.schedule.is_over(mail.queued_s, now_s):
            await self._give_up(mail, mail.recipients, f"{self.server} takes nothing: {trouble}")
            return
        again_s = self._server_again_s
        await self._must(lambda c: self._later(c, mail, mail.recipients, again_s, str(trouble), False, False))

    def _server_works(self) -> None:
        if self.trouble:
            log.warning("mail: %s takes mails again", self.server)
        self.trouble, self._server_failures, self._server_again_s = "", 0, 0.0

    def _tell_doubt(self, mail: QueuedMail, why: str) -> None:
        message_id = message.from_content(mail.content).message_id
        log.warning("mail %d: %s: it may have arrived; it is sent again as the same %s", mail.id, why, message_id)

    # ------------------------------------------------------------------------------------------------------------ the disk
    async def _must(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Write down what has happened, however long that takes: with it unwritten the mail would be sent again."""
        while True:
            try:
                result = await self.database.run(work)
            except DatabaseFailed as error:
                await self._disk_pause(error)
                continue
            self._disk_trouble = ""
            await self._look()
            return result

    async def _disk_pause(self, error: DatabaseFailed) -> None:
        if str(error) != self._disk_trouble:
            self._disk_trouble = str(error)
            log.error("mail: the queue cannot be written: %s. Nothing is sent until that is mended", error)
        await asyncio.sleep(_DISK_PAUSE_S)

    async def _look(self) -> None:
        """Learn how many mails are where."""
        with contextlib.suppress(DatabaseFailed):
            self.counts, self.oldest_s = await self.database.run(lambda c: (table.counts(c), table.oldest_s(c)))

    async def _tend(self) -> None:
        """Forget what was accepted long ago, and files that belong to nothing."""
        now_s = self._clock.epoch_s()
        await self.database.run(lambda c: table.forget(c, now_s - self.options.keep_accepted))
        needed = await self.database.run(table.files_needed)
        await asyncio.to_thread(attachments.clear, self.files, needed, now_s - _ORPHAN_S)
        await self._look()

    async def _tend_always(self) -> None:
        while True:
            await asyncio.sleep(_TEND_S)
            try:
                await self._tend()
            except (OSError, DatabaseFailed) as error:
                log.warning("mail: old mails are not cleared away: %s", error)

    # ------------------------------------------------------------------------------------------------------- for the operator
    async def listed(self, states: tuple[MailState, ...], most: int) -> list[QueuedMail]:
        """Mails in those states. Raises DatabaseFailed."""
        return await self.database.run(lambda c: table.listed(c, states, most))

    async def retry(self, id: int) -> bool:
        """Try a mail now. False: none of that number waits or was given up. Raises DatabaseFailed."""
        now_s = self._clock.epoch_s()
        found = await self.database.run(lambda c: table.retry(c, id, now_s))
        self._server_again_s = 0.0
        await self._look()
        self._wake.set()
        return found

    async def drop(self, id: int) -> bool:
        """Remove a mail with its attachments. False: as `retry`. Raises DatabaseFailed."""
        mail = await self.database.run(lambda c: table.drop(c, id))
        if mail is None:
            return False
        log.warning("mail %d to %s was dropped by an operator", id, ", ".join(mail.recipients))
        await self._remove(message.from_content(mail.content))
        await self._look()
        return True
