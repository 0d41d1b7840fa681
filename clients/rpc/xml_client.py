# SPDX-License-Identifier: GPL-2.0-or-later
"""XML-RPC, by Python's own client."""

from __future__ import annotations

import http.client
import ssl
import xmlrpc.client
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

from clients.rpc.errors import CallError, refused, unreachable
from clients.rpc.kept import has_gone


class _Once(xmlrpc.client.Transport):
    """Sends each call once; Python's own sends one again whose connection ended without an answer, though it may have been carried out."""

    def request(self, host: Any, handler: str, request_body: Any, verbose: bool = False) -> Any:
        kept = self._connection[1]
        if kept is not None and has_gone(kept.sock):
            self.close()
        return self.single_request(host, handler, request_body, verbose)

    def parse_response(self, response: Any) -> Any:
        """What Python's reader raises for an answer that is none depends on where that is wrong: here it is one error."""
        try:
            return super().parse_response(response)
        except (ExpatError, ValueError, LookupError, TypeError) as error:
            raise xmlrpc.client.ResponseError(f"the answer is no XML-RPC: {error}") from None


class _Transport(_Once):
    """Plain HTTP with a time limit."""

    def __init__(self, timeout_s: float, headers: list[tuple[str, str]]) -> None:
        super().__init__(use_builtin_types=True, headers=headers)
        self._timeout_s = timeout_s

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = self._timeout_s
        return connection


class _SafeTransport(_Once, xmlrpc.client.SafeTransport):
    """HTTPS with a time limit; the certificate is checked."""

    def __init__(self, timeout_s: float, headers: list[tuple[str, str]]) -> None:
        super().__init__(use_builtin_types=True, headers=headers, context=ssl.create_default_context())
        self._timeout_s = timeout_s

    def make_connection(self, host: Any) -> http.client.HTTPSConnection:
        connection = super().make_connection(host)
        connection.timeout = self._timeout_s
        return connection


class XmlRpc:
    """A server's XML-RPC port. One connection, kept; not for several threads at once."""

    def __init__(self, url: str = "http://127.0.0.1:8090", token: str = "", timeout_s: float = 30.0) -> None:
        """`url`: the path does not matter to SEMS and cordboard. Raises ValueError for an address of another kind."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address; right is http://HOST:PORT")
        headers = [("Authorization", f"Bearer {token}")] if token else []
        kind = _SafeTransport if parts.scheme == "https" else _Transport
        self.url = url
        self._proxy = xmlrpc.client.ServerProxy(url, kind(timeout_s, headers), allow_none=True, use_builtin_types=True)

    def call(self, method: str, *params: Any) -> Any:
        """Call a method. Raises CallError or Unreachable. It is sent once: one without an answer may have been carried out."""
        try:
            return getattr(self._proxy, method)(*params)
        except xmlrpc.client.Fault as error:
            raise CallError(error.faultCode, error.faultString) from None
        except xmlrpc.client.ProtocolError as error:
            raise refused(self.url, error.errcode, error.errmsg) from None
        except (OSError, http.client.HTTPException, xmlrpc.client.ResponseError) as error:
            raise unreachable(self.url, error) from None
        except (OverflowError, TypeError) as error:
            raise CallError(0, f"this value cannot be sent by XML-RPC: {error}") from None

    def close(self) -> None:
        """Close the connection; a further call opens it again."""
        self._proxy("close")()

    def __enter__(self) -> XmlRpc:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
