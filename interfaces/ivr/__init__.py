# SPDX-License-Identifier: GPL-2.0-or-later
"""SEMS's plug-in `ivr` under its own name: the scripts of `script_path` in ivr.conf (spec core.md §11). `docs/python-apps.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from di.server.plugin import Plugin
from interfaces.apps.options import Options
from interfaces.apps.start import AppGateway

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services


async def start(services: Services, options: Options) -> Closer:
    """Start every script; one that cannot be imported is left out with a line in the log, as in SEMS."""
    gateway = AppGateway(services, options, "ivr", skip_broken=True)
    try:
        await gateway.open()
    except BaseException:
        await gateway.close()
        raise
    return gateway.close


PLUGIN = Plugin("ivr", start=start, options=Options, config_required=True)
