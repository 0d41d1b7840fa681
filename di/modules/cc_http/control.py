# SPDX-License-Identifier: GPL-2.0-or-later
"""`call.authorize`, `call.answered`, `call.renew`, `call.ended` as signed POSTs (Standard Webhooks); the first and third are answered.

The id of a message is the call's and its step's, the same in each attempt. `call.ended` is tried six times within a minute; for
charging, the records of `cdr` are what is never lost.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import aiohttp

from di.calls.control import Grant
from di.calls.control_modules import ControlAsk, ControlUnreachable, InterruptedCall
from di.kernel.errors import Refused
from di.kernel.webhooks import signed_headers
from di.modules.cc_http.answers import read_answer

if TYPE_CHECKING:
    from di.kernel.ports import Clock
    from di.modules.cc_http.options import Options
    from di.server.plugin import Closer
    from di.server.services import Services
    from di.sip.records import CallEnded

log = logging.getLogger(__name__)
_LONGEST_ANSWER = 1 << 16
_TRIES = 6


class HttpControl:
    """The control module. Every value of the configuration is passed on as `values`."""

    mandatory: tuple[str, ...] = ()

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._http: aiohttp.ClientSession | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._renewals: dict[str, int] = {}

    async def authorize(self, ask: ControlAsk) -> Grant:
        """Raises Refused, ControlUnreachable."""
        return read_answer(await self._post(ask, "authorize", 0), self._options.warn_file)

    def answered(self, ask: ControlAsk) -> None:
        """Tell it; nobody waits."""
        self._tell(ask, "answered", {})

    async def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """Raises Refused, ControlUnreachable."""
        number = self._renewals[ask.key] = self._renewals.get(ask.key, 0) + 1
        return read_answer(await self._post(ask, "renew", number, {"used_seconds": round(used_s, 3)}), self._options.warn_file)

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """Tell it; nobody waits."""
        self._renewals.pop(ask.key, None)
        how = {"used_seconds": round(used_s, 3), "code": end.code, "reason": end.reason, "by": end.by}
        self._tell(ask, "ended", how)

    async def interrupted(self, call: InterruptedCall) -> None:
        """The server died with the call up: its next life tells it, as an end `by` crash. Raises ControlUnreachable, to be asked again."""
        data: dict[str, object] = {
            "call": call.call, "control": call.instance, "direction": call.direction, "application": call.application,
            "from": call.from_header, "to": call.to_header, "request_uri": call.request_uri, "call_id": call.call_id,
            "source": call.source, "values": dict(call.values),
            "used_seconds": round(call.used_s, 3), "code": 0, "reason": "the server stopped without an end", "by": "crash",
        }  # fmt: skip
        await self._send(f"{call.key}/ended/0", "ended", data)

    def _tell(self, ask: ControlAsk, step: str, more: dict[str, object]) -> None:
        task = asyncio.ensure_future(self._until_told(ask, step, more))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _until_told(self, ask: ControlAsk, step: str, more: dict[str, object]) -> None:
        for number in range(_TRIES):
            try:
                await self._post(ask, step, 0, more)
                return
            except (ControlUnreachable, Refused) as error:
                log.warning("call %s: call.%s is not told yet: %s", ask.call.id, step, error)
                await asyncio.sleep(2.0**number)
        log.error("call %s: call.%s was not told: no answer of 2xx in %d tries", ask.call.id, step, _TRIES)

    async def _post(self, ask: ControlAsk, step: str, number: int, more: dict[str, object] | None = None) -> bytes:
        info = ask.call.info
        data: dict[str, object] = {
            "call": ask.call.id, "control": ask.instance, "direction": info.direction, "application": ask.call.application,
            "from": info.from_header, "to": info.to_header, "request_uri": info.request_uri, "call_id": info.call_id,
            "source": info.source_ip, "values": dict(ask.values), **(more or {}),
        }  # fmt: skip
        return await self._send(f"{ask.key}/{step}/{number}", step, data)

    async def _send(self, id: str, step: str, data: dict[str, object]) -> bytes:
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10), headers={"User-Agent": "cordboard"})
        text = json.dumps({"type": f"call.{step}", "data": data}, ensure_ascii=False)
        body = text.encode("utf-8", "replace")
        headers = signed_headers(self._options.secret_file, id, int(self._clock.epoch_s()), body)
        try:
            async with self._http.post(self._options.url, data=body, headers=headers, allow_redirects=False) as answer:
                content = await answer.content.read(_LONGEST_ANSWER)
                if not 200 <= answer.status < 300:
                    raise ControlUnreachable(f"{self._options.url} answered {answer.status}")
                return content
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ControlUnreachable(f"{self._options.url}: {str(error) or type(error).__name__}") from error

    async def close(self) -> None:
        """Let what is being told be told, for a moment."""
        if self._telling:
            await asyncio.wait(self._telling, timeout=3)
        for task in self._telling:
            task.cancel()
        if self._http is not None:
            await self._http.close()


def start(services: Services, options: Options) -> Closer:
    """Let configurations name the control."""
    modules = services.control_modules
    control = HttpControl(options, services.clock)
    modules["cc_http"] = control

    async def close() -> None:
        del modules["cc_http"]
        await control.close()

    return close
