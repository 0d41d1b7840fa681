# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.access.rules import BUILT_IN_ROLES, AccessRules, Role, SourceGuard, Unauthenticated, parse_authorization

S = 10**9

# pattern                     get (reads)  kickout (changes)  load (dangerous)  ls (reads, dangerous), all of module m
ROLE_TABLE = [
    ("*", True, True, False, False),
    ("m.*", True, True, False, False),
    ("n.*", False, False, False, False),
    ("read:*", True, False, False, False),
    ("read:m.*", True, False, False, False),
    ("read:m.get", True, False, False, False),
    ("read:m.kickout", False, False, False, False),
    ("read:m.ls", False, False, False, False),
    ("dangerous:*", True, True, True, True),
    ("dangerous:m.*", True, True, True, True),
    ("dangerous:n.*", False, False, False, False),
    ("m.get", True, False, False, False),
    ("m.kickout", False, True, False, False),
    ("m.load", False, False, True, False),
    ("dangerous:m.load", False, False, True, False),
    ("m.ls", False, False, False, True),
]


@pytest.mark.parametrize(("pattern", "get", "kickout", "load", "ls"), ROLE_TABLE, ids=[row[0] for row in ROLE_TABLE])
def test_role_patterns(pattern: str, get: bool, kickout: bool, load: bool, ls: bool) -> None:
    role = Role.of("r", [pattern])
    assert role.allows("m", "get", changes=False, dangerous=False) == get
    assert role.allows("m", "kickout", changes=True, dangerous=False) == kickout
    assert role.allows("m", "load", changes=True, dangerous=True) == load
    assert role.allows("m", "ls", changes=False, dangerous=True) == ls


@pytest.mark.parametrize("pattern", ["", "m", "m.", ".x", "m*.x", "**", "read:", "write:m.*", "m.*.x", "m.x y", "m.x\n"])
def test_bad_patterns_are_named(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no pattern; right are"):
        Role.of("r", [pattern])


@given(st.lists(st.sampled_from([row[0] for row in ROLE_TABLE if row[0].startswith(("*", "m.*", "n.*", "read:"))])))
def test_no_wildcard_without_the_word_reaches_a_dangerous_method(patterns: list[str]) -> None:
    role = Role.of("r", patterns)
    assert not role.allows("m", "load", changes=True, dangerous=True)
    assert not role.allows("m", "ls", changes=False, dangerous=True)


def test_roles_of_a_caller_add_up() -> None:
    rules = AccessRules({**BUILT_IN_ROLES, "loader": Role.of("loader", ["m.load"])})
    assert rules.allows(("reader", "loader"), "m", "load", True, True)
    assert rules.allows(("reader", "loader"), "m", "get", False, False)
    assert not rules.allows(("reader", "loader"), "m", "kickout", True, False)
    assert not rules.allows((), "m", "get", False, False)
    assert not rules.allows(("gone",), "m", "get", False, False)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("Bearer panel.abc", ("panel", "abc")),
        ("bearer  panel.a.b ", ("panel", "a.b")),
        (basic("alice:pass:word"), ("alice", "pass:word")),
        (basic("alice:pässword"), ("alice", "pässword")),
        ("", None),
        ("Bearer", None),
        ("Bearer panel", None),
        ("Bearer panel.", None),
        ("Bearer .abc", None),
        ("Bearer a b.c", None),
        ("Bearer panel." + "x" * 257, None),
        ("Basic !!!", None),
        ("Basic /w==", None),
        (basic("nocolon"), None),
        ("Digest username=x", None),
    ],
)
def test_authorization_header(header: str, answer: tuple[str, str] | None) -> None:
    assert parse_authorization(header) == answer


@given(
    st.text(max_size=80)
    | st.text(max_size=80).map(lambda t: "Basic " + t)
    | st.binary().map(lambda b: "Basic " + base64.b64encode(b).decode())
)
def test_any_header_is_read_or_refused(header: str) -> None:
    parsed = parse_authorization(header)
    assert parsed is None or (parsed[0].isascii() and parsed[1])


def test_a_source_is_locked_out_longer_each_time() -> None:
    guard = SourceGuard(failures=3, lock_s=10)
    now_ns = 0
    for expected_s in (10, 20, 40):
        assert [guard.failed("a", now_ns) for _ in range(3)] == [False, False, True]
        assert guard.locked_s("a", now_ns) == expected_s
        assert guard.locked_s("b", now_ns) == 0
        assert guard.locked_s("a", now_ns + expected_s * S - 1) == 1
        now_ns += expected_s * S
        assert guard.locked_s("a", now_ns) == 0
    now_ns += 3600 * S
    assert [guard.failed("a", now_ns) for _ in range(3)] == [False, False, True]
    assert guard.locked_s("a", now_ns) == 10


def test_a_lock_lasts_an_hour_at_most() -> None:
    guard = SourceGuard(failures=1, lock_s=60)
    longest_s, now_ns = 0, 0
    for _ in range(40):
        guard.failed("a", now_ns)
        longest_s = max(longest_s, guard.locked_s("a", now_ns))
        now_ns += 60 * S
    assert longest_s == 3600


def test_a_good_login_starts_the_count_again() -> None:
    guard = SourceGuard(failures=2)
    assert not guard.failed("a", 0)
    guard.succeeded("a")
    assert not guard.failed("a", 0)
    assert guard.failed("a", 0)


def test_rate_limit_lets_a_burst_pass_and_then_the_rate() -> None:
    guard = SourceGuard(rate_per_s=10)
    assert sum(guard.admit("a", 0) for _ in range(100)) == 20
    assert sum(guard.admit("a", S) for _ in range(100)) == 10
    assert guard.admit("b", S)
    assert all(SourceGuard().admit("a", 0) for _ in range(1000))


def test_the_table_of_sources_is_bounded() -> None:
    guard = SourceGuard(failures=1, capacity=10)
    for number in range(100):
        guard.failed(str(number), 0)
    assert guard.locked_s("99", 0) and guard.locked_s("90", 0)
    assert not guard.locked_s("89", 0)


def test_status_says_whether_to_wait() -> None:
    assert Unauthenticated("x").status == 401
    assert Unauthenticated("x", 5).status == 429
