# SPDX-License-Identifier: GPL-2.0-or-later
"""The module `dsm` begins: scripts are loaded, its DI functions registered; the closer takes both back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from di.dsm.hub.app import DsmServer
from di.dsm.hub.interface import DsmInterface
from di.dsm.options import DsmOptions

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services


def start(services: Services, options: DsmOptions) -> Closer:
    """Plug-in start. Raises ConfigError."""
    server = DsmServer(services, options)
    server.start()
    services.registry.register("dsm", DsmInterface(server))
    services.on_reload("dsm", DsmOptions, server.reload)

    async def close() -> None:
        services.registry.unregister("dsm")
        await server.close()

    return close
