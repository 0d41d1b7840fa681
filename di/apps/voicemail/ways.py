# SPDX-License-Identifier: GPL-2.0-or-later
"""The two ways of a recording: into the mail queue, into a box. Each answers with the cause where it does not go, else with an empty text.

Both may be gone again and again: a mail has the call's id as key, and what lies in the box already is recognized.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from di.apps.api import MAIL, MESSAGES, BoxOwner, Existing, Mail, MailAttachment, Messages, MsgCode, Services, message_name
from di.apps.voicemail import files
from di.apps.voicemail.journal import JournalEntry
from di.apps.voicemail.order import VoicemailOrder
from di.apps.voicemail.templates import MailTemplate


class MessageWays:
    """The server's mail queue and message storage, as far as they are loaded."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def mail(self, entry: JournalEntry, path: Path, template: MailTemplate) -> str:
        """Hand a recording to the mail queue."""
        mails = self._services.capabilities.find(MAIL)
        if mails is None:
            return "no mail queue is loaded: put mail into load_plugins"
        filled = template.fill(_values(entry))
        attachment = MailAttachment(path, f"message{path.suffix}", copied=entry.order.mode.boxes)
        queued = await mails.submit(
            Mail(entry.id, filled.to, filled.subject, filled.body, filled.sender, filled.headers, (attachment,))
        )
        return "" if queued.ok else queued.cause

    async def box(self, entry: JournalEntry, path: Path, existing: Existing) -> str:
        """Put a recording into the box, which takes the file away."""
        if entry.mailed or not entry.order.mode.mails:
            return await self._store(entry, path, existing)
        try:  # the mail still needs it
            twin = await asyncio.to_thread(files.twin, path)
            cause = await self._store(entry, twin, existing)
            await asyncio.to_thread(twin.unlink, True)
        except OSError as error:
            return f"no copy of {path} can be made for the box: {error.strerror}"
        return cause

    async def _store(self, entry: JournalEntry, path: Path, existing: Existing) -> str:
        messages = self._services.capabilities.find(MESSAGES)
        if messages is None:
            return "no message storage is loaded: put msg_storage into load_plugins"
        order = entry.order
        owner, name = owner_of(order), message_name(order.ts, order.sender, path.suffix[1:])
        stored = await messages.store(owner, name, path, existing)
        if stored.code is MsgCode.EXISTS:
            if await _is_there(messages, owner, name, path):
                return ""
            stored = await messages.store(owner, name, path, Existing.RENAME)
        return "" if stored.code is MsgCode.OK else f"the box of {owner} does not take it: {stored.cause or stored.code.name}"

    async def empty(self, order: VoicemailOrder, suffix: str) -> str:
        """An empty message says that somebody called."""
        messages = self._services.capabilities.find(MESSAGES)
        if messages is None or not order.mode.boxes:
            return ""
        owner = owner_of(order)
        stored = await messages.store(owner, message_name(order.ts, order.sender, suffix), None)
        return "" if stored.code is MsgCode.OK else f"no empty message in the box of {owner}: {stored.cause}"


def owner_of(order: VoicemailOrder) -> BoxOwner:
    """Whose box it is."""
    return BoxOwner(order.did, order.uid)


async def _is_there(messages: Messages, owner: BoxOwner, name: str, path: Path) -> bool:
    """Whether the box has this very recording: a crash came between its way into the box and the journal."""
    opened = await messages.open(owner, name)
    return opened.path is not None and await asyncio.to_thread(files.same, opened.path, path)


def _values(entry: JournalEntry) -> dict[str, str]:
    """A template's variables (spec applications.md §13)."""
    order = entry.order
    return {
        **dict(order.variables), "user": order.user, "sender": order.sender, "from": order.sender, "domain": order.domain,
        "email": order.email, "uid": order.uid, "did": order.did, "ts": str(order.ts),
        "vmsg_length": f"{max(entry.length_ms, 0) / 1000:.2f}",
    }  # fmt: skip
