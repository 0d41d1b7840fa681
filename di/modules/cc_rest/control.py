# SPDX-License-Identifier: GPL-2.0-or-later
"""GET a URL for each call, and change the call as the answer says. A fetch that fails changes nothing, and the call goes on (as in SEMS)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import aiohttp

from di.calls.call_changes import NO_CHANGES, CallChanges
from di.calls.change_keys import unknown
from di.calls.control import Grant
from di.calls.control_modules import ControlAsk, OutsideAsk, Routed
from di.kernel.answer_body import whole_body
from di.kernel.errors import Refused
from di.kernel.webhooks import parse_web_url, public_part
from di.modules.cc_rest.answers import FORMATS, read

if TYPE_CHECKING:
    from di.modules.cc_rest.options import Options
    from di.server.plugin import Closer
    from di.server.services import Services
    from di.sip.records import CallEnded

log = logging.getLogger(__name__)
_MISTAKE = Refused(500, "REST configuration error")


class RestControl:
    """Values `url`, in which patterns stand for the call, and `format`: text or json."""

    mandatory: tuple[str, ...] = ("url",)

    def __init__(self, options: Options) -> None:
        self._options = options
        self._http: aiohttp.ClientSession | None = None

    async def authorize(self, ask: ControlAsk) -> Grant:
        """Raises Refused for a mistake of the configuration."""
        return Grant(changes=await self._changes(ask.values, f"call {ask.call.id}: control {ask.instance}"))

    async def route(self, ask: OutsideAsk) -> Routed:
        """The same for a request outside calls."""
        return await self._changes(ask.values, f"{ask.request.method} from {ask.request.source_ip}: control {ask.instance}")

    async def _changes(self, values: Mapping[str, str], who: str) -> CallChanges:
        kind = values.get("format", "").lower() or "text"
        url = values.get("url", "")
        try:
            parse_web_url(url)
            if kind not in FORMATS:
                raise ValueError(f"format {kind!r}: right is one of {', '.join(FORMATS)}")
        except ValueError as error:
            log.error("%s: url %r: %s", who, public_part(url), error)
            raise _MISTAKE from error
        try:
            changes, said = read(await self._get(url), kind)
            if problem := changes.problem():
                raise ValueError(problem)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.error("%s: %s: %s; it goes on unchanged", who, public_part(url), _cause(error))
            return NO_CHANGES
        if wrong := unknown(said):
            log.warning("%s: %s says %s, which is not known", who, public_part(url), ", ".join(wrong)[:200])
        return changes

    async def _get(self, url: str) -> bytes:
        """Raises ClientError, TimeoutError, OSError, ValueError."""
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=self._options.timeout_ms / 1000)
            self._http = aiohttp.ClientSession(timeout=timeout, headers={"User-Agent": "cordboard"})
        longest = self._options.longest_answer * 1024
        async with self._http.get(url, allow_redirects=False) as answer:
            if answer.status != 200:
                raise ValueError(f"answered {answer.status}")
            return await whole_body(answer, longest)

    def answered(self, ask: ControlAsk) -> None:
        """It is asked once a call."""

    def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """There is no limit of time."""
        return Grant()

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """It is asked once a call."""

    async def close(self) -> None:
        """Give back connections."""
        if self._http is not None:
            await self._http.close()


def _cause(error: Exception) -> str:
    """What went wrong, without the URL, which some errors of aiohttp hold."""
    if isinstance(error, aiohttp.InvalidURL):
        return "it is no URL"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"no answer of HTTP: {error.status} {error.message}"[:200]
    return (str(error) or type(error).__name__)[:200]


def start(services: Services, options: Options) -> Closer:
    """Let configurations name it."""
    modules = services.control_modules
    control = RestControl(options)
    modules["cc_rest"] = control

    async def close() -> None:
        del modules["cc_rest"]
        await control.close()

    return close
