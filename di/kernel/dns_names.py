# SPDX-License-Identifier: GPL-2.0-or-later
"""Name servers as a configuration names them."""

from __future__ import annotations

from ipaddress import ip_address


def parse_servers(text: str) -> tuple[tuple[str, int], ...]:
    """Read `ip[:port]`, several separated by commas, IPv6 in brackets. Raises ValueError that says what is right."""
    servers = []
    for part in (part.strip() for part in text.split(",") if part.strip()):
        has_port = "]:" in part or part.count(":") == 1
        host, _, port = part.rpartition(":") if has_port else (part, "", "53")
        try:
            servers.append((str(ip_address(host.strip("[]"))), int(port)))
        except ValueError as error:
            raise ValueError(f"{part!r}: right is ip or ip:port of a name server, several separated by commas") from error
    return tuple(servers)
