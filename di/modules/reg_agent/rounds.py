# SPDX-License-Identifier: GPL-2.0-or-later
"""Every ten seconds each account that is not known at `registrar_client` is registered there; refreshes and retries are done there."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from di.calls.registering import REGISTRATIONS
from di.kernel.ports import TimerHandle
from di.modules.reg_agent.options import Options, file_of, read_accounts
from di.sip.registration.account import RegisterAccount
from di.sip.registration.pacing import NS

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services

log = logging.getLogger(__name__)

FIRST_NS, EVERY_NS = 2 * NS, 10 * NS


class Rounds:
    """Accounts of the file, and the handle under which each is registered."""

    def __init__(self, services: Services, accounts: list[RegisterAccount]) -> None:
        self._services, self._accounts = services, accounts
        self._handles: dict[str, str] = {}
        self._timer: TimerHandle = services.clock.call_later(FIRST_NS, self._round)

    def _round(self) -> None:
        self._timer = self._services.clock.call_later(EVERY_NS, self._round)
        registering = self._services.capabilities.find(REGISTRATIONS)
        if registering is None:
            log.error("reg_agent: registrar_client is not loaded, so nothing is registered: put it into load_plugins")
            return
        for account in self._accounts:
            handle = self._handles.get(account.handle, "")
            if handle and registering.book.find(handle) is not None:
                continue
            self._handles[account.handle] = handle = self._services.sessions.new_id()
            registering.add(replace(account, handle=handle))

    def take(self, accounts: list[RegisterAccount]) -> None:
        """The file was read anew: accounts that are gone are taken back, changed ones registered at once."""
        registering = self._services.capabilities.find(REGISTRATIONS)
        old = {account.handle: account for account in self._accounts}
        new = {account.handle: account for account in accounts}
        self._accounts = accounts
        if registering is None:
            return
        for name, account in old.items():
            handle, now = self._handles.get(name, ""), new.get(name)
            if now is None or _bound_as(now) != _bound_as(account):
                registering.remove(self._handles.pop(name, ""))
            elif now != account:  # the same binding: taken back, it would be gone for the new REGISTER, too
                registering.change(replace(now, handle=handle))
        self._timer.cancel()
        self._round()

    def stop(self) -> None:
        """No further rounds; registrar_client takes back what it has."""
        self._timer.cancel()


def _bound_as(account: RegisterAccount) -> tuple[str, str, str]:
    return account.domain, account.user, account.contact


def start(services: Services, options: Options) -> Closer:
    """Read the accounts and begin. Raises ConfigError."""
    rounds = Rounds(services, read_accounts(options, file_of(options)))
    services.on_reload("reg_agent", Options, lambda new: rounds.take(read_accounts(new, file_of(new))))
    return rounds.stop
