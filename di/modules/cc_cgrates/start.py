# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and stop of `cc_cgrates`."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from di.modules.cc_cgrates.control import CgratesControl
from di.stores.charges import opened

if TYPE_CHECKING:
    from di.modules.cc_cgrates.options import Options
    from di.server.plugin import Closer
    from di.server.services import Services


async def start(services: Services, options: Options) -> Closer:
    """Let configurations name the control, and connect. Raises ConfigError for a file that cannot be used."""
    control = CgratesControl(options, options.origin_host or socket.gethostname(), services.clock)
    close_book = await opened(control.book, services, "cc_cgrates.conf")
    if not services.trial:
        control.peer.start()
    modules = services.control_modules
    modules["cc_cgrates"] = control

    async def close() -> None:
        del modules["cc_cgrates"]
        await close_book()
        await control.peer.close()

    return close
