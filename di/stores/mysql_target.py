# SPDX-License-Identifier: GPL-2.0-or-later
"""Which MySQL or MariaDB is meant, as configurations say it; apart from the client, which a server without such a database does not load."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_URL = re.compile(r"mysql://(?P<user>[^:@/]*)(?::(?P<password>.*))?@(?P<host>[^@/:]+)(?::(?P<port>[0-9]{1,5}))?/(?P<db>[^/]*)")


@dataclass(frozen=True)
class MysqlTarget:
    """Where to connect. The password is never shown."""

    user: str
    password: str = field(repr=False)
    host: str = ""
    port: int = 3306
    database: str = ""


def parse_url(text: str) -> MysqlTarget | None:
    """Read `mysql://user:password@host[:port]/db`; the password may hold `@` and `/`. None: no such URL."""
    found = _URL.fullmatch(text)
    port = int(found["port"] or 3306) if found is not None else 0
    if found is None or not 0 < port < 65536:
        return None
    return MysqlTarget(found["user"], found["password"] or "", found["host"], port, found["db"])
