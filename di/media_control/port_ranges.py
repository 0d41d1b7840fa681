# SPDX-License-Identifier: GPL-2.0-or-later
"""The RTP port range divided between media processes."""

from __future__ import annotations


def port_ranges(low: int, high: int, count: int) -> list[tuple[int, int]]:
    """Divide a range into `count` parts of whole pairs (RTP on an even port, RTCP on the next), as even in size as possible.

    Returns (first, last) of each part. Raises ValueError when there are fewer pairs than parts.
    """
    first = low + (low & 1)
    pairs = max(high + 1 - first, 0) // 2
    if pairs < count:
        raise ValueError(f"{low} to {high} holds {pairs} pairs of ports, one of {count} media processes needs at least one")
    bounds = [first + 2 * (pairs * part // count) for part in range(count + 1)]
    return [(bounds[part], bounds[part + 1] - 1) for part in range(count)]
