# SPDX-License-Identifier: GPL-2.0-or-later
"""DI `mail`: what waits, and what an operator can do about it."""

from __future__ import annotations

from datetime import UTC, datetime

from di.kernel.errors import CallFailed
from di.kernel.registry import di_method
from di.kernel.sqlite_thread import DatabaseFailed
from di.kernel.value import Value
from di.modules.mail.message import from_content
from di.modules.mail.outbox import Outbox
from di.modules.mail.table import UNSENT, MailState, QueuedMail

_MOST = 1000
_SHOWN = (*UNSENT, MailState.GIVEN_UP)
_NO_SUCH: list[Value] = [404, "no mail of that number waits or was given up"]


class MailInterface:
    """The functions."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    @di_method("list", changes=False)
    async def list_mails(self, state: str = "") -> list[Value]:
        """Return the mails that are not accepted, oldest first, at most 1000; with a state (waiting, given_up, …) those in it.

        Raises CallFailed for another word.
        """
        try:
            states = (MailState(state),) if state else _SHOWN
        except ValueError:
            raise CallFailed(f"{state!r} is no state; there are: {', '.join(known.value for known in MailState)}") from None
        try:
            return [_shown(mail) for mail in await self._outbox.listed(states, _MOST)]
        except DatabaseFailed as error:
            raise CallFailed(str(error)) from error

    @di_method("status", changes=False)
    def status(self) -> dict[str, Value]:
        """Return how many mails are in each state, the server, and what is wrong with it (empty: nothing that is known)."""
        counts: dict[str, Value] = {name: count for name, count in self._outbox.counts.items()}  # noqa: C416 – another value type
        return {**counts, "server": str(self._outbox.server), "trouble": self._outbox.trouble}

    @di_method("retry", dangerous=True)
    async def retry(self, id: int) -> list[Value]:
        """Send a mail that waits or was given up now."""
        try:
            return [200, "OK"] if await self._outbox.retry(id) else [*_NO_SUCH]
        except DatabaseFailed as error:
            raise CallFailed(str(error)) from error

    @di_method("drop", dangerous=True)
    async def drop(self, id: int) -> list[Value]:
        """Remove a mail that waits or was given up, with its attachments: it is lost."""
        try:
            return [200, "OK"] if await self._outbox.drop(id) else [*_NO_SUCH]
        except DatabaseFailed as error:
            raise CallFailed(str(error)) from error


def _shown(mail: QueuedMail) -> dict[str, Value]:
    kept = from_content(mail.content)
    to: list[Value] = [*mail.recipients]
    return {
        "id": mail.id, "state": mail.state.value, "to": to, "subject": kept.subject, "message_id": kept.message_id,
        "queued": _time(mail.queued_s), "next_try": _time(mail.next_s), "failures": mail.failures, "doubts": mail.doubts,
        "error": mail.error, "attachments": len(kept.files),
    }  # fmt: skip


def _time(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="seconds")
