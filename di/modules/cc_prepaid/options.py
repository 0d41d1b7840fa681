# SPDX-License-Identifier: GPL-2.0-or-later
"""cc_prepaid.conf. SEMS has none: its balances are in memory only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from di.kernel.options import option
from di.kernel.paths import absolute_path
from di.stores.mysql_target import MysqlTarget, parse_url


def parse_mysql(text: str) -> MysqlTarget:
    """Read where the database is. Raises ValueError, which does not repeat the password."""
    target = parse_url(text)
    if target is None or not target.database:
        raise ValueError("right is mysql://user:password@host[:port]/database")
    return target


@dataclass(frozen=True)
class Options:
    """Keys of cc_prepaid.conf."""

    file: Path | None = option(
        None, help="SQLite file that keeps the balances; without it they are in memory only.", parse=absolute_path
    )
    mysql: MysqlTarget | None = option(
        None, help="mysql://user:password@host/db: balances there, which several servers share.", parse=parse_mysql, secret=True
    )
    node: str = option("", help="Name of this server among them, the same after a restart; empty: the machine's.")
    slice: int = option(
        60,
        help="A call reserves so much of its account at a time, so that several at once cannot spend it twice.",
        unit="s",
        minimum=1,
    )
    warn: int = option(0, help="Play `warn_file` so long before the credit ends; 0: not.", unit="s", maximum=3600)
    warn_file: str = option("", help="What is played then, over the conversation, to the caller only.")
