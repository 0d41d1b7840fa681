# SPDX-License-Identifier: GPL-2.0-or-later
"""RFC 3263 by a zone that is a table: what is asked, and in which order the addresses come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.sip.locate import (
    MOST_FAILURES,
    MOST_WAYS,
    LookupFailed,
    Naptr,
    SipPlace,
    Srv,
    Way,
    by_priority,
    locate,
    parse_places,
    place_of,
)

ZONE: dict[tuple[str, str], list[object]] = {
    ("NAPTR", "big.example"): [
        Naptr(50, 50, "s", "SIPS+D2T", "_sips._tcp.big.example."),
        Naptr(90, 50, "s", "SIP+D2T", "_sip._tcp.big.example."),
        Naptr(100, 50, "s", "SIP+D2U", "_sip._udp.big.example."),
        Naptr(10, 50, "u", "E2U+sip", "."),
    ],
    ("SRV", "_sips._tcp.big.example."): [],
    ("SRV", "_sip._tcp.big.example."): [Srv(20, 0, 5070, "b.big.example."), Srv(10, 0, 5060, "a.big.example.")],
    ("SRV", "_sip._tcp.big.example"): [Srv(20, 0, 5070, "b.big.example."), Srv(10, 0, 5060, "a.big.example.")],
    ("SRV", "_sip._udp.big.example."): [Srv(10, 0, 5060, "a.big.example.")],
    ("A", "a.big.example"): ["192.0.2.1", "192.0.2.2"],
    ("A", "b.big.example"): ["192.0.2.3"],
    ("SRV", "_sip._udp.mid.example"): [Srv(10, 0, 5080, "a.big.example")],
    ("A", "mid.example"): ["192.0.2.9"],
    ("A", "small.example"): ["192.0.2.7"],
    ("AAAA", "small.example"): ["2001:db8::7"],
    ("A", "localhost"): ["127.0.0.1"],
    ("SRV", "_sip._udp.none.example"): [Srv(0, 0, 0, ".")],
    ("A", "none.example"): ["192.0.2.8"],
}


class Table:
    """A name server. `failing`: what nobody answers."""

    def __init__(self, failing: tuple[str, ...] = ()) -> None:
        self.failing, self.asked = failing, []  # type: tuple[str, ...], list[tuple[str, str]]

    def _find(self, kind: str, name: str) -> list[object]:
        self.asked.append((kind, name))
        if kind in self.failing or name in self.failing:
            raise LookupFailed(f"{kind} of {name}: no answer")
        return ZONE.get((kind, name), [])

    async def naptr(self, name: str) -> Sequence[Naptr]:
        return [one for one in self._find("NAPTR", name) if isinstance(one, Naptr)]

    async def srv(self, name: str) -> Sequence[Srv]:
        return [one for one in self._find("SRV", name) if isinstance(one, Srv)]

    async def addresses(self, name: str, ipv6: bool) -> Sequence[str]:
        return [str(one) for one in self._find("AAAA" if ipv6 else "A", name)]


async def ways(uri: str, *families: bool, table: Table | None = None, services: bool = True) -> list[str]:
    found = await locate(place_of(uri), table or Table(), Random(1), families or (False,), services=services)
    return [str(way) for way in found]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:a@192.0.2.1", ["192.0.2.1:5060/udp"]),
        ("sips:a@192.0.2.1", ["192.0.2.1:5061/tls"]),
        ("sip:a@[2001:db8::1]:5070;transport=TCP", ["[2001:db8::1]:5070/tcp"]),
        ("sip:a@small.example:5090", ["192.0.2.7:5090/udp"]),
        ("sip:a@Small.Example.", ["192.0.2.7:5060/udp"]),
        ("sip:a@mid.example", ["192.0.2.1:5080/udp", "192.0.2.2:5080/udp"]),
        ("sip:a@mid.example;transport=tcp", ["192.0.2.9:5060/tcp"]),
        ("sip:a@big.example", ["192.0.2.1:5060/tcp", "192.0.2.2:5060/tcp", "192.0.2.3:5070/tcp", "192.0.2.1:5060/udp", "192.0.2.2:5060/udp"]),
        ("sip:a@big.example;transport=tcp", ["192.0.2.1:5060/tcp", "192.0.2.2:5060/tcp", "192.0.2.3:5070/tcp"]),
        ("sip:a@localhost", ["127.0.0.1:5060/udp"]),
        ("sip:a@nowhere.example", []),
        ("sip:x@h.example;maddr=192.0.2.5", ["192.0.2.5:5060/udp"]),
    ],
)  # fmt: skip
async def test_where_a_uri_leads(uri: str, expected: list[str]) -> None:
    assert await ways(uri) == expected


async def test_what_is_asked() -> None:
    table = Table()
    await ways("sip:a@localhost", table=table)
    assert table.asked == [("A", "localhost")], "a name without a dot has no services"
    table = Table()
    assert await ways("sip:a@mid.example", table=table, services=False) == ["192.0.2.9:5060/udp"]
    assert table.asked == [("A", "mid.example")]


async def test_both_families_the_preferred_one_first() -> None:
    assert await ways("sip:a@small.example", True, False) == ["[2001:db8::7]:5060/udp", "192.0.2.7:5060/udp"]


async def test_a_service_that_is_said_not_to_be_there() -> None:
    assert await ways("sip:a@none.example") == ["192.0.2.8:5060/udp"]


async def test_who_does_not_answer() -> None:
    assert await ways("sip:a@mid.example", table=Table(("NAPTR",))) == ["192.0.2.9:5060/udp"], "its address is known all the same"
    assert await ways("sip:a@big.example;transport=tcp", table=Table(("a.big.example",))) == ["192.0.2.3:5070/tcp"]
    with pytest.raises(LookupFailed, match=r"A of small.example: no answer"):
        await ways("sip:a@small.example", table=Table(("A",)))


async def test_names_that_nobody_answers_are_asked_for_a_few_times_only() -> None:
    class Dead(Table):
        async def srv(self, name: str) -> Sequence[Srv]:
            return [Srv(n, 0, 5060, f"h{n}.example") for n in range(50)]

        async def addresses(self, name: str, ipv6: bool) -> Sequence[str]:
            self.asked.append(("A", name))
            raise LookupFailed(f"A of {name}: no answer")

    dead = Dead()
    with pytest.raises(LookupFailed):
        await ways("sip:a@x.example", table=dead)
    assert len([name for kind, name in dead.asked if kind == "A"]) <= MOST_FAILURES + 1


def test_equal_priorities_share_by_weight() -> None:
    records = [Srv(10, 60, 1, "a"), Srv(10, 30, 2, "b"), Srv(10, 10, 3, "c"), Srv(5, 0, 4, "first")]
    random, firsts = Random(7), Counter[int]()
    for _ in range(3000):
        ordered = by_priority(records, random)
        assert ordered[0].port == 4 and {one.port for one in ordered} == {1, 2, 3, 4}
        firsts[ordered[1].port] += 1
    assert abs(firsts[1] - 1800) < 150 and abs(firsts[2] - 900) < 150 and abs(firsts[3] - 300) < 100


RECORDS = st.lists(
    st.builds(Srv, st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 65535), st.sampled_from("abc.")), max_size=30
)


@given(RECORDS, st.integers())
def test_any_zone_is_ordered(records: list[Srv], seed: int) -> None:
    ordered = by_priority(records, Random(seed))
    assert sorted(map(str, ordered)) == sorted(str(one) for one in records if one.target != ".")
    assert [one.priority for one in ordered] == sorted(one.priority for one in ordered)


async def test_a_zone_without_end_is_cut() -> None:
    class Endless(Table):
        async def addresses(self, name: str, ipv6: bool) -> Sequence[str]:
            return [f"192.0.2.{n}" for n in range(200)]

    assert len(await ways("sip:a@x.example:5060", table=Endless())) == MOST_WAYS


def test_lists_of_next_hops() -> None:
    assert parse_places("a.example, 192.0.2.1:5070/TCP,[2001:db8::1]") == (
        SipPlace("a.example"), SipPlace("192.0.2.1", 5070, "tcp"), SipPlace("2001:db8::1"),
    )  # fmt: skip
    for wrong in ("", "a,,b", "a/ws", "x@y", "a;lr"):
        with pytest.raises(ValueError, match="right is host"):
            parse_places(wrong)


def test_a_way_as_uri() -> None:
    assert Way("2001:db8::1", 5060, "tcp").uri == "sip:[2001:db8::1]:5060;transport=tcp"
