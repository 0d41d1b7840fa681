# SPDX-License-Identifier: GPL-2.0-or-later
"""stats.conf, required with both keys (spec core.md §10.3)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from di.kernel.options import REQUIRED, option

DEFAULT_PORT = 5040


def parse_ipv4(text: str) -> str:
    """Read a numeric IPv4 address."""
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise ValueError("right is a numeric IPv4 address, e.g. 127.0.0.1") from None


@dataclass(frozen=True)
class Options:
    """Keys of stats.conf."""

    monit_udp_ip: str = option(REQUIRED, help="Address to listen on, a numeric IPv4.", parse=parse_ipv4)
    monit_udp_port: int = option(REQUIRED, help="UDP port; 0 is 5040.", minimum=0, maximum=65535)
