# SPDX-License-Identifier: GPL-2.0-or-later
"""Unfinished TLS handshakes: the oldest of an address that has too many go, and nobody's that is through."""

from __future__ import annotations

import socket

from di.sip.records import Limits
from interfaces.sip.handshakes import Handshakes, connections_to, shut_down

ONE, TWO, FRIEND = "192.0.2.1", "192.0.2.2", "10.0.0.1"


def handshakes(most: int = 100) -> Handshakes:
    return Handshakes(Limits(connections_an_address=2, connections=most), lambda ip: ip == FRIEND)


def test_the_oldest_of_an_address_go() -> None:
    watch = handshakes()
    assert watch.too_many({5: (ONE, 1), 6: (ONE, 2)}, ()) == []
    assert watch.too_many({7: (ONE, 3), 5: (ONE, 1), 6: (ONE, 2), 8: (TWO, 1)}, ()) == [5]
    assert watch.too_many({7: (ONE, 3), 6: (ONE, 2), 8: (TWO, 1)}, ()) == [], "what was ended is gone by then"


def test_who_is_through_does_not_count_and_a_descriptor_may_be_another_s_later() -> None:
    watch = handshakes()
    opened = {n: (ONE, n) for n in range(10)}
    assert watch.too_many(opened, {(ONE, n) for n in range(2, 10)}) == []
    assert watch.too_many({0: (TWO, 7), 1: (TWO, 8), 2: (TWO, 9)}, ()) == [0]


def test_a_trusted_address_has_what_all_have() -> None:
    watch = handshakes(most=5)
    assert watch.too_many({n: (FRIEND, n) for n in range(5)}, ()) == []
    assert watch.too_many({n: (FRIEND, n) for n in range(8)}, ()) == [0, 1, 2]


def test_connections_are_found_and_end_and_stay_their_owners() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, peer = server.accept()
        assert connections_to(port, 0) == {accepted.fileno(): peer}
        assert connections_to(port, 100_000) == {}
        shut_down(accepted.fileno())
        assert client.recv(10) == b"" and accepted.fileno() >= 0
        shut_down(100_000)  # none
        client.close()
        accepted.close()
