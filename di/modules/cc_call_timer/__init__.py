# SPDX-License-Identifier: GPL-2.0-or-later
"""Control `cc_call_timer`: a call lasts so many seconds (spec applications.md §23)."""

from __future__ import annotations

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
    """Keys of cc_call_timer.conf."""

    default_timer: int = option(-1, help="For calls whose control gives no `timer`; -1: they are refused.", unit="s", minimum=-1)


class CallTimer:
    """Value `timer`: seconds."""

    mandatory: tuple[str, ...] = ()

    def __init__(self, default_s: int) -> None:
        self._default_s = default_s

    def authorize(self, ask: ControlAsk) -> Grant:
        """0 is refused with 503; what is missing, negative or no number with 500."""
        text = ask.values.get("timer", "").strip()
        seconds = int(text) if text.lstrip("-").isdecimal() else self._default_s if not text else -1
        if seconds < 0:
            raise Refused(500, "Server Internal Error")
        if seconds == 0:
            raise Refused(503, "Service Unavailable")
        return Grant(seconds, final=True)

    def answered(self, ask: ControlAsk) -> None:
        """Nothing: the grant counts by itself."""

    def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """Nobody asks, for the grant is final."""
        raise Refused(503, "Service Unavailable")

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """Nothing is kept."""


def start(services: Services, options: Options) -> Closer:
    """Let configurations name it."""
    modules = services.control_modules
    modules["cc_call_timer"] = CallTimer(options.default_timer)

    def close() -> None:
        del modules["cc_call_timer"]

    return close


PLUGIN = Plugin("cc_call_timer", start=start, options=Options)
