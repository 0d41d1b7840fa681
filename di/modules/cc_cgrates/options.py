# SPDX-License-Identifier: GPL-2.0-or-later
"""cc_cgrates.conf."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from di.kernel.options import option
from di.kernel.paths import absolute_path

REQUEST_TYPES = ("*prepaid", "*postpaid", "*pseudoprepaid", "*rated", "*none")


def parse_servers(text: str) -> tuple[tuple[str, int], ...]:
    """Read a list of host:port. Raises ValueError with what would be right."""
    found = []
    for part in text.split(","):
        host, colon, port = part.strip().rpartition(":")
        if not colon or not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
            raise ValueError("right is a list of host:port")
        found.append((host.strip("[]"), int(port)))
    return tuple(found)


@dataclass(frozen=True)
class Options:
    """Keys of cc_cgrates.conf."""

    servers: tuple[tuple[str, int], ...] = option(
        (("127.0.0.1", 2014),),
        help="Bidirectional JSON ports of CGRateS (listen_bijson), host:port, the preferred one first.",
        parse=parse_servers,
    )
    tenant: str = option("cgrates.org", help="Tenant of all calls, unless the value `tenant` of a control says another.")
    origin_host: str = option("", help="OriginHost of all events; empty: the machine's name. Must stay the same for a call.")
    request_type: str = option(
        "*prepaid", help="RequestType, unless the value `request_type` says another.", choices=REQUEST_TYPES
    )
    slice: int = option(
        60, help="Seconds asked for at a time; 0: CGRateS debits by itself and ends the call.", unit="s", maximum=86400
    )
    debit_interval: int = option(
        0, help="With slice=0: how often CGRateS debits; 0: as its own configuration says.", unit="s", maximum=86400
    )
    cdr: bool = option(True, help="Send a CDR (ProcessCDR) at the end of each call.")
    warn: int = option(0, help="Play `warn_file` so long before the credit ends; 0: not.", unit="s", maximum=3600)
    warn_file: str = option(
        "", help="What is played then, and when CGRateS warns of a low balance, over the conversation, to the caller only."
    )
    file: Path | None = option(
        None, help="SQLite file of the sessions whose end is to be told; without it a crash forgets them.", parse=absolute_path
    )
