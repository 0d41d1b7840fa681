# SPDX-License-Identifier: GPL-2.0-or-later
"""DI module `di_log`: the last log lines, kept in a ring, readable by RPC (spec applications.md §4)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from di.kernel.logs import Layout
from di.modules.di_log.interface import LogRing
from di.modules.di_log.options import Options
from di.modules.di_log.ring import Ring, RingHandler
from di.server.plugin import Plugin

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services


def start(services: Services, options: Options) -> Closer:
    """Listen to the log and publish the DI functions."""
    ring = Ring()
    handler = RingHandler(ring)
    handler.setFormatter(Layout())
    logging.getLogger().addHandler(handler)
    services.registry.register("di_log", LogRing(ring, options.dump_directory))

    def close() -> None:
        services.registry.unregister("di_log")
        logging.getLogger().removeHandler(handler)

    return close


PLUGIN = Plugin("di_log", start=start, options=Options)
