# SPDX-License-Identifier: GPL-2.0-or-later
"""jsonrpc.conf: SEMS's keys (spec di.md §4.1) and the new ones."""

from __future__ import annotations

from dataclasses import dataclass

from di.kernel.options import option
from interfaces.gateway import bind_address
from interfaces.jsonrpc.netstring import MAX_PAYLOAD_BYTES


@dataclass(frozen=True)
class Options:
    """The gateway's configuration."""

    jsonrpc_port: int = option(7080, help="TCP port of the netstring JSON-RPC server; 0 takes a free one.", maximum=65535)
    server_threads: int = option(5, help="Accepted; there are no worker threads.", maximum=1000)
    server_ip: str = option("127.0.0.1", help="Address or interface name to listen on; empty is loopback.", parse=bind_address)
    tls_certificate: str = option("", help="PEM file with the certificate chain; with it the port speaks TLS only.")
    tls_key: str = option("", help="PEM file with the certificate's key, if it is not in the same file.")
    max_message_bytes: int = option(1048576, help="Longest message.", unit="bytes", minimum=1024, maximum=MAX_PAYLOAD_BYTES)
