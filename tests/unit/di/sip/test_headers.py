# SPDX-License-Identifier: GPL-2.0-or-later
"""URIs and header lines by table, and that any text is taken apart in linear time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.sip.headers import end_to_end, header_lines, header_problem, is_sip_uri, parse_uri, uri_of, uri_problem

HOSTILE = [
    ";" * 60000 + "=",
    '"' * 60000,
    "<" * 60000,
    "a" * 60000,
    "=" * 60000,
    "'" * 60000,
    "sip:" + ";" * 60000,
    '\\"' * 30000,
    "@" * 60000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_long_hostile_headers_are_read_in_linear_time(text: str) -> None:
    """Quadratic reading would take minutes here and run into the test's time limit."""
    for _ in range(20):
        parse_uri(text)
        uri_of(text)
        header_lines(text)
        is_sip_uri(text)


@pytest.mark.parametrize(
    ("uri", "user", "host", "port"),
    [
        ("sip:bob@example.org", "bob", "example.org", 0),
        ("tel:+4930123456", "+4930123456", "", 0),
        ("TEL:+49-(30).123-456;phone-context=example.org", "+4930123456", "", 0),
        ("tel:7042;phone-context=sip:a@b", "7042", "", 0),
        ("sips:bob:pw@example.org:5061;transport=tls?x=y", "bob", "example.org", 5061),
        ("sip:example.org", "", "example.org", 0),
        ("sip:a%20b@[::1]:5060", "a b", "[::1]", 5060),
        ("sip:+49;phone-context=x@h", "+49;phone-context=x", "h", 0),
        ("nonsense", "", "", 0),
    ],
)
def test_uri(uri: str, user: str, host: str, port: int) -> None:
    parts = parse_uri(uri)
    assert (parts.user, parts.host, parts.port) == (user, host, port)


@given(st.text(max_size=100))
def test_any_text_is_taken_apart(text: str) -> None:
    parse_uri(text)
    uri_of(text)
    header_lines(text)


@pytest.mark.parametrize(
    ("header", "uri"),
    [
        ('"Bob <x>" <sip:bob@h;lr>;tag=1', "sip:bob@h;lr"),
        ("sip:bob@h;tag=1", "sip:bob@h"),
        ("<sip:bob@h>", "sip:bob@h"),
        ("Bob <sip:b@h>", "sip:b@h"),
    ],
)
def test_uri_in_a_header(header: str, uri: str) -> None:
    assert uri_of(header) == uri


@pytest.mark.parametrize("text", ["sip:a@h>\r\nX: y", "sip:a b@h", "http://h/", "sip:", "a@h", "sip:a@h\0"])
def test_what_cannot_be_dialled(text: str) -> None:
    assert not is_sip_uri(text)


def test_header_lines() -> None:
    assert header_lines("X-A: 1| X-B: 2\r\nnot a header|\n") == ["X-A: 1", "X-B: 2", "not a header"]  # nothing vanishes


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("X-A: 1", ""), ("x-a:", ""), ("Replaces: a;to-tag=1;from-tag=2", ""), ("X-A: tab\there", ""), ("X-A: ä", ""),
        ("X-A: 1\rVia: x", "control"), ("X-A: 1\0", "control"), ("X-A: 1\x7f", "control"), ("X-A: 1\nVia: x", "control"),
        ("no header", "Name: value"), (": b", "Name: value"), ("X A: b", "Name: value"), ("", "Name: value"),
        ("Via: x", "Via"), ("v: x", "v "), ("ROUTE: <sip:x;lr>", "ROUTE"), ("Max-Forwards: 70", "Max-Forwards"), ("l: 0", "l "),
        ("Content-Length: 0", "Content-Length"), ("Contact: <sip:x@y>", "Contact"), ("c: text/plain", "c "), ("x: 90", "x "),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_as_a_header(line: str, word: str) -> None:
    problem = header_problem(line)
    assert word in problem if word else not problem


def test_a_registrations_contact_is_the_hubs_to_say() -> None:
    assert header_problem("m: <sip:x@y>") and not header_problem("m: <sip:x@y>", contact=True)


@pytest.mark.parametrize(
    ("uri", "word"),
    [
        ("sip:a@h;x=1", ""),
        ("sip:a%3Fb@h", ""),
        ("sip:a@h?X-A=1", "`?`"),
        ("sip:a@h?Content-Length=0&Contact=x", "`?`"),
        ("http:x", "no SIP URI"),
    ],
)
def test_header_fields_in_a_uri_are_refused(uri: str, word: str) -> None:
    problem = uri_problem(uri)
    assert word in problem if word else not problem


def test_what_passes_from_one_leg_to_the_other() -> None:
    headers = (
        ("X-A", "1"),
        ("v", "SIP/2.0/UDP h"),
        ("k", "timer"),
        ("X-Bad", "a\rVia: b"),
        ("Record-Route", "<sip:p>"),
        ("X-Cordboard-Hops", "4000000000"),
        ("s", "hello"),
    )
    assert end_to_end(headers) == ("X-A: 1", "s: hello")
