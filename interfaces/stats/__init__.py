# SPDX-License-Identifier: GPL-2.0-or-later
"""The statistics server: one command a UDP datagram, one answer (spec core.md §10.3).

`sems-stats` and munin's plug-ins use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from di.__main__ import VERSION
from di.kernel.options import where
from di.server.plugin import Plugin
from interfaces.gateway import PortOption, listen
from interfaces.stats.commands import Commands
from interfaces.stats.options import DEFAULT_PORT, Options
from interfaces.stats.server import StatsServer

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services


async def start(services: Services, options: Options) -> Closer:
    """Open the port. Raises ConfigError when that cannot be done or may not be done."""
    ip, port = options.monit_udp_ip, options.monit_udp_port or DEFAULT_PORT
    services.access.check_bind(ip, "monit_udp_ip", *where(options, "monit_udp_ip"), transport="stats")
    server = StatsServer(Commands(services.registry, f"cordboard {VERSION}"), services.access)
    at = PortOption(ip, port, "monit_udp_ip", "monit_udp_port", udp=True)
    await listen(services, options, at, lambda: server.open(ip, port))
    return server.close


PLUGIN = Plugin("stats", start=start, options=Options, config_required=True, listens_last=True)
