# SPDX-License-Identifier: GPL-2.0-or-later
"""Control `cc_dsm`: each leg of a call has a state diagram beside its application (spec dsm.md §9.2, applications.md §23).

The diagrams are those of the module dsm, which must be loaded; `di.dsm.hub.legs` runs them.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from di.calls.call_changes import CallChanges
from di.calls.control import Grant
from di.calls.control_modules import ControlAsk
from di.calls.leg_scripts import LEG_SCRIPTS, LegScript, LegScripts
from di.kernel.errors import Refused
from di.server.plugin import Plugin

if TYPE_CHECKING:
    from di.calls.session import Session
    from di.server.plugin import Closer
    from di.server.services import Services
    from di.sip.records import CallEnded

log = logging.getLogger(__name__)
_FAULT = Refused(500, "Server Internal Error")


class LegControl:
    """Values `start_diag` and `app_bundle`; all values are variables of the script."""

    mandatory: tuple[str, ...] = ("start_diag",)

    def __init__(self, scripts: Callable[[], LegScripts | None]) -> None:
        self._scripts = scripts

    def authorize(self, ask: ControlAsk) -> Grant | Awaitable[Grant]:
        """Begin the caller's script; second legs get theirs when they are called. Raises Refused: 500 for what is not loaded."""
        script = LegScript(ask.values["start_diag"], ask.values.get("app_bundle", ""), dict(ask.values))
        begun = self._attach(ask.call, script, a_leg=True)
        ask.call.on_second_leg.append(lambda leg: self._follow(leg, script))
        return _later(begun) if inspect.isawaitable(begun) else Grant(changes=begun)

    def _attach(self, call: Session, script: LegScript, *, a_leg: bool) -> CallChanges | Awaitable[CallChanges]:
        scripts = self._scripts()
        try:
            if scripts is None:
                raise ValueError("the module dsm is not loaded")
            return scripts.attach(call, script, a_leg=a_leg)
        except ValueError as error:
            log.error("call %s: control cc_dsm: %s", call.id, error)
            raise _FAULT from error

    def _follow(self, leg: Session, script: LegScript) -> None:
        """A second leg; it ends when its script cannot begin."""
        try:
            outcome = self._attach(leg, script, a_leg=False)
        except Refused as refused:
            _refuse(leg, refused)
        else:
            if inspect.isawaitable(outcome):
                leg.host.spawn(_begun(leg, outcome))

    def answered(self, ask: ControlAsk) -> None:
        """The script sees it."""

    def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """There is no limit of time."""
        return Grant()

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """The script has seen it."""


async def _later(begun: Awaitable[CallChanges]) -> Grant:
    return Grant(changes=await begun)


async def _begun(leg: Session, outcome: Awaitable[CallChanges]) -> None:
    try:
        await outcome
    except Refused as refused:
        _refuse(leg, refused)


def _refuse(leg: Session, refused: Refused) -> None:
    code, reason = refused.code, refused.reason
    leg.run(lambda: leg.stop(code, reason))


def start(services: Services, options: None) -> Closer:  # noqa: ARG001 - there are no options
    """Let configurations name it."""
    modules = services.control_modules
    modules["cc_dsm"] = LegControl(lambda: services.capabilities.find(LEG_SCRIPTS))

    def close() -> None:
        del modules["cc_dsm"]

    return close


PLUGIN = Plugin("cc_dsm", start=start)
