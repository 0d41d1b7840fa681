# SPDX-License-Identifier: GPL-2.0-or-later
"""An HTTP server for XML-RPC that answers what it likes, or nothing."""

from __future__ import annotations

import contextlib
import threading
import xmlrpc.client
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NO_ANSWERS = {
    "no XML": (200, b"<html>no"),
    "nothing": (200, b""),
    "another document": (200, b"<a/>"),
    "no number": (200, b"<methodResponse><params><param><value><int>x</int></value></param></params></methodResponse>"),
    "a member without a name": (200, b"<methodResponse><params><param><value><struct><member><value>x</value></member></struct></value>"
                                     b"</param></params></methodResponse>"),
    "a fault": (200, xmlrpc.client.dumps(xmlrpc.client.Fault(4, "no such user")).encode()),
    "an error": (500, b"sorry"),
    "silence": (0, b""),
}  # fmt: skip
"""Status (0: none for ever) and body of what is no answer to a question."""


def result(value: Any) -> tuple[int, bytes]:
    """An answer."""
    return 200, xmlrpc.client.dumps((value,), methodresponse=True).encode()


@contextlib.contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The URL of a server that answers each request so."""
    over = threading.Event()

    class Answer(BaseHTTPRequestHandler):
        """Of one connection."""

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if not status:
                over.wait()
                return
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            over.set()
            server.shutdown()
