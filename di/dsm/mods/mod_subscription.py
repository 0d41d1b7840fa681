# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_subscription: SUBSCRIBE out of a dialog (spec dsm.md §5.14).

The SIP process offers requests within calls only, so none of these can work: a script that uses one is refused when it is loaded.
"""

from __future__ import annotations

from di.dsm.engine import Run
from di.dsm.errors import DsmError
from di.dsm.library import Prepared, action


def _refuse(parameters: str) -> object:
    raise DsmError("this server sends no SUBSCRIBE; the action cannot work")


@action("subscription.create", "subscription.refresh", "subscription.remove", prepare=_refuse)
def unavailable(run: Run, nothing: Prepared) -> None:
    """Never reached: the script is refused when it is loaded."""
