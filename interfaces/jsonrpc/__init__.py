# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON-RPC 2.0 over netstrings, as server and as peer of others (spec di.md §4).

    socket ── server ── netstring ── peer ──┬── methods ── registry
                                  sems_json └── queues of sessions and modules

`methods` holds the table of errors that HTTP and WebSocket use too (`interfaces.web`); batches exist only there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from di.kernel.ids import IdMaker
from di.kernel.options import where
from di.server.plugin import Closer, Plugin
from interfaces import about
from interfaces.gateway import PortOption, listen, tls_context
from interfaces.jsonrpc.interface import JsonRpcInterface
from interfaces.jsonrpc.options import Options
from interfaces.jsonrpc.server import NetstringGateway

if TYPE_CHECKING:
    from di.server.services import Services


async def start(services: Services, options: Options) -> Closer:
    """Register the DI functions and open the port. Raises ConfigError when it cannot be opened."""
    services.access.check_bind(options.server_ip, "server_ip", *where(options, "server_ip"))
    tls = tls_context(options.tls_certificate, options.tls_key, where(options, "tls_certificate"))
    ids = IdMaker(services.clock.random, os.getpid())
    gateway = NetstringGateway(
        services.registry,
        services.access,
        services.queues.post,
        lambda: ids.new_id(services.clock.epoch_s()),
        options.max_message_bytes,
    )
    at = PortOption(options.server_ip, options.jsonrpc_port, "server_ip", "jsonrpc_port")
    await listen(services, options, at, lambda: gateway.start(options.server_ip, options.jsonrpc_port, tls))
    services.registry.register("jsonrpc", JsonRpcInterface(gateway, services.registry))
    withdraw = about.publish(services.registry)

    async def close() -> None:
        services.registry.unregister("jsonrpc")
        withdraw()
        await gateway.stop()

    return close


PLUGIN = Plugin("jsonrpc", start, Options, listens_last=True)
