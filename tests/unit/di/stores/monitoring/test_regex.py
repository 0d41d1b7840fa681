# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import ctypes
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from di.stores.monitoring.regex import BadPattern, compile_basic

LIBC = ctypes.CDLL(None)
REG_NOSUB = 8

# pattern, text, match — POSIX XBD §9.3 and the GNU additions
TABLE = [
    ("room", "my room 1", True),
    ("^room", "my room", False),
    ("^room[0-9]*$", "room12", True),
    (r"\.wav$", "x.wav", True),
    (r"\.wav$", "xwav", False),
    ("a.c", "a\nc", True),
    ("*a", "*a", True),
    ("*a", "a", False),
    ("^*a", "*a", True),
    (r"\(*a\)", "*a", True),
    (r"x\|*a", "*a", True),
    ("a+", "a+", True),
    ("a+", "aa", False),
    (r"ba\+$", "baa", True),
    (r"ba\?$", "b", True),
    ("a?", "a?", True),
    ("(x)", "(x)", True),
    ("a|b", "a|b", True),
    ("a|b", "a", False),
    (r"^\(a\|b\)$", "b", True),
    ("a{2}", "a{2}", True),
    (r"^a\{2,3\}$", "aaaa", False),
    (r"^a\{2,\}$", "aaaa", True),
    (r"^a\{,2\}$", "aa", True),
    (r"^a\{2\}$", "aa", True),
    (r"^\(ab\)*$", "abab", True),
    ("^a**$", "aaa", True),
    (r"^\(a*\)*\{2\}$", "aaa", True),
    ("[]a]", "]", True),
    ("[^]a]", "]", False),
    ("^[a-c]*$", "abc", True),
    ("[a-]", "-", True),
    ("[a\\]", "\\", True),
    ("[.]", "x", False),
    (r"^[[:digit:][:alpha:]_]*$", "a_1", True),
    ("^[[=a=][.b.]]*$", "ab", True),
    ("a$b", "a$b", True),
    ("x^y", "x^y", True),
    (r"\(^a\)", "ab", True),
    (r"\(b$\)", "ab", True),
    (r"\w\W", "a-", True),
    (r"\<b", "a b", True),
    ("é", "café", True),
    ("^caf..$", "café", True),
    ("", "anything", True),
    (r"\n", "n", True),
    (r"\/", "/", True),
]


@pytest.mark.parametrize(("pattern", "text", "match"), TABLE)
def test_basic_expressions(pattern: str, text: str, match: bool) -> None:
    assert compile_basic(pattern)(text) == match


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"\(a", r"\( without \)"),
        (r"a\)", r"\) without \("),
        ("[a", "[ without ]"),
        ("[", "[ without ]"),
        (r"\{2\}", "nothing before"),
        (r"a\{2", "without"),
        (r"a\{x\}", "right is"),
        (r"a\{3,2\}", "m at most n"),
        (r"a\{1001\}", "at most 1000"),
        (r"\(a\)\1", "back-reference"),
        ("a\\", "trailing backslash"),
        ("[z-a]", "backwards"),
        ("[[:foo:]]", "unknown class"),
        ("[[.space.]]", "single characters"),
        ("a" * 1025, "at most 1024"),
        (r"\(\(\(a\{1000\}\)\{1000\}\)\{1000\}\)", "repetition"),
    ],
)
def test_bad_patterns_say_why(pattern: str, why: str) -> None:
    with pytest.raises(BadPattern) as caught:
        compile_basic(pattern)
    assert why in str(caught.value)


PIECES = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        ".",
        "*",
        "^",
        "$",
        r"\(",
        r"\)",
        r"\{2\}",
        r"\{1,3\}",
        "[ab]",
        "[^a]",
        "[]b]",
        r"\|",
        r"\+",
        r"\?",
        r"\.",
        "-",
        "\\\\",
    ]
)


def c_library_matches(pattern: str, text: str) -> bool | None:
    """What `regcomp` and `regexec` of this machine's C library say; None when the pattern is refused."""
    compiled = ctypes.create_string_buffer(256)
    if LIBC.regcomp(compiled, pattern.encode(), REG_NOSUB) != 0:
        return None
    answer = LIBC.regexec(compiled, text.encode(), 0, None, 0)
    LIBC.regfree(compiled)
    return bool(answer == 0)


@pytest.mark.skipif(sys.platform != "linux", reason="the layout of regex_t is that of the C library on Linux")
@given(st.lists(PIECES, max_size=8).map("".join), st.lists(st.sampled_from("ab.*^$()-|+\\"), max_size=6).map("".join))
@settings(max_examples=1000, deadline=None)
def test_agrees_with_the_c_library(pattern: str, text: str) -> None:
    try:
        mine: bool | None = compile_basic(pattern)(text)
    except BadPattern:
        mine = None
    theirs = c_library_matches(pattern, text)
    if mine is not None and theirs is not None:  # which dark corners are refused differs between C libraries too
        assert mine == theirs, (pattern, text)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_pattern_matches_or_is_refused(pattern: str, text: str) -> None:
    try:
        compile_basic(pattern)(text)
    except BadPattern as error:
        assert str(error)


def evil_patterns() -> list[str]:
    """Patterns that cost a backtracking engine the age of the universe, or a careless one its memory."""
    nested = [r"\(" * n + "a*" + r"\)*" * n + "$" for n in range(1, 31)]
    optional = ["a\\?" * n + "a" * n + "$" for n in range(5, 125, 5)]
    alternatives = [r"^\(" + r"\|".join(["a"] * n) + r"\)*b$" for n in range(2, 32)]
    counted = [rf"^\(a\{{{n},{n * 2}\}}\)*\(a*\)*c" for n in range(1, 32, 2)]
    return [*nested, *optional, *alternatives, *counted]


def test_evil_patterns_end() -> None:
    """A backtracking engine would still be at the first of them when the test's time runs out."""
    patterns = evil_patterns()
    assert len(patterns) >= 100
    answers = {True: 0, False: 0, None: 0}
    for pattern in patterns:
        try:
            answers[compile_basic(pattern)("a" * 5000 + "!")] += 1
        except BadPattern:
            answers[None] += 1
    assert answers[True] + answers[False] >= 90, answers
