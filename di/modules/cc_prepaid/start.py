# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and stop of `cc_prepaid`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from di.kernel.errors import ConfigError
from di.kernel.sqlite_thread import DatabaseFailed
from di.modules.cc_prepaid.balances import Balances
from di.modules.cc_prepaid.control import Credits, Prepaid
from di.modules.cc_prepaid.keeper import BalanceKeeper
from di.modules.cc_prepaid.options import Options

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services

_TOUCH_S = 1.0
"""After a crash a call is charged until then."""


async def start(services: Services, options: Options) -> Closer:
    """Read the balances and let configurations name the control. Raises ConfigError for a file that cannot be used."""
    keeper = BalanceKeeper(options.file) if options.file is not None and not services.trial else None
    balances = Balances(keeper.changed if keeper is not None else None)
    if keeper is not None:
        try:
            balances.load(await keeper.open())
        except DatabaseFailed as error:
            raise ConfigError(str(services.conf_dir / "cc_prepaid.conf"), 0, "file", str(error)) from error
    modules = services.control_modules
    control = modules["cc_prepaid"] = Prepaid(balances, options, keeper, services.clock.epoch_s)
    services.registry.register("cc_prepaid", Credits(balances))
    ticker = asyncio.get_running_loop().create_task(_touch(control), name="cc_prepaid")

    async def close() -> None:
        ticker.cancel()
        services.registry.unregister("cc_prepaid")
        del modules["cc_prepaid"]
        if keeper is not None:
            await keeper.database.close()

    return close


async def _touch(control: Prepaid) -> None:
    while True:
        await asyncio.sleep(_TOUCH_S)
        control.touch()
