# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_zrtp: the module loads, as in a SEMS without ZRTP; what it would offer is refused by name (spec dsm.md §5.17)."""

from __future__ import annotations

from di.dsm.language.errors import DsmError
from di.dsm.language.library import Prepared, action, condition
from di.dsm.run.engine import Run

_ACTIONS = (
    "setEnabled setAllowclear setAutosecure setDisclosebit getSAS getSessionInfo setVerified setUnverified setSignalingHash "
    "getSignalingHash"
).split()


def _refuse(parameters: str) -> object:
    raise DsmError("this server has no ZRTP; take the action out, or encrypt with SRTP at the border")


@action(*(f"zrtp.{name}" for name in _ACTIONS), prepare=_refuse)
def unavailable(run: Run, nothing: Prepared) -> None:
    """Never reached: the script is refused when it is loaded."""


@condition("zrtp.protocolEvent", "zrtp.securityEvent", prepare=_refuse)
def no_event(run: Run, nothing: Prepared) -> bool:
    """Never reached: the script is refused when it is loaded."""
    return False
