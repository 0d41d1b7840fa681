# SPDX-License-Identifier: GPL-2.0-or-later
"""The choice among servers."""

from __future__ import annotations

from random import Random

from interfaces.xmlrpc2di.pool import Pool


def test_every_active_server_gets_its_turn_and_failed_ones_none() -> None:
    pool = Pool(Random(1), 10)
    for port in (1, 2, 3):
        pool.add("app", "h", port, "")
    assert {server.port for _ in range(50) if (server := pool.choose("app", 0))} == {1, 2, 3}
    assert {server.uri for server in pool.servers["app"]} == {"/RPC2"}
    pool.fail(pool.servers["app"][1], 100)
    assert {server.port for _ in range(50) if (server := pool.choose("app", 105))} == {1, 3}
    assert {server.port for _ in range(50) if (server := pool.choose("app", 110))} == {1, 3}
    assert {server.port for _ in range(50) if (server := pool.choose("app", 111))} == {1, 2, 3}


def test_pools_are_apart_and_may_be_empty() -> None:
    pool = Pool(Random(1), 10)
    pool.add("app", "h", 1, "/x")
    assert pool.choose("other", 0) is None
    pool.fail(pool.servers["app"][0], 0)
    assert pool.choose("app", 10) is None and pool.choose("app", 11) is not None
