# SPDX-License-Identifier: GPL-2.0-or-later
"""`call.authorize`, `call.answered`, `call.renew`, `call.ended` as signed POSTs (Standard Webhooks); the first and third are answered.

The id of a message is the call's and its step's, the same in each attempt. `call.ended` is told until the service takes it, for days if
need be, and with `file=` also after the server was killed (`di.stores.charges`).
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import aiohttp

from di.calls.control import Grant
from di.calls.control_modules import ControlAsk, ControlUnreachable, InterruptedCall
from di.kernel.answer_body import whole_body
from di.kernel.webhooks import signed_headers
from di.modules.cc_http.answers import read_answer
from di.stores.charges import Charge, ChargeBook, Facts, NotTold, opened

if TYPE_CHECKING:
    from di.kernel.ports import Clock
    from di.modules.cc_http.options import Options
    from di.server.plugin import Closer
    from di.server.services import Services
    from di.sip.records import CallEnded

log = logging.getLogger(__name__)
_LONGEST_ANSWER = 1 << 16
_ASKING = ("authorize", "renew")
_TRIES = 6
_GIVEN_UP = json.dumps({"code": 487, "reason": "Request Terminated", "by": "remote"})
_CRASHED: dict[str, object] = {"code": 0, "reason": "the server stopped without an end", "by": "crash"}


class HttpControl:
    """The control module. Every value of the configuration is passed on as `values`."""

    mandatory: tuple[str, ...] = ()

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._http: aiohttp.ClientSession | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._renewals: dict[str, int] = {}
        self.book = ChargeBook("cc_http", options.file, clock, self._tell_end)

    async def authorize(self, ask: ControlAsk) -> Grant:
        """Raises Refused, ControlUnreachable."""
        data = _data(ask)
        grant = read_answer(await self._post(ask.key, "authorize", data), self._options.warn_file)
        await self.book.begin(ask.key, _facts(data, grant.account), {"end": _GIVEN_UP})
        return grant

    def answered(self, ask: ControlAsk) -> None:
        """Tell it; nobody waits."""
        data = _data(ask)
        self.book.answered(ask.key, _facts(data))
        task = asyncio.ensure_future(self._tell_answered(ask.key, data))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """Raises Refused, ControlUnreachable."""
        number = self._renewals[ask.key] = self._renewals.get(ask.key, 0) + 1
        answer = await self._post(ask.key, f"renew/{number}", {**_data(ask), "used_seconds": round(used_s, 3)})
        return read_answer(answer, self._options.warn_file)

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """It will be told."""
        self._renewals.pop(ask.key, None)
        how = {"code": end.code, "reason": end.reason, "by": end.by}
        self.book.end(ask.key, used_s, {**_facts(_data(ask)), "end": json.dumps(how)})

    async def interrupted(self, call: InterruptedCall) -> None:
        """The server died with the call up: without a book of our own the call records know it. Raises ControlUnreachable."""
        if self.book.on_disk:
            return  # it is in there
        data: dict[str, object] = {
            "call": call.call, "control": call.instance, "direction": call.direction, "application": call.application,
            "from": call.from_header, "to": call.to_header, "request_uri": call.request_uri, "call_id": call.call_id,
            "source": call.source, "values": dict(call.values), "used_seconds": round(call.used_s, 3), **_CRASHED,
        }  # fmt: skip
        await self._post(call.key, "ended", data)

    async def _tell_answered(self, key: str, data: dict[str, object]) -> None:
        for number in range(_TRIES):
            try:
                await self._post(key, "answered", data)
                return
            except ControlUnreachable as error:
                log.warning("call %s: call.answered is not told yet: %s", data["call"], error)
                await asyncio.sleep(2.0**number)

    async def _tell_end(self, charge: Charge) -> None:
        how = json.loads(charge.facts["end"]) if "end" in charge.facts else _CRASHED
        data = {**json.loads(charge.facts["data"]), "used_seconds": round(charge.used_s, 3), **how}
        try:
            await self._post(charge.key, "ended", data)
        except ControlUnreachable as error:
            raise NotTold(str(error)) from error

    async def _post(self, key: str, step: str, data: dict[str, object]) -> bytes:
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10), headers={"User-Agent": "cordboard"})
        kind, _, _ = step.partition("/")
        text = json.dumps({"type": f"call.{kind}", "data": data}, ensure_ascii=False)
        body = text.encode("utf-8", "replace")
        id = f"{key}/{step}" if kind != step else f"{key}/{step}/0"
        headers = signed_headers(self._options.secret_file, id, int(self._clock.epoch_s()), body)
        try:
            async with self._http.post(self._options.url, data=body, headers=headers, allow_redirects=False) as answer:
                if not 200 <= answer.status < 300:
                    raise ControlUnreachable(f"{self._options.url} answered {answer.status}")
                # What is only told is taken with its status: a long or broken body must not have it told again for days.
                return await whole_body(answer, _LONGEST_ANSWER) if kind in _ASKING else b""
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ControlUnreachable(f"{self._options.url}: {str(error) or type(error).__name__}") from error

    async def close(self) -> None:
        """Give everything back; the book is closed already."""
        for task in self._telling:
            task.cancel()
        if self._http is not None:
            await self._http.close()


def _data(ask: ControlAsk) -> dict[str, object]:
    """What every message says of the call."""
    info = ask.call.info
    return {
        "call": ask.call.id, "control": ask.instance, "direction": info.direction, "application": ask.call.application,
        "from": info.from_header, "to": info.to_header, "request_uri": info.request_uri, "call_id": info.call_id,
        "source": info.source_ip, "values": dict(ask.values),
    }  # fmt: skip


def _facts(data: dict[str, object], account: str = "") -> Facts:
    facts = {"data": json.dumps(data)}
    return {**facts, "account": account} if account else facts


async def start(services: Services, options: Options) -> Closer:
    """Let configurations name the control. Raises ConfigError for a file that cannot be used."""
    modules = services.control_modules
    control = HttpControl(options, services.clock)
    close_book = await opened(control.book, services, "cc_http.conf")
    modules["cc_http"] = control

    async def close() -> None:
        del modules["cc_http"]
        await close_book()
        await control.close()

    return close
