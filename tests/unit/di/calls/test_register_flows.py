# SPDX-License-Identifier: GPL-2.0-or-later
"""Keep-alives of registrations in time, and what a reply's Via makes of our Contact."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.calls.register_flows import RegisterFlows, seen_as

S = 1_000_000_000


def test_each_is_due_a_little_before_its_interval() -> None:
    flows = RegisterFlows(30, Random(1))
    flows.registered("a", 0)
    assert flows.due(24 * S - 1) == [] and flows.due(30 * S) == ["a"] and flows.due(30 * S) == []
    deadline_ns = flows.deadline_ns()
    assert deadline_ns is not None and 54 * S <= deadline_ns <= 60 * S
    flows.forget("a")
    assert flows.deadline_ns() is None and flows.due(900 * S) == []


def test_none_without_an_interval() -> None:
    flows = RegisterFlows(0, Random(1))
    flows.registered("a", 0)
    assert flows.deadline_ns() is None


@pytest.mark.parametrize(
    ("contact", "via", "seen"),
    [
        ("sip:a@10.0.0.1:5060", ";rport=4000;received=192.0.2.1", "sip:a@192.0.2.1:4000"),
        ("sip:a@10.0.0.1;transport=tcp", ";received=192.0.2.1;rport=4000", "sip:a@192.0.2.1:4000;transport=tcp"),
        ("sip:a@10.0.0.1", ";received=192.0.2.1", "sip:a@192.0.2.1:5060"), ("sip:a@192.0.2.1:5060", ";rport=5060;received=192.0.2.1", ""),
        ("sip:a@192.0.2.1:5070", ";rport=5070", ""), ("sip:a@192.0.2.1:5070", ";rport=5071", "sip:a@192.0.2.1:5071"),
        ("sip:a@[2001:db8::1]:5060", ";received=2001:db8::2;rport=1", "sip:a@[2001:db8::2]:1"), ("sip:a@10.0.0.1", ";rport", ""),
        ("", ";rport=1", ""),
    ],
)  # fmt: skip
def test_where_we_are_seen(contact: str, via: str, seen: str) -> None:
    assert seen_as(contact, (("Via", f"SIP/2.0/UDP 10.0.0.1:5060{via};branch=z"),)) == seen


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_texts(contact: str, via: str) -> None:
    assert isinstance(seen_as(contact, (("Via", via),)), str)
