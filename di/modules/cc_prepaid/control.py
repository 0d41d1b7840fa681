# SPDX-License-Identifier: GPL-2.0-or-later
"""A call reserves slices of its account's credit, one after the other, and pays at its end for what it used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from di.calls.control import Grant
from di.calls.control_modules import ControlAsk
from di.kernel.errors import Refused
from di.kernel.registry import di_method
from di.kernel.value import Value
from di.modules.cc_prepaid.balances import Balances

if TYPE_CHECKING:
    from di.modules.cc_prepaid.keeper import BalanceKeeper
    from di.modules.cc_prepaid.options import Options
    from di.sip.records import CallEnded

NO_CREDIT = Refused(402, "Insufficient Credit")


def slice_grant(options: Options, account: str, seconds: int, *, last: bool) -> Grant:
    """What a slice allows. `last`: there is no more, so the warning is due before its end."""
    warn_s = options.warn if last else 0
    # asked a moment before the end: what is free then, credit that was added included, follows without a gap
    return Grant(
        seconds,
        ask_before_s=min(max(0.2, warn_s), seconds / 2),
        warn_s=warn_s,
        warn_path=options.warn_file,
        account=account,
    )


class Prepaid:
    """The control module. Value `uuid`: the account."""

    mandatory: tuple[str, ...] = ("uuid",)

    def __init__(self, balances: Balances, options: Options, keeper: BalanceKeeper | None, epoch_s: Callable[[], float]) -> None:
        self._balances = balances
        self._options = options
        self._keeper = keeper
        self._epoch_s = epoch_s
        self._running: dict[str, str] = {}
        """Charge → account, of calls that cost now."""

    def authorize(self, ask: ControlAsk) -> Grant:
        """An unknown account is 500, one without credit 402, as in SEMS."""
        account = ask.values["uuid"]
        if self._balances.credit(account) is None:
            raise Refused(500, "Server Internal Error")
        return self._slice(ask, account)

    def _slice(self, ask: ControlAsk, account: str) -> Grant:
        seconds = self._balances.reserve(ask.key, account, self._options.slice)
        if seconds <= 0:
            raise NO_CREDIT
        return slice_grant(self._options, account, seconds, last=not self._balances.free(account))

    def answered(self, ask: ControlAsk) -> None:
        """It costs from now on."""
        account = self._running[ask.key] = ask.values["uuid"]
        if self._keeper is not None:
            self._keeper.began(ask.key, account, self._epoch_s())

    def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """The next slice."""
        return self._slice(ask, ask.values["uuid"])

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """Charge whole seconds, rounded as SEMS rounds."""
        account = ask.values["uuid"]
        self._balances.settle(ask.key, round(used_s))
        if self._running.pop(ask.key, None) is not None and self._keeper is not None:
            self._keeper.ended(ask.key, account, self._balances.credit(account) or 0)

    def touch(self) -> None:
        """Note that these calls still cost."""
        if self._keeper is not None and self._running:
            self._keeper.seen(self._epoch_s())


class Credits:
    """DI functions of `cc_prepaid`."""

    def __init__(self, balances: Balances) -> None:
        self._balances = balances

    @di_method("getCredit", changes=False)
    def get_credit(self, uuid: str) -> list[Value]:
        """Return the credit in seconds, and whether the account is known."""
        credit = self._balances.credit(uuid)
        return [credit or 0, int(credit is not None)]

    @di_method("subtractCredit", dangerous=True)
    def subtract_credit(self, uuid: str, amount: int) -> list[Value]:
        """Take seconds away, not below 0; returns what is left, and whether the account is known."""
        if self._balances.credit(uuid) is None:
            return [0, 0]
        return [self._balances.add(uuid, -amount), 1]

    @di_method("addCredit", dangerous=True)
    def add_credit(self, uuid: str, amount: int) -> list[Value]:
        """Add seconds; an unknown account is made. A call whose credit is not used up yet goes on with them."""
        return [self._balances.add(uuid, amount)]

    @di_method("setCredit", dangerous=True)
    def set_credit(self, uuid: str, amount: int) -> list[Value]:
        """Set the credit; an unknown account is made."""
        return [self._balances.set(uuid, amount)]
