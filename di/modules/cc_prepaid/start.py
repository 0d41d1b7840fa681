# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and stop of `cc_prepaid`."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING

import aiomysql

from di.calls.control_modules import ControlUnreachable
from di.kernel.errors import ConfigError
from di.kernel.sqlite_thread import DatabaseFailed
from di.modules.cc_prepaid.balances import Balances
from di.modules.cc_prepaid.control import Credits, Prepaid
from di.modules.cc_prepaid.keeper import BalanceKeeper
from di.modules.cc_prepaid.options import Options
from di.modules.cc_prepaid.shared import SharedCredits, SharedPrepaid
from di.modules.cc_prepaid.shared_store import SharedBalances

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services
    from di.stores.mysql_target import MysqlTarget

log = logging.getLogger(__name__)
_AGAIN_S = 2.0
_TOUCH_S = 1.0
"""After a crash a call is charged until then."""


async def start(services: Services, options: Options) -> Closer:
    """Read the balances and let configurations name the control. Raises ConfigError for a file that cannot be used."""
    if options.mysql is not None:
        return await _start_shared(services, options, options.mysql)
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


async def _start_shared(services: Services, options: Options, target: MysqlTarget) -> Closer:
    """Balances in a database. It may be away at the start: calls then are as `on_unreachable` says, until it is there."""
    if options.file is not None:
        raise ConfigError(str(services.conf_dir / "cc_prepaid.conf"), 0, "mysql", "file and mysql cannot be both")
    store = SharedBalances(target, options.node or socket.gethostname())
    control = SharedPrepaid(store, options, services.clock.epoch_s)
    services.control_modules["cc_prepaid"] = control
    services.registry.register("cc_prepaid", SharedCredits(store))
    ticker = None
    if not services.trial:
        there = await _recovered(control)
        ticker = asyncio.get_running_loop().create_task(_shared(control, there), name="cc_prepaid")

    async def close() -> None:
        if ticker is not None:
            ticker.cancel()
        services.registry.unregister("cc_prepaid")
        del services.control_modules["cc_prepaid"]
        await control.close()

    return close


async def _recovered(control: SharedPrepaid, *, said: bool = False) -> bool:
    try:
        await control.recover()
    except (ControlUnreachable, aiomysql.Error) as error:
        if not said:
            log.error("prepaid balances cannot be used yet: %s", error)
        return False
    return True


async def _shared(control: SharedPrepaid, there: bool) -> None:
    """Try until the database is there; then note that calls last."""
    while not there:
        await asyncio.sleep(_AGAIN_S)
        there = await _recovered(control, said=True)
    while True:
        await asyncio.sleep(_TOUCH_S)
        await control.touch()
