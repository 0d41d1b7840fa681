# SPDX-License-Identifier: GPL-2.0-or-later
"""One connection to the mail server: connect, TLS, log in, hand a mail over (RFC 5321, RFC 3207, RFC 4954, RFC 6409).

What goes wrong is told apart by what it is about: the server (nothing can be sent now), the mail (later, or never), or nobody knows
(the connection broke while the server had the whole mail in hand).
"""

from __future__ import annotations

import base64
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import aiosmtplib
from aiosmtplib import SMTP, SMTPResponseException

from di.modules.mail.options import is_this_machine

_LOG_IN_CODES = frozenset((454, 530, 534, 535, 538))
"""Of RFC 4954 and 3207: what is wrong is how we log in, not the mail."""
_CLOSING = 421
_LONGEST_ERROR = 300
_DATA_TIMEOUT_S = 600.0
"""For the answer to a whole mail (RFC 5321 §4.5.3.2.6): who gives up sooner sends it twice to a server that thinks about it."""


class ServerTrouble(Exception):
    """Nothing can be sent at present; the text says why, without credentials. `login`: the operator has to mend it."""

    def __init__(self, cause: str, login: bool = False) -> None:
        super().__init__(cause)
        self.login = login


class InDoubt(Exception):
    """The connection broke after the mail had been sent and before the server answered: it may have it."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails are handed over."""

    host: str
    port: int
    security: str
    ca_file: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    hello_name: str = ""
    timeout_s: int = 60

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def start_tls(self) -> bool | None:
        """As aiosmtplib wants it: always, never, or (None) where the server offers it.

        An attacker between us and the server can take the offer out, so `auto` leaves it to the server at this machine only.
        """
        if self.security == "auto":
            return None if is_this_machine(self.host) and not self.user else True
        return self.security == "starttls"


@dataclass(slots=True)
class HandedOver:
    """What became of a mail: recipients who have it, those to try again, those who will never take it, each with the server's words."""

    accepted: list[str] = field(default_factory=list)
    later: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def all_as(self, recipients: Sequence[str], code: int, text: str) -> HandedOver:
        """The server's answer holds for all of them alike."""
        (self.refused if code >= 500 else self.later).update(dict.fromkeys(recipients, text))
        return self


class Submission:
    """A connection. Not for several tasks at once."""

    def __init__(self, server: MailServer, tls: ssl.SSLContext) -> None:
        self._server = server
        self._tls = tls
        self._client: SMTP | None = None

    def leads_to(self, server: MailServer, tls: ssl.SSLContext) -> bool:
        """Whether it is what a new connection to that server would be."""
        return self._server == server and self._tls is tls

    @property
    def is_open(self) -> bool:
        """Whether a connection is up, as far as is known."""
        return self._client is not None and self._client.is_connected

    async def open(self) -> None:
        """Connect and log in. Raises ServerTrouble."""
        if self.is_open:
            return
        server = self._server
        client = SMTP(
            hostname=server.host, port=server.port, timeout=server.timeout_s, local_hostname=server.hello_name or None,
            use_tls=server.security == "tls", start_tls=server.start_tls, tls_context=self._tls,
        )  # fmt: skip
        try:
            await client.connect()
            if server.user:
                await client.login(server.user, server.password)
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError, ValueError) as error:
            client.close()
            raise self._trouble(error) from None
        self._client = client

    async def send(
        self, sender: str, recipients: Sequence[str], message: bytes, before_data: Callable[[], Awaitable[bool]]
    ) -> HandedOver:
        """Hand a mail over. `before_data` is awaited when recipients are known and nothing of the mail is sent; False: it is not.

        Raises ServerTrouble (nothing was accepted) or InDoubt.
        """
        assert self._client is not None
        client, outcome = self._client, HandedOver()
        try:
            options = [f"SIZE={len(message)}"] if client.supports_extension("size") else []
            await client.mail(sender, options=options)
            for recipient in recipients:
                await self._offer(client, recipient, outcome)
            if not outcome.accepted or not await before_data():
                await client.rset()
                return outcome
        except SMTPResponseException as error:
            return await self._refused(client, error, recipients)
        except (aiosmtplib.SMTPException, OSError) as error:
            self.drop()
            raise self._trouble(error) from None
        return await self._data(client, message, outcome)

    async def _offer(self, client: SMTP, recipient: str, outcome: HandedOver) -> None:
        try:
            await client.rcpt(recipient)
            outcome.accepted.append(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            if error.code == _CLOSING:
                raise
            outcome.all_as([recipient], error.code, self._words(error))

    async def _refused(self, client: SMTP, error: SMTPResponseException, recipients: Sequence[str]) -> HandedOver:
        """MAIL or the connection was refused before anything was sent."""
        if error.code in _LOG_IN_CODES or error.code == _CLOSING:
            self.drop()
            raise self._trouble(error)
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await client.rset()
        return HandedOver().all_as(recipients, error.code, self._words(error))

    async def _data(self, client: SMTP, message: bytes, outcome: HandedOver) -> HandedOver:
        try:
            await client.data(message, timeout=max(_DATA_TIMEOUT_S, float(self._server.timeout_s)))
        except SMTPResponseException as error:  # the server says that it has not taken it
            taken, outcome.accepted = outcome.accepted, []
            if error.code == _CLOSING:
                self.drop()
            return outcome.all_as(taken, error.code, self._words(error))
        except (aiosmtplib.SMTPException, OSError) as error:
            self.drop()
            raise InDoubt(self._words(error)) from None
        except BaseException:  # cancelled: the server stops
            self.drop()
            raise
        return outcome

    def drop(self) -> None:
        """Cut the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def close(self) -> None:
        """Say good-bye; what the server answers changes nothing of what it has accepted."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=2)
            client.close()

    def _trouble(self, error: Exception) -> ServerTrouble:
        login = isinstance(error, SMTPResponseException) and error.code in _LOG_IN_CODES and error.code != 454
        return ServerTrouble(self._words(error), login or isinstance(error, ssl.SSLCertVerificationError))

    def _words(self, error: Exception) -> str:
        """What went wrong, in one line, without what we log in with, which a server may repeat."""
        text = f"{error.code} {error.message}" if isinstance(error, SMTPResponseException) else str(error) or type(error).__name__
        return without_secrets(" ".join(text.split()), self._server.user, self._server.password)[:_LONGEST_ERROR]


def without_secrets(text: str, user: str, password: str) -> str:
    """A text with a password in all forms in which it crosses the wire replaced by `…`."""
    if not password:
        return text
    plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    alone = base64.b64encode(password.encode()).decode()
    for secret in (plain, alone, password):
        text = text.replace(secret, "…")
    return text


def tls_context(ca_file: str) -> ssl.SSLContext:
    """Certificates are always checked: by the system's authorities, or by the given file alone. Raises OSError."""
    return ssl.create_default_context(cafile=ca_file or None)
