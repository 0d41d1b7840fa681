# SPDX-License-Identifier: GPL-2.0-or-later
"""`sems-prometheus-exporter [--url http://localhost:8090] [--listen 127.0.0.1:9090]` (spec monitoring.md §5.3)."""

from __future__ import annotations

import argparse
import http.server
import sys
from collections.abc import Sequence

from clients.exporter.scrape import asker, page

_USAGE = "usage: sems-prometheus-exporter [--url <http://[name:secret@]host:port>] [--listen <ip:port>]\n"
_INDEX = '<html><head><title>SEMS exporter</title></head><body><p><a href="/metrics">metrics</a></p></body></html>\n'
_IDLE_S = 10


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the page; one connection at a time, each closed after its answer."""

    url = ""
    timeout = _IDLE_S

    def do_GET(self) -> None:
        """Called by http.server."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4; charset=utf-8", page(asker(self.url)))
        elif path == "/":
            self._answer(200, "text/html; charset=utf-8", _INDEX)
        else:
            self._answer(404, "text/plain; charset=utf-8", "Not Found\n")

    def _answer(self, status: int, content_type: str, text: str) -> None:
        raw = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """No line a scrape."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        sys.stderr.write(f"{message}\n{_USAGE}")
        raise SystemExit(1)


def server(arguments: Sequence[str]) -> http.server.HTTPServer:
    """Bind as the options say. Raises SystemExit(1) with a text on stderr."""
    parser = _Parser(add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--url", default="http://localhost:8090")
    parser.add_argument("--listen", default="127.0.0.1:9090")
    options = parser.parse_args(arguments)
    if options.help:
        sys.stderr.write(_USAGE)
        raise SystemExit(1)
    ip, _, port = options.listen.rpartition(":")
    if not ip or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        parser.error(f"--listen {options.listen}: right is ip:port")
    if not options.url.startswith(("http://", "https://")):
        parser.error("--url: right is http://host:port")
    handler = type("Bound", (Handler,), {"url": options.url})
    try:
        return http.server.HTTPServer((ip, int(port)), handler)
    except OSError as error:
        sys.stderr.write(f"cannot listen on {options.listen}: {error.strerror}\n")
        raise SystemExit(1) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted."""
    with server(sys.argv[1:] if arguments is None else arguments) as running:
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
