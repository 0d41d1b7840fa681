# SPDX-License-Identifier: GPL-2.0-or-later
"""Session ids in SEMS's shape (spec core.md §7.1): three groups of upper-case hex digits, 8-16-8."""

from __future__ import annotations

from random import Random

_AT_ONCE = 64


class IdMaker:
    """Makes ids that never repeat within a process: random, then seconds and microseconds, then a serial number mixed with the pid."""

    def __init__(self, random: Random, pid: int) -> None:
        self._random = random
        self._drawn: list[int] = []
        self._serial = (pid << 16) & 0xFFFFFFFF

    def new_id(self, epoch_s: float) -> str:
        """A new id for `epoch_s`, e.g. ``1A2B3C4D-65F0A1B2000C3500-00010001``."""
        self._serial = (self._serial + 1) & 0xFFFFFFFF
        if not self._drawn:  # the system is asked for many at once
            drawn = self._random.getrandbits(32 * _AT_ONCE)
            self._drawn = [drawn >> 32 * place & 0xFFFFFFFF for place in range(_AT_ONCE)]
        seconds, microseconds = divmod(int(epoch_s * 1_000_000), 1_000_000)
        return f"{self._drawn.pop():08X}-{seconds & 0xFFFFFFFF:08X}{microseconds:08X}-{self._serial:08X}"
