# SPDX-License-Identifier: GPL-2.0-or-later
"""A mail as it is kept in the queue, and as the bytes that an SMTP server gets (RFC 5322, RFC 2045). Pure.

`Mail` ─► content (JSON for the queue's table) ─► compose(content, files) ─► bytes with CRLF line ends

Texts come from callers: control characters in headers become blanks, so that no line of a header can be made by a name.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TypeAlias

import orjson

from di.stores.mailing import Mail, Mailbox822, is_address

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_FIELD_NAME = re.compile(r"[!-9;-~]{1,70}", re.ASCII)
_OURS = frozenset(("from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version", "bcc", "cc", "sender"))
_LONGEST_TEXT = 900
"""Of a header's value: names from outside may be longer than anybody reads, and a line may have 998 signs (RFC 5322 §2.1.1)."""
_LONGEST_NAME = 100
"""Of a file."""

Content: TypeAlias = str
"""JSON of `KeptMail`."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """An attachment as the queue has it: `file` is a name in the queue's folder."""

    file: str
    name: str


@dataclass(frozen=True, slots=True)
class KeptMail:
    """What a mail says, but for whom it is sent to."""

    message_id: str
    date_s: float
    sender: tuple[str, str]
    to: tuple[tuple[str, str], ...]
    subject: str
    body: str
    headers: tuple[tuple[str, str], ...]
    files: tuple[KeptFile, ...]


def token_of(key: str) -> str:
    """A name for a mail that is the same whenever it is handed over: 32 signs, safe in file names and Message-IDs."""
    return base64.b32encode(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:20]).decode().lower()


def one_line(text: str) -> str:
    """A text for a header: without control characters, not endlessly long."""
    return _CONTROL.sub(" ", text).strip()[:_LONGEST_TEXT]


def kept(mail: Mail, own_address: str, date_s: float, files: Sequence[KeptFile]) -> KeptMail:
    """What the queue keeps of a mail. Raises ValueError when it has no usable recipient, naming what was given."""
    wrong = [box.address for box in mail.to if not is_address(box.address)]
    if wrong or not mail.to:
        raise ValueError(f"{wrong[0]!r} is no mail address" if wrong else "it has no recipient")
    sender = mail.sender or Mailbox822(own_address)
    if not is_address(sender.address):
        sender = Mailbox822(own_address, sender.name or sender.address)
    domain = own_address.rpartition("@")[2]
    headers = tuple(
        (name, one_line(value))
        for name, value in mail.headers
        if _FIELD_NAME.fullmatch(name) and name.lower() not in _OURS and not name.lower().startswith("content-")
    )
    return KeptMail(
        f"<{token_of(mail.key)}@{domain}>",
        date_s,
        (one_line(sender.name), sender.address),
        tuple((one_line(box.name), box.address) for box in mail.to),
        one_line(mail.subject),
        mail.body.encode("utf-8", "replace").decode(),
        headers,
        tuple(KeptFile(file.file, one_line(file.name)[:_LONGEST_NAME] or "attachment") for file in files),
    )


def to_content(mail: KeptMail) -> Content:
    """For the queue's table."""
    return orjson.dumps(asdict(mail)).decode()


def from_content(content: Content) -> KeptMail:
    """From the queue's table. Raises ValueError or KeyError for what `to_content` has not written."""
    data = orjson.loads(content)
    return KeptMail(
        data["message_id"],
        data["date_s"],
        (data["sender"][0], data["sender"][1]),
        tuple((name, address) for name, address in data["to"]),
        data["subject"],
        data["body"],
        tuple((name, value) for name, value in data["headers"]),
        tuple(KeptFile(file["file"], file["name"]) for file in data["files"]),
    )


def compose(mail: KeptMail, contents: Sequence[bytes]) -> bytes:
    """The whole message, lines ended by CRLF. `contents`: of the attachments, in order."""
    message = EmailMessage(policy=SMTP)
    message["Message-ID"] = mail.message_id
    message["Date"] = format_datetime(datetime.fromtimestamp(mail.date_s, UTC))
    message["From"] = _address(*mail.sender)
    message["To"] = tuple(_address(*box) for box in mail.to)
    message["Subject"] = mail.subject
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: nobody's out-of-office note is to answer it
    for name, value in mail.headers:
        message[name] = value
    message.set_content(mail.body, charset="utf-8", cte="quoted-printable")
    for file, data in zip(mail.files, contents, strict=True):
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        main, _, sub = kind.partition("/")
        message.add_attachment(data, maintype=main, subtype=sub, filename=file.name)
    return message.as_bytes()


def _address(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address(name, local, domain)
