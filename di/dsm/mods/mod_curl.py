# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_curl: HTTP requests (spec dsm.md §5.12). Only the asking call waits; HTTP error statuses are no errors.

Redirects are not followed and no cookies are kept, as with the C library unless told otherwise.
"""

from __future__ import annotations

import logging
import string
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import aiohttp
from yarl import URL

from di.dsm.language.library import Res, action
from di.dsm.language.numbers import unsigned
from di.dsm.language.values import variable_name
from di.dsm.run.engine import Run

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16_000_000
"""A larger answer is an error: it would have to be kept in a variable."""
DEFAULT_TIMEOUT_S = 60


class Client:
    """One client for all calls, made at first use and closed with the server."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def session(self) -> aiohttp.ClientSession:
        """The client."""
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def close(self) -> None:
        """The server ends."""
        if self._session is not None:
            await self._session.close()


def _names(text: str) -> list[str]:
    return [variable_name(name.strip()) for name in text.split(";") if name.strip()]


def _url(text: str) -> URL:
    """The URL as the script wrote it; only what HTTP cannot carry is encoded. Raises ValueError."""
    if "/" in text[8:] and not text[: text.index("/", 8)].isascii():
        return URL(text)
    return URL(quote(text, safe=string.punctuation, errors="surrogateescape"), encoded=True)


async def _transfer(
    run: Run, method: str, url: str, take: Callable[[bytes], object], form: aiohttp.FormData | None = None
) -> bool:
    """Give the body piece by piece to `take`. False: errno is set."""
    seconds = unsigned(run.vars.get("curl.timeout", ""))
    if seconds is None or not url.startswith(("http://", "https://")):
        text = f"{url!r} is no http URL" if seconds is not None else "$curl.timeout must be a number of seconds"
        run.vars["curl.err"] = text
        run.fail("arg", text)
        return False
    timeout = aiohttp.ClientTimeout(total=seconds or DEFAULT_TIMEOUT_S)
    client = run.session.hub.shared("mod_curl", Client).session()
    try:
        async with client.request(method, _url(url), data=form, timeout=timeout, allow_redirects=False) as response:
            async for chunk in response.content.iter_chunked(65536):
                take(chunk)
    except TimeoutError:
        run.vars["curl.err"] = f"no complete answer in {seconds or DEFAULT_TIMEOUT_S} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        run.vars["curl.err"] = str(error) or type(error).__name__
    else:
        return True
    run.fail("general", run.vars["curl.err"])
    return False


async def _fetch(run: Run, method: str, url: str, form: aiohttp.FormData | None = None) -> bytes | None:
    """The body, or None with errno set."""
    body = bytearray()

    def take(chunk: bytes) -> None:
        body.extend(chunk)
        if len(body) > MAX_BODY_BYTES:
            raise ValueError(f"the answer is longer than {MAX_BODY_BYTES} bytes")

    return bytes(body) if await _transfer(run, method, url, take, form) else None


async def _into_variable(run: Run, method: str, url: str, form: aiohttp.FormData | None = None) -> None:
    run.vars.pop("curl.out", None)
    body = await _fetch(run, method, url, form)
    if body is not None:
        run.vars["curl.out"] = body.decode("utf-8", "surrogateescape")
        run.ok()


async def _discard(run: Run, method: str, url: str, form: aiohttp.FormData | None = None) -> None:
    body = await _fetch(run, method, url, form)
    if body is not None:
        log.debug("%s: answer of %s: %.500r", run.session.id, url, body)
        run.ok()


def _form(run: Run, names: str) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    for name in _names(names):
        form.add_field(name, run.vars.get(name, ""), content_type="text/plain")
    return form


@action("curl.get")
def get(run: Run, url: Res) -> Awaitable[None]:
    """GET into `$curl.out`."""
    return _into_variable(run, "GET", url)


@action("curl.getDiscardResult")
def get_discard_result(run: Run, url: Res) -> Awaitable[None]:
    """GET, answer only logged."""
    return _discard(run, "GET", url)


@action("curl.getFile")
async def get_file(run: Run, url: Res, path: Res = "") -> None:
    """GET into a file."""
    try:
        with open(path, "wb") as file:  # noqa: ASYNC230 – opened first, so that a wrong name costs no transfer
            if await _transfer(run, "GET", url, file.write):
                run.ok()
    except (OSError, ValueError) as error:
        run.vars["curl.err"] = str(error)
        run.fail("file", str(error))


@action("curl.getForm")
def get_form(run: Run, url: Res, names: Res = "") -> Awaitable[None]:
    """GET with `name=value` pairs, which are not encoded."""
    pairs = "&".join(f"{name}={run.vars.get(name, '')}" for name in _names(names))
    if pairs:
        url += ("&" if "?" in url else "?") + pairs
    return _into_variable(run, "GET", url)


@action("curl.post")
def post(run: Run, url: Res, names: Res = "") -> Awaitable[None]:
    """POST variables as multipart/form-data."""
    return _into_variable(run, "POST", url, _form(run, names))


@action("curl.postDiscardResult")
def post_discard_result(run: Run, url: Res, names: Res = "") -> Awaitable[None]:
    """The same, answer only logged."""
    return _discard(run, "POST", url, _form(run, names))
