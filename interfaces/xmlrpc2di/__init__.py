# SPDX-License-Identifier: GPL-2.0-or-later
"""XML-RPC: the port by which SEMS clients steer the server, and a pool of other XML-RPC servers for our own modules (spec di.md §3).

    socket ── http_server ── http1 ── server ── parser ── methods ── registry
                                        └────── writer ◄──┘

Any path works, connections stay open, every answer is HTTP 200 with SEMS's own head. Left out on purpose: worker threads (one
loop serves all connections). Chunked requests, which SEMS does not know, are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from di.kernel.options import where
from di.server.plugin import Closer, Plugin
from interfaces import about
from interfaces.gateway import PortOption, listen, origin_check, tls_context
from interfaces.http_server import HttpServer
from interfaces.xmlrpc2di.interface import XmlRpcClient
from interfaces.xmlrpc2di.methods import Methods
from interfaces.xmlrpc2di.options import Options
from interfaces.xmlrpc2di.pool import Pool
from interfaces.xmlrpc2di.server import XmlRpcGateway

if TYPE_CHECKING:
    from di.server.services import Services


async def start(services: Services, options: Options) -> Closer:
    """Register the client functions and, with `run_server`, open the port. Raises ConfigError when it cannot be opened."""
    pool = Pool(services.clock.random, options.server_retry_after * 1_000_000_000)
    client = XmlRpcClient(pool, services.clock.now_ns, options.server_timeout)
    services.registry.register("xmlrpc2di", client)
    server = None
    withdraw = about.publish(services.registry)
    if options.run_server:
        server = await _open(services, options)
        services.urls["xmlrpc2di"] = f"http{'s' if server.secure else ''}://127.0.0.1:{server.port}/"

    async def close() -> None:
        services.registry.unregister("xmlrpc2di")
        withdraw()
        if server is not None:
            await server.stop()
        await client.close()

    return close


async def _open(services: Services, options: Options) -> HttpServer:
    file, line = where(options, "server_ip")
    services.access.check_bind(options.server_ip, "server_ip", file, line)
    methods = Methods(services.registry, options.export_di, options.direct_export)
    gateway = XmlRpcGateway(
        methods,
        services.access,
        origin_check(options.allowed_origins),
        options.debug_server_params,
        options.debug_server_result,
    )
    server = HttpServer(gateway.handle, options.max_body_bytes, services.access)
    tls = tls_context(options.tls_certificate, options.tls_key, where(options, "tls_certificate"))
    at = PortOption(options.server_ip, options.xmlrpc_port, "server_ip", "xmlrpc_port")
    await listen(services, options, at, lambda: server.start(options.server_ip, options.xmlrpc_port, tls))
    return server


PLUGIN = Plugin("xmlrpc2di", start, Options, config_required=True, listens_last=True)
