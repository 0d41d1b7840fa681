# SPDX-License-Identifier: GPL-2.0-or-later
"""Control `cc_pcalls`: so many calls at once for each account (spec applications.md §23); those that ring count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from di.calls.control import Grant
from di.calls.control_modules import ControlAsk
from di.kernel.errors import Refused
from di.kernel.options import option
from di.server.plugin import Plugin

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services
    from di.sip.records import CallEnded


@dataclass(frozen=True)
class Options:
    """Keys of cc_pcalls.conf."""

    refuse_code: int = option(402, help="Reply to a call too many.", minimum=400, maximum=699)
    refuse_reason: str = option("Too Many Simultaneous Calls", help="Its reason.")


class ParallelCalls:
    """Values `uuid` and `max_calls` (1; 0: none)."""

    mandatory: tuple[str, ...] = ("uuid",)

    def __init__(self, refused: Refused) -> None:
        self._refused = refused
        self._count: Counter[str] = Counter()

    def authorize(self, ask: ControlAsk) -> Grant:
        """Count it, or refuse it. A `max_calls` that is no number is a mistake of the configuration: 500."""
        account, text = ask.values["uuid"], ask.values.get("max_calls") or "1"
        if not account or not text.isdecimal():
            raise Refused(500, "Server Internal Error")
        if self._count[account] >= int(text):
            raise self._refused
        self._count[account] += 1
        return Grant(account=account)

    def answered(self, ask: ControlAsk) -> None:
        """It has counted since it rang."""

    def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """There is no limit of time."""
        return Grant()

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """One less."""
        account = ask.values["uuid"]
        self._count[account] -= 1
        if not self._count[account]:
            del self._count[account]


def start(services: Services, options: Options) -> Closer:
    """Let configurations name it."""
    modules = services.control_modules
    modules["cc_pcalls"] = ParallelCalls(Refused(options.refuse_code, options.refuse_reason))

    def close() -> None:
        del modules["cc_pcalls"]

    return close


PLUGIN = Plugin("cc_pcalls", start=start, options=Options)
