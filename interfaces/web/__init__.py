# SPDX-License-Identifier: GPL-2.0-or-later
"""The web port: JSON-RPC 2.0 over HTTP and WebSocket with events, OpenRPC document, metrics and health, all over the one registry.

    socket ── front ──┬── post /jsonrpc ── rpc ── registry
                      └── aiohttp ── /ws ── websocket ── rpc, events
                                   ├ /apps ── programs (`PROGRAM_DOOR`)
                                   ├ /openrpc.json /metrics /healthz /readyz
                                   ├ / /panel/… ── files (clients/panel)
                                   └ /recordings/… ── sounds (`di.kernel.ports.SoundFiles`)

What a page shows that others make (metrics, health) comes as a function; this package knows no module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from di.kernel.errors import ConfigError
from di.kernel.options import where
from di.kernel.ports import SOUND_FILES, STANDING_QUERIES
from di.server.plugin import Closer, Plugin
from interfaces import about
from interfaces.gateway import PortOption, listen, origin_check, tls_context
from interfaces.program_door import PROGRAM_DOOR
from interfaces.web.files import PANEL, StaticFiles, read_files
from interfaces.web.front import FrontServer
from interfaces.web.interface import EventsInterface
from interfaces.web.options import Options
from interfaces.web.pages import pages
from interfaces.web.server import WebGateway, http_log
from interfaces.web.websocket import WebSockets

if TYPE_CHECKING:
    from di.server.services import Services


_KEEPALIVE_S = 10.0
"""aiohttp ends a connection on which no further whole head comes for so long."""


async def start(services: Services, options: Options) -> Closer:
    """Open the port. Raises ConfigError when it cannot be opened."""
    services.access.check_bind(options.server_ip, "server_ip", *where(options, "server_ip"))
    tls = tls_context(options.tls_certificate, options.tls_key, where(options, "tls_certificate"))
    withdraw = about.publish(services.registry)
    services.registry.register("events", EventsInterface())
    gateway = WebGateway(
        services.registry,
        services.access,
        origin_check(options.allowed_origins),
        options.max_body_bytes,
        pages(services),
        files=read_files(PANEL) if options.panel else StaticFiles(),
        find_sounds=lambda: services.capabilities.find(SOUND_FILES),
        find_door=lambda: services.capabilities.find(PROGRAM_DOOR),
    )
    sockets = WebSockets(gateway, services.events, options, lambda: services.capabilities.find(STANDING_QUERIES))
    app = gateway.application(sockets.handle)
    runner = web.AppRunner(
        app, access_log=None, logger=http_log, keepalive_timeout=_KEEPALIVE_S, shutdown_timeout=2.0, auto_decompress=False
    )
    await runner.setup()
    assert runner.server is not None
    server = FrontServer(gateway.post, runner.server, options.max_body_bytes, services.access)
    at = PortOption(options.server_ip, options.port, "server_ip", "port")
    try:
        await listen(services, options, at, lambda: server.start(options.server_ip, options.port, tls))
    except ConfigError:
        await runner.cleanup()
        services.registry.unregister("events")
        withdraw()
        raise

    url = services.urls["web"] = f"{'https' if tls is not None else 'http'}://127.0.0.1:{server.port}/"
    if options.panel:
        services.urls["panel"] = url

    async def close() -> None:
        await server.stop()
        await sockets.close()
        await runner.cleanup()
        services.registry.unregister("events")
        withdraw()

    return close


PLUGIN = Plugin("web", start, Options, listens_last=True)
