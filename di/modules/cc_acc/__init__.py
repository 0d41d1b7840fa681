# SPDX-License-Identifier: GPL-2.0-or-later
"""DI module `cc_acc`: credits by pin, in memory, as SEMS's tutorial has them for its calling card (spec applications.md §24)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from di.kernel.registry import di_method
from di.kernel.value import Value
from di.server.plugin import Plugin

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services


class PinAccounts:
    """Functions `cc_acc.…`; -1 stands for a pin that is not known."""

    def __init__(self) -> None:
        self._credit: dict[str, int] = {}

    @di_method("getCredit", changes=False)
    def get_credit(self, pin: str) -> list[Value]:
        """Return the credit of a pin."""
        return [self._credit.get(pin, -1)]

    @di_method("subtractCredit", dangerous=True)
    def subtract_credit(self, pin: str, amount: int) -> list[Value]:
        """Take from it, not below 0; returns what is left."""
        if pin not in self._credit:
            return [-1]
        return self.set_credit(pin, self._credit[pin] - amount)

    @di_method("addCredit", dangerous=True)
    def add_credit(self, pin: str, amount: int) -> list[Value]:
        """Add to it; a pin that is not known is made."""
        return self.set_credit(pin, self._credit.get(pin, 0) + amount)

    @di_method("setCredit", dangerous=True)
    def set_credit(self, pin: str, amount: int) -> list[Value]:
        """Set it; a pin that is not known is made."""
        self._credit[pin] = max(0, amount)
        return [self._credit[pin]]

    @di_method("connectCall", changes=False)
    def connect_call(self) -> None:
        """Do nothing, as in SEMS."""


def start(services: Services, options: None) -> Closer:  # noqa: ARG001 - it has none
    """Publish the functions."""
    services.registry.register("cc_acc", PinAccounts())
    return lambda: services.registry.unregister("cc_acc")


PLUGIN = Plugin("cc_acc", start=start)
