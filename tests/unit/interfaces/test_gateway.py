# SPDX-License-Identifier: GPL-2.0-or-later
"""Origins of browsers' pages."""

from __future__ import annotations

import pytest

from interfaces.gateway import OpenAccess, names, origin_check, waits


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("", True),
        ("http://localhost:3000", True),
        ("https://127.0.0.1", True),
        ("http://[::1]:8080", True),
        ("http://192.0.2.7:8080", True),
        ("https://panel.example.org", True),
        ("HTTPS://Panel.Example.Org", True),
        ("https://panel.example.org:444", False),
        ("http://panel.example.org", False),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost@evil.example", False),
        ("null", False),
        ("file://", False),
        ("http://[", False),
    ],
)
def test_origins(origin: str, allowed: bool) -> None:
    assert origin_check("192.0.2.7", ["https://panel.example.org/"])(origin) is allowed


def test_a_star_allows_every_origin() -> None:
    assert origin_check("127.0.0.1", ["*"])("https://evil.example")


def test_open_access_is_for_everybody() -> None:
    caller = OpenAccess().authenticate("xmlrpc", "127.0.0.1", "")
    assert caller.allows("core", "calls") and caller.transport == "xmlrpc"


def test_lists_in_configuration() -> None:
    assert names(" a;b ;;c") == ("a", "b", "c") and names("") == ()


async def test_only_awaitables_wait() -> None:
    async def later() -> int:
        return 1

    answer = later()
    assert waits(answer) and await answer == 1
    assert not any(waits(value) for value in (None, 1, "x", b"", [], {}, (), object()))
