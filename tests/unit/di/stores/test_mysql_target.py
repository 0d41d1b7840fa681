# SPDX-License-Identifier: GPL-2.0-or-later
"""URLs of databases."""

from __future__ import annotations

from di.stores.mysql_target import parse_url


def test_mysql_urls() -> None:
    target = parse_url("mysql://u:p@ss/word@h:3307/db")
    assert target is not None and (target.user, target.password, target.host, target.port, target.database) == (
        "u",
        "p@ss/word",
        "h",
        3307,
        "db",
    )
    assert "p@ss" not in repr(target)
    assert parse_url("mysql://nope") is None
