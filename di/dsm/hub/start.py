# SPDX-License-Identifier: GPL-2.0-or-later
"""The module `dsm` begins: scripts are loaded, its DI functions registered; the closer takes both back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from di.calls.leg_scripts import LEG_SCRIPTS
from di.dsm.hub.app import DsmServer
from di.dsm.hub.interface import DsmInterface
from di.dsm.hub.legs import LegRunner
from di.dsm.options import DsmOptions

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services


def start(services: Services, options: DsmOptions) -> Closer:
    """Plug-in start. Raises ConfigError."""
    server = DsmServer(services, options)
    server.start()
    services.registry.register("dsm", DsmInterface(server))
    withdraw = services.capabilities.provide(LEG_SCRIPTS, LegRunner(server))
    services.on_reload("dsm", DsmOptions, server.reload)

    async def close() -> None:
        withdraw()
        services.registry.unregister("dsm")
        await server.close()

    return close
