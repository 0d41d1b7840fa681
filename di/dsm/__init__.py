# SPDX-License-Identifier: GPL-2.0-or-later
"""DSM: calls steered by state diagrams, as SEMS's `dsm` module has them (spec dsm.md).

script ─ source ─ tokens ─ reader ─► model ─► engine ◄─ events of a call        actions/, mods/: what a script can do
                                      │         └─► session: what an action may ask of the call (Protocols)
                                      └─► check, graph, simulator (`cordboard dsm …`)
app, call, interface: the application in the hub; everything above knows neither sockets nor asyncio
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from di.dsm.options import DsmOptions
from di.server.plugin import Plugin

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services


def _start(services: Services, options: DsmOptions) -> Closer:
    from di.dsm.hub.start import start

    return start(services, options)


PLUGIN = Plugin("dsm", start=_start, options=DsmOptions)
