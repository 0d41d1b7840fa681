# SPDX-License-Identifier: GPL-2.0-or-later
"""Control `ctl` (plug-in cc_ctl): the values of a call, mostly a proxy's header, change where it goes (spec applications.md §23).

call_control=$H(P-Call-Control)         P-Call-Control: ctl;RURI="sip:bob@10.0.0.2";append_headers="P-Tenant: acme|P-Rate: 3"
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from di.calls.call_changes import CallChanges
from di.calls.change_keys import KEYS, changes_of, unknown
from di.calls.control import Grant
from di.calls.control_modules import ControlAsk, OutsideAsk, Routed
from di.kernel.errors import Refused
from di.server.plugin import Plugin

if TYPE_CHECKING:
    from di.server.plugin import Closer
    from di.server.services import Services
    from di.sip.records import CallEnded

log = logging.getLogger(__name__)


class Ctl:
    """Values: those of `di.calls.change_keys`."""

    mandatory: tuple[str, ...] = ()

    def authorize(self, ask: ControlAsk) -> Grant:
        """Change the call. Raises Refused: a value that cannot be is a mistake of who wrote it, 500."""
        return Grant(changes=_changes(ask.values, f"call {ask.call.id}: control {ask.instance}"))

    def route(self, ask: OutsideAsk) -> Routed:
        """Change where a request outside calls goes, likewise."""
        return _changes(ask.values, f"{ask.request.method} from {ask.request.source_ip}: control {ask.instance}")

    def answered(self, ask: ControlAsk) -> None:
        """Nothing is kept."""

    def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """There is no limit of time."""
        return Grant()

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """Nothing is kept."""


def _changes(values: Mapping[str, str], who: str) -> CallChanges:
    if wrong := unknown(values):
        log.warning("%s does not know %s; known are %s", who, ", ".join(wrong), ", ".join(sorted(KEYS)))
    try:
        return changes_of(values)
    except ValueError as error:
        log.error("%s: %s", who, error)
        raise Refused(500, "Server Internal Error") from error


def start(services: Services, options: None) -> Closer:  # noqa: ARG001 - there are no options
    """Let configurations and headers name it: by SEMS's name of the module, and by that of its file."""
    modules = services.control_modules
    modules["ctl"] = modules["cc_ctl"] = Ctl()

    def close() -> None:
        del modules["ctl"], modules["cc_ctl"]

    return close


PLUGIN = Plugin("cc_ctl", start=start)
