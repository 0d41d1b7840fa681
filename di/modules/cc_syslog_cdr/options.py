# SPDX-License-Identifier: GPL-2.0-or-later
"""cc_syslog_cdr.conf (spec applications.md §23)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from di.kernel.options import option
from di.stores.cdr.options import parse_address

_ITEM = re.compile(r"\$?[A-Za-z_][A-Za-z0-9_.-]*\Z")


def parse_items(text: str) -> tuple[str, ...]:
    """Read a list of items: `$ltag`, `$start_ts`, attributes as `$name`, configured values and names of the record as they are."""
    items = tuple(item.strip() for item in text.split(",") if item.strip())
    if wrong := [item for item in items if not _ITEM.match(item)]:
        raise ValueError(f"{wrong[0]!r}: right are names, or $names, with commas")
    return items


@dataclass(frozen=True)
class Options:
    """Keys of cc_syslog_cdr.conf."""

    cdr_prefix: str = option("CDR: ", help="What stands before each line.")
    loglevel: int = option(2, help="Priority: 0 error, 1 warning, 2 info, 3 debug, 4 notice.", minimum=0, maximum=4)
    cdr_format: tuple[str, ...] = option(
        (), help="Items of a line; empty: $ltag, three timestamps, all values of the control.", parse=parse_items
    )
    quoting_enabled: bool = option(True, help="Put every item in quotes.")
    syslog_address: tuple[str, int] = option(("/dev/log", 0), help="Socket of syslog, or host:port (UDP).", parse=parse_address)
