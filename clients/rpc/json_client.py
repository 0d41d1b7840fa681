# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON-RPC 2.0 over HTTP."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Sequence
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from clients.rpc.errors import CallError, Unreachable, refused, unreachable
from clients.rpc.kept import has_gone

MAX_REPLY_BYTES = 256 << 20


class JsonRpc:
    """A server's JSON-RPC port. One connection, kept; not for several threads at once."""

    def __init__(self, url: str = "http://127.0.0.1:8080/jsonrpc", token: str = "", timeout_s: float = 30.0) -> None:
        """`url` with path; https checks the certificate. Raises ValueError for an address of another kind."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address; right is http://HOST:PORT/jsonrpc")
        self.url = url
        self._path = (parts.path or "/jsonrpc") + (f"?{parts.query}" if parts.query else "")
        self._connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout_s, context=ssl.create_default_context())
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
        )
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._last_id = 0

    def call(self, method: str, params: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """Call a function, named with its module as `core.calls` is, with a list or with names. Raises CallError or Unreachable.

        It is sent once: one without an answer may have been carried out.
        """
        return self._result(self._exchange(self._request(method, params)))

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Make several calls in one message; each place holds a result, or the CallError of that call."""
        if not calls:
            return []
        requests = [self._request(method, params) for method, params in calls]
        answers = self._exchange(requests)
        if not isinstance(answers, list):
            self._result(answers)
            raise Unreachable(f"{self.url}: the answer to a batch is no list")
        by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        results: list[Any] = []
        for request in requests:
            try:
                results.append(self._result(by_id.get(request["id"])))
            except CallError as error:
                results.append(error)
        return results

    def _request(self, method: str, params: Sequence[Any] | dict[str, Any]) -> dict[str, Any]:
        self._last_id += 1
        wire = params if isinstance(params, dict) else list(params)
        return {"jsonrpc": "2.0", "method": method, "params": wire, "id": self._last_id}

    def _result(self, answer: Any) -> Any:
        if isinstance(answer, dict):
            if "result" in answer:
                return answer["result"]
            error = answer.get("error")
            if isinstance(error, dict):
                raise CallError(error.get("code", 0), str(error.get("message", "")), error.get("data"))
        raise Unreachable(f"{self.url}: the answer is no JSON-RPC")

    def _exchange(self, message: Any) -> Any:
        body = json.dumps(message).encode()
        if has_gone(self._connection.sock):
            self._connection.close()  # the request opens it again
        try:
            self._connection.request("POST", self._path, body, self._headers)
            reply = self._connection.getresponse()
            data = reply.read(MAX_REPLY_BYTES)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise unreachable(self.url, error) from None
        if reply.status != 200:
            raise refused(self.url, reply.status, reply.reason)
        try:
            return json.loads(data)
        except ValueError as error:
            raise unreachable(self.url, error) from None

    def close(self) -> None:
        """Close the connection; a further call opens it again."""
        self._connection.close()

    def __enter__(self) -> JsonRpc:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
