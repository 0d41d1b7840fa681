# SPDX-License-Identifier: GPL-2.0-or-later
"""What every method that pjsip calls needs: an exception must not cross into C++, where it is lost or ends the process."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec

log = logging.getLogger(__name__)
P = ParamSpec("P")


def callback(function: Callable[P, None]) -> Callable[P, None]:
    """Log what a callback raises and return."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except Exception:
            log.exception("%s failed", function.__qualname__)

    return guarded
