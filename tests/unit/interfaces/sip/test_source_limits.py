# SPDX-License-Identifier: GPL-2.0-or-later
"""How much one address may ask for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from di.sip.records import Limits
from interfaces.sip import source_limits
from interfaces.sip.source_limits import SourceLimits, SourceVerdict

SECOND = 1_000_000_000
LIMITS = Limits(
    requests_a_second=50, pending_calls=3, connections_an_address=2, connections=5, trusted=("127.0.0.0/8", "fd00::/8")
)


def flood(limits: SourceLimits, ip: str, seconds: int, a_second: int, invite: bool = False) -> Counter[SourceVerdict]:
    verdicts: Counter[SourceVerdict] = Counter()
    for n in range(seconds * a_second):
        verdicts[limits.request(ip, invite, n * SECOND // a_second)] += 1
    return verdicts


def test_a_flood_gets_what_its_address_may_have() -> None:
    limits = SourceLimits(LIMITS)
    verdicts = flood(limits, "192.0.2.1", 10, 500)
    assert verdicts[SourceVerdict.PASS] in range(595, 606)  # ten seconds and the burst
    assert verdicts[SourceVerdict.REFUSE] in range(95, 116)
    assert verdicts.total() == 5000 and limits.take_refused() == 5000 - verdicts[SourceVerdict.PASS]
    assert limits.request("192.0.2.2", True, 0) is SourceVerdict.PASS and limits.take_refused() == 0


def test_whoever_keeps_within_it_is_never_refused() -> None:
    assert flood(SourceLimits(LIMITS), "192.0.2.1", 60, 50)[SourceVerdict.PASS] == 3000


def test_a_trusted_address_has_a_measure_of_its_own_and_every_answer() -> None:
    limits = SourceLimits(replace(LIMITS, trusted_requests_a_second=200, trusted_pending_calls=4))
    verdicts = flood(limits, "127.0.0.1", 10, 500)
    assert verdicts[SourceVerdict.PASS] in range(2395, 2406) and verdicts[SourceVerdict.DROP] == 0
    assert limits.request("127.0.0.2", True, 0) is SourceVerdict.PASS, "another proxy has its own"
    for _ in range(4):
        limits.begun("127.0.0.2")
    assert limits.request("127.0.0.2", True, SECOND) is SourceVerdict.REFUSE
    assert limits.request("127.0.0.2", False, SECOND) is SourceVerdict.PASS
    limits.settled("127.0.0.2")
    assert limits.request("127.0.0.2", True, 2 * SECOND) is SourceVerdict.PASS


def test_without_one_it_has_none() -> None:
    limits = SourceLimits(LIMITS)
    for ip in ("127.0.0.1", "::ffff:127.0.0.9", "fd00::1"):
        assert flood(limits, ip, 2, 5000)[SourceVerdict.PASS] == 10_000
        for _ in range(5):
            limits.begun(ip)
        assert limits.request(ip, True, 0) is SourceVerdict.PASS


def test_an_ipv6_subscriber_is_one_address() -> None:
    limits = SourceLimits(LIMITS)
    passed = sum(limits.request(f"2001:db8::{n:x}", False, 0) is SourceVerdict.PASS for n in range(1000))
    assert passed == 100
    assert limits.request("2001:db8:0:1::1", False, 0) is SourceVerdict.PASS


def test_calls_that_nobody_acknowledges() -> None:
    limits = SourceLimits(LIMITS)
    for _ in range(3):
        assert limits.request("192.0.2.1", True, 0) is SourceVerdict.PASS
        limits.begun("192.0.2.1")
    assert limits.request("192.0.2.1", True, SECOND) is SourceVerdict.REFUSE
    assert limits.request("192.0.2.1", False, SECOND) is SourceVerdict.PASS  # OPTIONS is none
    assert limits.request("192.0.2.2", True, SECOND) is SourceVerdict.PASS
    limits.settled("192.0.2.1")
    assert limits.request("192.0.2.1", True, SECOND) is SourceVerdict.PASS


def test_connections() -> None:
    limits = SourceLimits(LIMITS)
    assert [limits.connected("192.0.2.1") for _ in range(3)] == [True, True, False]
    limits.disconnected("192.0.2.1")
    limits.disconnected("192.0.2.1")
    assert limits.connected("192.0.2.1")
    assert [limits.connected("127.0.0.1") for _ in range(4)] == [
        True,
        True,
        True,
        False,
    ]  # trusted, but no more than all may have


def test_nothing_is_limited_by_zero() -> None:
    limits = SourceLimits(Limits())
    for _ in range(10_000):
        assert limits.request("192.0.2.1", True, 0) is SourceVerdict.PASS
        limits.begun("192.0.2.1")
        assert limits.connected("192.0.2.1")


def test_forged_sources_do_not_fill_memory() -> None:
    limits = SourceLimits(LIMITS)
    for n in range(60_000):
        limits.request(f"198.18.{n >> 8 & 255}.{n & 255}" if n < 65_536 else "::1", False, n)
        limits.request(f"not an address {n}", False, n)
    assert len(limits._paces) <= source_limits._MOST_ADDRESSES and len(limits._known) <= source_limits._MOST_ADDRESSES


def test_outsiders_hear_nothing() -> None:
    limits = SourceLimits(replace(LIMITS, allowed=("192.0.2.0/24", "2001:db8::/32"), denied=("192.0.2.66", "10.0.0.0/8")))
    inside = ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1")
    outside = ("192.0.2.66", "::ffff:192.0.2.66", "10.1.1.1", "198.51.100.1", "2001:db9::1", "nonsense")
    assert [limits.lets_in(ip) for ip in inside] == [True] * 3 and [limits.lets_in(ip) for ip in outside] == [False] * 6
    assert {limits.request(ip, True, 0) for ip in inside} == {SourceVerdict.PASS}
    assert {limits.request(ip, True, 0) for ip in outside} == {SourceVerdict.DROP}
    assert not limits.connected("10.1.1.1") and limits.connected("192.0.2.1")
    limits.disconnected("10.1.1.1")
    assert limits.take_kept_out() == 7 and limits.take_kept_out() == 0 and limits.take_refused() == 0


def test_who_is_only_denied() -> None:
    limits = SourceLimits(replace(LIMITS, denied=("192.0.2.66",)))
    assert not limits.lets_in("192.0.2.66") and limits.lets_in("192.0.2.67") and SourceLimits(LIMITS).lets_in("192.0.2.66")
