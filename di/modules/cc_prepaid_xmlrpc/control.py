# SPDX-License-Identifier: GPL-2.0-or-later
"""`getCredit(pin)` before a call, `subtractCredit([{methodName, pin, amount}])` after it; what cannot be told at once is told later.

The server cannot know a repeat: what was sent and not confirmed is not sent again, it stands in the log (`di.stores.charges`).
"""

from __future__ import annotations

import xml.parsers.expat
import xmlrpc.client
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from di.calls.control import Grant
from di.calls.control_modules import ControlAsk, ControlUnreachable, InterruptedCall
from di.kernel.answer_body import whole_body
from di.kernel.errors import CallFailed, Refused
from di.kernel.options import option
from di.kernel.paths import absolute_path
from di.kernel.registry import di_method
from di.kernel.value import Value
from di.stores.charges import Charge, ChargeBook, NotTold, opened

if TYPE_CHECKING:
    from di.kernel.ports import Clock
    from di.server.plugin import Closer
    from di.server.services import Services
    from di.sip.records import CallEnded

_LONGEST_ANSWER = 1 << 20
_NO_ANSWER = (xmlrpc.client.Error, xml.parsers.expat.ExpatError, ValueError, TypeError, LookupError)
"""What `xmlrpc.client.loads` raises for what is no XML, and for XML that is no answer; a number of values that is not one."""


@dataclass(frozen=True)
class Options:
    """Keys of cc_prepaid_xmlrpc.conf."""

    server_address: str = option("localhost", help="Host of the XML-RPC server.")
    server_port: int = option(8000, help="Its port.", minimum=1, maximum=65535)
    server_uri: str = option("/RPC2", help="Its path.")
    file: Path | None = option(
        None, help="SQLite file of the calls that are to be charged; without it a crash forgets them.", parse=absolute_path
    )


class Unheard(ControlUnreachable):
    """There is no connection: the server has heard nothing."""


class CreditServer:
    """The server elsewhere. Belongs to the loop; `close` when nobody asks any more."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http: aiohttp.ClientSession | None = None

    async def call(self, method: str, *values: str | list[dict[str, str | int]]) -> int:
        """Call it; the answer is a number. Raises ControlUnreachable, which names server, method and cause."""
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        body = xmlrpc.client.dumps(values, method, allow_none=False).encode()
        try:
            async with self._http.post(
                self._url, data=body, headers={"Content-Type": "text/xml"}, allow_redirects=False
            ) as answer:
                if answer.status != 200:
                    raise ControlUnreachable(f"{self._url}: {method}: status {answer.status}")
                text = await whole_body(answer, _LONGEST_ANSWER)
            (value,) = xmlrpc.client.loads(text)[0]
        except aiohttp.ClientConnectorError as error:
            raise Unheard(f"{self._url}: {method}: {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError, *_NO_ANSWER) as error:
            raise ControlUnreachable(f"{self._url}: {method}: {str(error) or type(error).__name__}") from error
        if not isinstance(value, int):
            raise ControlUnreachable(f"{self._url}: {method}: the answer {value!r} is no number")
        return value

    async def credit(self, pin: str) -> int:
        """Credit in seconds; negative: unknown."""
        return await self.call("getCredit", pin)

    async def subtract(self, pin: str, amount: int) -> int:
        """Take seconds away. The one argument is an array of one struct, as SEMS sends it."""
        return await self.call("subtractCredit", [{"methodName": "subtractCredit", "pin": pin, "amount": amount}])

    async def close(self) -> None:
        """Close the connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()


class RemotePrepaid:
    """The control module. Value `uuid`: the account's pin there. A call gets all its credit at once, as in SEMS."""

    mandatory: tuple[str, ...] = ("uuid",)

    def __init__(self, server: CreditServer, file: Path | None, clock: Clock) -> None:
        self._server = server
        self.book = ChargeBook("cc_prepaid_xmlrpc", file, clock, self._tell, repeats=False)

    async def authorize(self, ask: ControlAsk) -> Grant:
        """Raises Refused: 500 for an unknown account, 402 for one without credit; ControlUnreachable."""
        pin = ask.values["uuid"]
        credit = await self._server.credit(pin)
        if credit < 0:
            raise Refused(500, "Server Internal Error")
        if credit == 0:
            raise Refused(402, "Insufficient Credit")
        await self.book.begin(ask.key, {"account": pin, "call": ask.call.id})
        return Grant(credit, final=True, account=pin)

    def answered(self, ask: ControlAsk) -> None:
        """The server is told at the end only."""
        self.book.answered(ask.key, {"account": ask.values["uuid"], "call": ask.call.id})

    def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """Nobody asks, for the grant is final."""
        raise Refused(402, "Insufficient Credit")

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """Take what was used."""
        self.book.end(ask.key, used_s, {"account": ask.values["uuid"], "call": ask.call.id})

    async def interrupted(self, call: InterruptedCall) -> None:
        """A crash has cut the call: without a book of our own the call records know it. Raises ControlUnreachable, to be asked again.

        The server elsewhere has no ids: a crash in this moment charges twice.
        """
        if not self.book.on_disk and round(call.used_s):
            await self._server.subtract(call.values["uuid"], round(call.used_s))

    async def _tell(self, charge: Charge) -> None:
        seconds = round(charge.used_s)
        if not seconds:
            return
        try:
            await self._server.subtract(charge.facts["account"], seconds)
        except Unheard as error:
            raise NotTold(str(error), sent=False) from error
        except ControlUnreachable as error:
            raise NotTold(str(error)) from error


class RemoteCredits:
    """DI functions that pass to the server."""

    def __init__(self, server: CreditServer) -> None:
        self._server = server

    @di_method("getCredit", dangerous=True)
    def get_credit(self, pin: str) -> Awaitable[list[Value]]:
        """Return the credit that the server tells."""
        return _told(self._server.credit(pin))

    @di_method("subtractCredit", dangerous=True)
    def subtract_credit(self, pin: str, amount: int) -> Awaitable[list[Value]]:
        """Take seconds away there; returns the server's answer."""
        return _told(self._server.subtract(pin, amount))


async def _told(answer: Awaitable[int]) -> list[Value]:
    try:
        return [await answer]
    except ControlUnreachable as error:
        raise CallFailed(str(error)) from error


async def start(services: Services, options: Options) -> Closer:
    """Let configurations name the control. Raises ConfigError for a file that cannot be used."""
    server = CreditServer(f"http://{options.server_address}:{options.server_port}/{options.server_uri.lstrip('/')}")
    control = RemotePrepaid(server, options.file, services.clock)
    close_book = await opened(control.book, services, "cc_prepaid_xmlrpc.conf")
    modules = services.control_modules
    modules["cc_prepaid_xmlrpc"] = control
    services.registry.register("cc_prepaid_xmlrpc", RemoteCredits(server))

    async def close() -> None:
        services.registry.unregister("cc_prepaid_xmlrpc")
        del modules["cc_prepaid_xmlrpc"]
        await close_book()
        await server.close()

    return close
