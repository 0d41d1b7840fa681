# SPDX-License-Identifier: GPL-2.0-or-later
"""xmlrpc2di.conf: SEMS's keys (spec di.md §3.1) and the new ones for TLS and browsers."""

from __future__ import annotations

from dataclasses import dataclass

from di.kernel.options import option
from interfaces.gateway import bind_address, names


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ValueError("right is a port number from 0 to 65535; 0 takes a free one")
    return int(text)


@dataclass(frozen=True)
class Options:
    """The gateway's configuration."""

    xmlrpc_port: int = option(8090, help="TCP port of the XML-RPC server.", parse=_port)
    server_ip: str = option("127.0.0.1", help="Address or interface name to listen on; empty is loopback.", parse=bind_address)
    multithreaded: bool = option(True, help="Accepted; calls of all connections run in one loop here.")
    threads: int = option(5, help="Accepted; there are no worker threads.", minimum=1, maximum=1000)
    export_di: bool = option(True, help="Offer the method `di`, which reaches every DI function.")
    direct_export: tuple[str, ...] = option((), help="DI names, `;` between them, whose functions become methods.", parse=names)
    run_server: bool = option(True, help="With `no` only the client functions work and nothing listens.")
    server_retry_after: int = option(10, help="How long a failed server of the client pool stays out.", unit="s")
    server_timeout: int = option(0, help="Longest wait for a server of the client pool; 0 waits for ever.", unit="ms")
    debug_server_params: bool = option(False, help="Log parameters at debug level; they may hold secrets.")
    debug_server_result: bool = option(False, help="Log results at debug level; they may hold secrets.")
    tls_certificate: str = option("", help="PEM file with the certificate chain; with it the port speaks HTTPS only.")
    tls_key: str = option("", help="PEM file with the certificate's key, if it is not in the same file.")
    allowed_origins: tuple[str, ...] = option((), help="Web origins, `;` between them, whose pages may call.", parse=names)
    max_body_bytes: int = option(1048576, help="Longest request body.", unit="bytes", minimum=1024, maximum=67108864)
