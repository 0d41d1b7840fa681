# SPDX-License-Identifier: GPL-2.0-or-later
"""web.conf: the port for JSON-RPC over HTTP and WebSocket, metrics and health."""

from __future__ import annotations

from dataclasses import dataclass

from di.kernel.options import option
from interfaces.gateway import bind_address, names


@dataclass(frozen=True)
class Options:
    """The gateway's configuration."""

    port: int = option(8080, help="TCP port of the web server; 0 takes a free one.", minimum=0, maximum=65535)
    server_ip: str = option("127.0.0.1", help="Address or interface name to listen on; empty is loopback.", parse=bind_address)
    tls_certificate: str = option("", help="PEM file with the certificate chain; with it the port speaks HTTPS and WSS only.")
    tls_key: str = option("", help="PEM file with the certificate's key, if it is not in the same file.")
    panel: bool = option(True, help="Serve the control panel at /.")
    allowed_origins: tuple[str, ...] = option((), help="Web origins, `;` between them, whose pages may call.", parse=names)
    max_body_bytes: int = option(1048576, help="Longest request.", unit="bytes", minimum=1024, maximum=67108864)
    max_websockets: int = option(1000, help="WebSocket connections at once.", minimum=1, maximum=100000)
    max_subscriptions: int = option(16, help="Event subscriptions of one WebSocket.", minimum=1, maximum=1000)
    event_queue: int = option(
        1000, help="Events that may wait for one subscriber before it is dropped.", minimum=1, maximum=100000
    )
