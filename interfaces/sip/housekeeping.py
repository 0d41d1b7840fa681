# SPDX-License-Identifier: GPL-2.0-or-later
"""What the SIP process does every few seconds: says what it kept out, and gives memory back after a peak."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

_EVERY_S = 10
_WORTH_IT_BYTES = 32 << 20
"""Giving memory back takes some milliseconds for each hundred MB, and what is free is used again first."""
_PAGE_BYTES = 4096


def resident_bytes() -> int:
    """Of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


class Housekeeping:
    """`resident` says how much memory the process has."""

    def __init__(self, resident: Callable[[], int] = resident_bytes) -> None:
        self._resident = resident
        self._seconds = self._refused = self._kept_out = 0
        self._least = resident()

    def second_passed(self, refused: int, give_back: Callable[[], None], kept_out: int = 0) -> None:
        """`refused`: requests that were too much for their source in this second, `kept_out`: those of addresses that may send none.

        `give_back` returns free memory to the system.
        """
        self._refused += refused
        self._kept_out += kept_out
        self._seconds += 1
        if self._seconds < _EVERY_S:
            return
        self._seconds = 0
        if self._refused:
            log.warning("%d requests in %d s were too many of their source address: refused or dropped", self._refused, _EVERY_S)
            self._refused = 0
        if self._kept_out:
            log.warning(
                "%d requests or connections in %d s came from addresses that sip_acl_allow or sip_acl_deny keeps out",
                self._kept_out,
                _EVERY_S,
            )
            self._kept_out = 0
        if self._resident() > self._least + _WORTH_IT_BYTES:
            give_back()  # again and again while there is more than at the start: calls of the peak may have ended only now
