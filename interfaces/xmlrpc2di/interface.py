# SPDX-License-Identifier: GPL-2.0-or-later
"""DI `xmlrpc2di`: call other XML-RPC servers, with failover inside a pool (spec di.md §3.5)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from di.kernel.answer_body import whole_body
from di.kernel.registry import di_method
from di.kernel.value import Value
from interfaces.xmlrpc2di.parser import Fault, UnsupportedType, XmlError, read_response
from interfaces.xmlrpc2di.pool import Pool, RemoteServer
from interfaces.xmlrpc2di.writer import write_call

log = logging.getLogger(__name__)

MAX_REPLY_BYTES = 16 << 20
_NO_SERVER: list[Value] = [-1, "no active connections"]


class XmlRpcClient:
    """The client functions. A fault, a timeout or a broken connection takes that server out of service and the next is asked."""

    def __init__(self, pool: Pool, now_ns: Callable[[], int], timeout_ms: int) -> None:
        self.pool = pool
        self.now_ns = now_ns
        self.timeout = aiohttp.ClientTimeout(total=timeout_ms / 1000 if timeout_ms else None)
        self._session: aiohttp.ClientSession | None = None

    @di_method("newConnection", dangerous=True)
    def new_connection(self, app: str, host: str, port: int, uri: str) -> None:
        """Add a server to an application's pool; nothing is contacted yet. It may be any host, so this takes trust."""
        self.pool.add(app, host, port, uri)

    @di_method("sendRequest", dangerous=True)
    async def send_request(self, app: str, method: str, params: list[Value]) -> list[Value]:
        """Call a method of one of an application's servers with the elements of `params`; the whole result stands at index 2."""
        answered, result = await self._ask(app, method, params)
        return [0, "OK", result] if answered else list(_NO_SERVER)

    @di_method("sendRequestList", dangerous=True)
    async def send_request_list(self, app: str, method: str, *params: Value) -> list[Value]:
        """Call a method with every further argument as one parameter; an array result is appended element by element.

        A result that is no array stands at index 2 (SEMS loses the status then, spec di.md §3.5).
        """
        answered, result = await self._ask(app, method, list(params))
        if not answered:
            return list(_NO_SERVER)
        return [0, "OK", *result] if isinstance(result, list) else [0, "OK", result]

    async def _ask(self, app: str, method: str, params: list[Value]) -> tuple[bool, Value]:
        body = write_call(method, params)
        while (server := self.pool.choose(app, self.now_ns())) is not None:
            try:
                answer = read_response(await self._post(server, body))
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError, XmlError, UnsupportedType) as error:
                log.warning("%s: %s:%d%s failed: %s", app, server.host, server.port, server.uri, error or type(error).__name__)
            else:
                if not isinstance(answer, Fault):
                    return True, answer
                log.warning(
                    "%s: %s:%d%s answered fault %d %s", app, server.host, server.port, server.uri, answer.code, answer.text
                )
            self.pool.fail(server, self.now_ns())
        return False, None

    async def _post(self, server: RemoteServer, body: bytes) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(skip_auto_headers=("Accept", "Accept-Encoding"), auto_decompress=False)
        path = server.uri if server.uri.startswith("/") else "/" + server.uri
        parts = urlsplit(path)
        url = URL.build(
            scheme="http", host=server.host, port=server.port, path=parts.path, query_string=parts.query, encoded=True
        )
        headers = {"User-Agent": "XMLRPC++ 0.8", "Content-Type": "text/xml"}
        # One resend when a kept connection turns out to be closed: SEMS does the same, and so does aiohttp only for
        # idempotent methods.
        for attempt in (0, 1):
            try:
                return await self._exchange(url, body, headers)
            except aiohttp.ServerDisconnectedError:
                if attempt:
                    raise
        raise AssertionError("unreachable")

    async def _exchange(self, url: URL, body: bytes, headers: dict[str, str]) -> bytes:
        assert self._session is not None
        async with self._session.post(url, data=body, headers=headers, timeout=self.timeout, allow_redirects=False) as reply:
            reply.raise_for_status()
            return await whole_body(reply, MAX_REPLY_BYTES)

    async def close(self) -> None:
        """Close kept connections."""
        if self._session is not None:
            await self._session.close()
