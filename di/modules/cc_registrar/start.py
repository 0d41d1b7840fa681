# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and stop of `cc_registrar`."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client.core import Metric

from di.kernel.errors import ConfigError
from di.kernel.sqlite_thread import DatabaseFailed
from di.modules.cc_registrar.control import RegisteredUsers, RegistrarControl
from di.modules.cc_registrar.registrar import Registrar
from di.modules.uac_auth.check import CredentialCheck
from di.server.metrics import gauge
from di.stores.location.book import LocationBook, RegisterRules
from di.stores.location.keeper import LocationKeeper

if TYPE_CHECKING:
    from di.modules.cc_registrar.options import Options
    from di.server.plugin import Closer
    from di.server.services import Services

log = logging.getLogger(__name__)
_SWEEP_S = 5


async def start(services: Services, options: Options) -> Closer:
    """Read what is kept, let configurations name the control, and answer REGISTER unless an sbc does. Raises ConfigError."""
    file = str(services.conf_dir / "cc_registrar.conf")
    if not options.min_expires <= options.default_expires <= options.max_expires:
        raise ConfigError(file, 0, "default_expires", "right lies between min_expires and max_expires")
    keeper = LocationKeeper(options.file) if options.file is not None and not services.trial else None
    rules = RegisterRules(
        options.default_expires, options.min_expires, options.max_expires, options.max_contacts, options.max_registrations
    )
    book = LocationBook(rules, keeper.changed if keeper is not None else None)
    if keeper is not None:
        try:
            for binding in await keeper.open():
                book.load(binding)
        except DatabaseFailed as error:
            raise ConfigError(file, 0, "file", str(error)) from error
    epoch_s = services.clock.epoch_s
    registrar = Registrar(
        book, dict(options.users_file), options.realm, CredentialCheck(secrets.token_bytes(32)), options.any_domain
    )
    control = RegistrarControl(registrar, keeper, epoch_s, services.core.trusted_peers, options.nat_handling)
    modules = services.control_modules
    modules["cc_registrar"] = control
    services.registry.register("cc_registrar", RegisteredUsers(registrar, keeper, epoch_s))
    undo: list[Callable[[], None]] = []

    def take_register() -> None:
        try:
            undo.append(services.sessions.outside.serve("REGISTER", control.on_register))
        except ValueError:
            log.info("REGISTER is another module's: cc_registrar answers it where a profile names it")

    def metrics() -> list[Metric]:
        return [gauge("cordboard_registrations", "Contacts that are registered here.", len(book))]

    services.when_loaded.append(take_register)
    services.metric_sources.append(metrics)
    ticker = asyncio.get_running_loop().create_task(_sweep(control), name="cc_registrar")

    async def close() -> None:
        ticker.cancel()
        for give_back in undo:
            give_back()
        services.metric_sources.remove(metrics)
        services.registry.unregister("cc_registrar")
        del modules["cc_registrar"]
        if keeper is not None:
            await keeper.database.close()

    return close


async def _sweep(control: RegistrarControl) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        await control.sweep()
