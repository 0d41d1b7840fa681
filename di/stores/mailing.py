# SPDX-License-Identifier: GPL-2.0-or-later
"""Outgoing mail: what an application hands over to whoever sends it.

    mails = services.capabilities.find(MAIL)                              None: no mail queue is loaded
    queued = await mails.submit(Mail(key=recording_id, to=..., ...))
    if not queued.ok: …                                                   `queued.cause` says why, for the log; tell the caller

Once `submit` has answered ok the mail outlives a crash of the server and of the machine: it is sent at least once, each time with the same
Message-ID, until a server has accepted it or it is given up, which keeps it too. Nothing here waits for a disk or a network.

Texts come from outside: nothing in them can add a header, a recipient or a command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from di.kernel.capabilities import Capability

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_LOCAL}(?:\.{_LOCAL})*@(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f.:]+\])", re.ASCII)
_LONGEST = 254
"""Of an address (RFC 5321 §4.5.3.1.3, less the angle brackets)."""


def is_address(text: str) -> bool:
    """Whether a text is one mail address as RFC 5321 §4.1.2 has it, without quoted or non-ASCII parts, and nothing beside it."""
    return len(text) <= _LONGEST and _ADDRESS.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Mailbox822:
    """A name, which may be empty, and an address (RFC 5322 §3.4)."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class MailAttachment:
    """A file to be sent along. `name`: what the reader sees; its suffix says what kind of file it is.

    `copied`: the queue makes a copy and no link, for the file will be somebody else's, who goes by its times or writes into it.
    """

    path: Path
    name: str
    copied: bool = False


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail. `key`: what it is about; a second mail with the same key is not queued, so handing over can be repeated after a crash.

    `sender` None: the queue's own address. `headers`: further ones, name and value.
    """

    key: str
    to: tuple[Mailbox822, ...]
    subject: str
    body: str
    sender: Mailbox822 | None = None
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[MailAttachment, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Queued:
    """How handing over went. `cause`: why not, in words for the log."""

    ok: bool
    cause: str = ""


class MailQueue(Protocol):
    """Who sends mails."""

    async def submit(self, mail: Mail) -> Queued:
        """Take a mail over: its attachments are linked or copied and may be removed afterwards. A cancelled wait does not stop it."""

    def use_server(self, host: str, port: int, source: str) -> None:
        """The server to use where mail.conf names none. `source`: the file that names it, for the log."""


MAIL: Capability[MailQueue] = Capability("mail queue (mail)")
