# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses that are dead for a while, and where redirections lead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.calls.ways import DeadWays, contacts_of, is_dead_end
from di.sip.headers import is_sip_uri
from di.sip.locate import Way
from di.sip.records import CallEnded

ONE, TWO, THREE = Way("192.0.2.1", 5060), Way("192.0.2.2", 5060), Way("192.0.2.3", 5060)


def test_the_dead_come_last_for_a_while() -> None:
    dead = DeadWays(60_000)
    dead.add(ONE, 0)
    assert dead.last([ONE, TWO, THREE], 59_999_999_999) == [TWO, THREE, ONE]
    assert dead.last([ONE, TWO, THREE], 60_000_000_000) == [ONE, TWO, THREE]
    for way in (ONE, TWO, THREE):
        dead.add(way, 1)
    assert dead.last([ONE, TWO], 2) == [ONE, TWO], "when all are, they are tried all the same"


def test_without_a_time_nothing_is_dead() -> None:
    dead = DeadWays(0)
    dead.add(ONE, 0)
    assert not dead.is_dead(ONE, 0)


@pytest.mark.parametrize(
    ("by", "code", "expected"),
    [("timeout", 408, True), ("error", 500, True), ("remote", 503, True), ("remote", 500, False), ("remote", 486, False), ("local", 487, False)],
)  # fmt: skip
def test_what_lets_another_address_be_tried(by: str, code: int, expected: bool) -> None:
    assert is_dead_end(CallEnded(2, code, "", by)) is expected


def test_contacts_by_preference() -> None:
    headers = (
        ("Contact", '"Ben, at home" <sip:ben@home.example;user=phone?Route=x>;q=0.5, <sip:ben@work.example>;q=0.9'),
        ("m", "sip:ben@mobile.example;q=0.7"),
        ("Contact", "<mailto:ben@x.example>"),
        ("Contact", "<sip:ben@work.example>;q=0.1"),
        ("X-Contact", "<sip:evil@x.example>"),
    )
    assert contacts_of(headers) == ["sip:ben@work.example", "sip:ben@mobile.example", "sip:ben@home.example;user=phone"]
    assert contacts_of((("Contact", "*"),)) == []


@given(st.lists(st.tuples(st.sampled_from(["Contact", "m", "To"]), st.text(max_size=80)), max_size=5))
def test_any_header_gives_uris_or_nothing(headers: list[tuple[str, str]]) -> None:
    found = contacts_of(headers)
    assert all(is_sip_uri(uri) and "?" not in uri for uri in found) and len(found) == len(set(found)) <= 10
