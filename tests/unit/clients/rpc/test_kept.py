# SPDX-License-Identifier: GPL-2.0-or-later
"""A call is sent once, whatever becomes of its connection; one that the server has closed between two calls does not matter."""

from __future__ import annotations

import http.client
import json
import threading
import xmlrpc.client
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from clients.rpc import JsonRpc, Unreachable, XmlRpc
from clients.rpc.kept import has_gone
from tests.support.server import wait_until

KINDS = (JsonRpc, XmlRpc)


class Once(ThreadingHTTPServer):
    """Does with each request what `acts` says next: `answer`, `answer, close`, `close` without an answer, `half` of one."""

    daemon_threads = True

    def __init__(self, *acts: str) -> None:
        super().__init__(("127.0.0.1", 0), Act)
        self.acts = list(acts)
        self.taken: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/jsonrpc"


class Act(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Once

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        act = self.server.acts[len(self.server.taken)]
        self.server.taken.append(act)
        self.close_connection = act != "answer"
        if act != "close":
            answer = self._answer(body)
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer[: len(answer) // 2] if act == "half" else answer)

    @staticmethod
    def _answer(body: bytes) -> bytes:
        if body.startswith(b"<"):
            return xmlrpc.client.dumps(("done",), methodresponse=True).encode()
        return json.dumps({"jsonrpc": "2.0", "id": json.loads(body)["id"], "result": "done"}).encode()

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Once]:
    with Once(*request.param) as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        yield made
        made.shutdown()


def connection(client: JsonRpc | XmlRpc) -> http.client.HTTPConnection:
    """The one that is kept."""
    kept = client._connection if isinstance(client, JsonRpc) else client._proxy("transport")._connection[1]
    assert isinstance(kept, http.client.HTTPConnection)
    return kept


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "server",
    [("close", "answer"), ("answer", "close", "answer"), ("answer", "half", "answer")],
    indirect=True,
    ids=" ".join,
)
def test_a_call_that_was_taken_and_not_answered_is_not_sent_again(kind: type[JsonRpc | XmlRpc], server: Once) -> None:
    """Who dials does not dial twice."""
    unanswered = len(server.acts) - 1
    with kind(server.url) as client:
        for _ in range(unanswered - 1):
            assert client.call("di_dial.dial", "sip:bob@b.example") == "done"
        with pytest.raises(Unreachable):
            client.call("di_dial.dial", "sip:bob@b.example")
        assert len(server.taken) == unanswered
        assert client.call("core.calls") == "done", "the next one has a new connection"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("server", [("answer, close", "answer", "answer")], indirect=True)
def test_a_connection_that_was_closed_between_two_calls_is_opened_again(kind: type[JsonRpc | XmlRpc], server: Once) -> None:
    with kind(server.url) as client:
        assert client.call("core.calls") == "done"
        wait_until(lambda: has_gone(connection(client).sock), "the end of the connection")
        assert client.call("core.calls") == "done"
        kept = connection(client).sock
        assert client.call("core.calls") == "done" and connection(client).sock is kept
