# SPDX-License-Identifier: GPL-2.0-or-later
"""A real mail server on a real socket (aiosmtpd), with TLS and log-in, that can be told to be difficult.

with MailServerPeer(folder) as server:                   STARTTLS, log-in as USER with PASSWORD
    server.answer = "451 4.3.0 later"                    what DATA is answered with; a word of `BREAKS`: what breaks there
    server.stop(); server.start()                        dead, and back at the same port
    [mail.recipients for mail in server.mails]
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
import threading
from collections import Counter
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.ports import free_port
from tests.support.tls import self_signed

USER, PASSWORD = "voicemail", "s3cret-Pass"
BREAKS = ("cut before the answer", "cut after accepting")


@dataclass
class ReceivedMail:
    """What was accepted."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    encrypted: bool
    user: str

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])

    def attachment(self, number: int = 0) -> bytes:
        return bytes(list(self.message.iter_attachments())[number].get_content())


@dataclass
class MailServerPeer:
    """`security`: `starttls`, `tls` or `none`. Its port stays the same over `stop` and `start`."""

    folder: Path
    security: str = "starttls"
    login: bool = True
    mails: list[ReceivedMail] = field(default_factory=list)
    answer: str = ""
    refused: dict[str, str] = field(default_factory=dict)
    """Recipient → answer to RCPT."""
    delay_s: float = 0.0
    """Time that the server takes over each mail before it answers."""
    logins: list[str] = field(default_factory=list)
    data_begun: int = 0

    def __post_init__(self) -> None:
        self.port = free_port()
        self.certificate = self_signed(self.folder)
        self.ca_file = self.folder / "cert.pem"
        self.new_mail = threading.Event()
        self._controller: Controller | None = None

    def __enter__(self) -> MailServerPeer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate)
        starttls = {"tls_context": context, "require_starttls": True} if self.security == "starttls" else {}
        self._controller = Controller(
            self, "127.0.0.1", self.port, ssl_context=context if self.security == "tls" else None,
            auth_required=self.login, auth_require_tls=self.security == "starttls", authenticator=self._authenticate if self.login else None,
            decode_data=False, timeout=60, **starttls,
        )  # fmt: skip
        self._controller.start()

    def stop(self) -> None:
        """Be dead: connections are cut, nobody listens."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def ids(self) -> Counter[str]:
        """How often each Message-ID was accepted."""
        return Counter(mail.message_id for mail in self.mails)

    # ------------------------------------------------------------------------------------------------------ aiosmtpd's hooks
    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False, auth_data=data)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.data_begun += 1
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.answer == BREAKS[0]:
            return self._cut(server)
        if self.answer and self.answer not in BREAKS:
            return self.answer
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        user = session.auth_data.login.decode() if session.auth_data else ""
        encrypted = session.ssl is not None or self.security == "tls"
        self.mails.append(ReceivedMail(envelope.mail_from or "", list(envelope.rcpt_tos), message, encrypted, user))
        self.new_mail.set()
        return self._cut(server) if self.answer == BREAKS[1] else "250 2.0.0 taken"

    @staticmethod
    def _cut(server: SMTP) -> str:
        server.transport.abort()
        return "250 nobody hears this"
