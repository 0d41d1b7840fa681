# SPDX-License-Identifier: GPL-2.0-or-later
"""cc_bl_redis.conf (spec applications.md §23)."""

from __future__ import annotations

from dataclasses import dataclass

from di.kernel.options import option

_LONGEST_MS = 600_000


def parse_pauses(text: str) -> tuple[int, ...]:
    """Read pauses in ms, the last of which is repeated."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isdecimal() and 0 < int(word) <= _LONGEST_MS for word in words):
        raise ValueError(f"right are milliseconds from 1 to {_LONGEST_MS}, with commas: 100,500,2000")
    return tuple(map(int, words))


@dataclass(frozen=True)
class Options:
    """Keys of cc_bl_redis.conf."""

    redis_server: str = option("127.0.0.1", help="Host of the Redis server.")
    redis_port: int = option(6379, help="Its port.", minimum=1, maximum=65535)
    redis_reconnect_timers: tuple[int, ...] = option(
        (5, 10, 20, 50, 100, 500, 1000),
        help="Pauses before a server that could not be reached is tried again, in ms; the last one is repeated. Meanwhile it counts as unavailable.",
        parse=parse_pauses,
    )
    redis_connections: int = option(10, help="How many questions may be out at once.", minimum=1, maximum=1000)
    redis_max_conn_wait: int = option(
        1000, help="How long a question may wait for a connection, and for its answer.", unit="ms", minimum=10, maximum=30_000
    )
    redis_full_logging: bool = option(False, help="Log each question and its answer.")
    pass_on_bl_unavailable: bool = option(False, help="Let calls pass while the list cannot be asked; else they get 500.")
