# SPDX-License-Identifier: GPL-2.0-or-later
"""Which unknown address may be a leg's peer, by table; which of several is."""

from __future__ import annotations

import pytest

from media.engine.addresses import sockaddr
from media.engine.latching import (
    CONTEST_NS,
    FORGOTTEN_NS,
    MOST_CANDIDATES,
    heard,
    host_of,
    hosts_of,
    is_elsewhere,
    keeps_time,
    may_be,
    moves_ns,
    port_of,
    winner,
    with_port,
)
from media.engine.leg import Candidate

MS = 1_000_000


def name(ip: str, port: int = 4000) -> bytes:
    return sockaddr(ip, port)[0]


@pytest.mark.parametrize("ip", ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"])
def test_parts_of_an_address(ip: str) -> None:
    assert host_of(name(ip)) in hosts_of((ip, "no address", ""))
    assert port_of(name(ip, 61001)) == 61001
    assert with_port(name(ip, 61001), 5) == name(ip, 5)


def test_an_ipv4_address_is_the_same_however_it_is_written() -> None:
    assert hosts_of(("::ffff:192.0.2.7",)) == hosts_of(("192.0.2.7",)) == {host_of(name("192.0.2.7"))}


@pytest.mark.parametrize(
    ("signalled", "signalling", "elsewhere"),
    [
        ("10.0.0.1", ["8.8.8.8"], True), ("192.168.1.5", ["8.8.8.8"], True), ("172.16.0.1", ["10.0.0.1"], True),
        ("100.64.0.1", ["8.8.8.8"], True), ("127.0.0.1", ["8.8.8.8"], True), ("fd00::1", ["2a00::1"], True),
        ("10.0.0.1", ["10.0.0.1"], False), ("8.8.8.8", ["1.1.1.1"], False), ("10.0.0.1", [], False), ("2a00::1", ["2a00::2"], False),
    ],
)  # fmt: skip
def test_who_cannot_be_where_he_says(signalled: str, signalling: list[str], elsewhere: bool) -> None:
    assert is_elsewhere(name(signalled), hosts_of(tuple(signalling))) is elsewhere


def test_the_reported_ssrc_agrees_wherever_it_comes_from() -> None:
    assert may_be(name("203.0.113.9"), 7, name("8.8.8.8"), frozenset(), 7)
    assert not may_be(name("203.0.113.9"), 8, name("8.8.8.8"), frozenset(), 7)
    assert not may_be(name("203.0.113.9"), 0, name("8.8.8.8"), frozenset(), 0), "none is reported yet"


def test_sprayed_packets_are_never_in_sequence() -> None:
    candidates: list[Candidate] = []
    for sequence in (7, 7, 7, 900, 20, 65535, 7):
        heard(candidates, name("192.0.2.7"), 1, sequence, MS)
    assert [one.count for one in candidates] == [1]
    for sequence in (65534, 65535, 0, 2):
        found = heard(candidates, name("192.0.2.7"), 1, sequence, MS)
    assert found.count == 4


def test_few_are_remembered_and_who_is_silent_is_forgotten() -> None:
    candidates: list[Candidate] = []
    for port in range(10):
        heard(candidates, name("192.0.2.7", 5000 + port), 1, port, MS)
    assert len(candidates) == MOST_CANDIDATES
    heard(candidates, name("192.0.2.7"), 1, 1, MS + FORGOTTEN_NS)
    assert [one.name for one in candidates] == [name("192.0.2.7")]


def candidate(port: int, first_ms: int, ssrc: int = 1, count: int = 9) -> Candidate:
    return Candidate(name("192.0.2.7", port), ssrc, 1, first_ms * MS, first_ms * MS, count)


def test_which_of_several_is_the_peer() -> None:
    early, late, kept, reported = candidate(5000, 0), candidate(6000, 80), candidate(4000, 20), candidate(7000, 10, ssrc=66)
    now_ns = 90 * MS + CONTEST_NS

    def chosen(*candidates: Candidate, reported: int = 0, elsewhere: bool = True, now_ns: int = now_ns) -> Candidate | None:
        return winner(list(candidates), name("10.0.0.1", 4000), reported, elsewhere, now_ns)

    assert chosen(early, late) is late
    assert chosen(early, late, kept) is kept
    assert chosen(early, late, kept, reported, reported=66) is reported
    assert chosen(early, late, now_ns=90 * MS) is None, "others may still come"
    assert chosen(early, elsewhere=False, now_ns=40 * MS) is early, "we go on sending to the signalled address anyway"
    assert chosen(candidate(5000, 0, count=2)) is None


@pytest.mark.parametrize(
    ("first_ms", "known_ms", "early", "due_ms"),
    [
        (2000, 0, False, 0), (2000, 1000, False, 2500), (2000, 2050, False, 2550), (2000, 2100, False, 2600),
        (2000, 2101, False, 12_000), (2000, 9000, True, 9500),
    ],
)  # fmt: skip
def test_when_another_port_of_the_signalled_host_is_sent_to(first_ms: int, known_ms: int, early: bool, due_ms: int) -> None:
    assert moves_ns(first_ms * MS, known_ms * MS, early, 10_000 * MS) == due_ms * MS


@pytest.mark.parametrize(
    ("slip_ms", "elapsed_ms", "in_time"),
    [(0, 249, None), (0, 250, True), (-102, 250, True), (103, 250, False), (164, 500, True), (-400, 500, False)],
)
def test_whose_timestamps_keep_time(slip_ms: int, elapsed_ms: int, in_time: bool | None) -> None:
    assert keeps_time(slip_ms * MS, elapsed_ms * MS) is in_time


def test_who_has_another_ssrc_than_the_signalled_host_reports_is_somebody_else() -> None:
    ours = name("8.8.8.8"), frozenset[bytes]()
    assert may_be(name("8.8.8.8", 9), 8, *ours, 0) and may_be(name("8.8.8.8", 9), 7, *ours, 7)
    assert not may_be(name("8.8.8.8", 9), 8, *ours, 7)
