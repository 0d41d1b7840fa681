# SPDX-License-Identifier: GPL-2.0-or-later
"""The pure parts of the core by table: selection, P-App-Param, URIs, ids, keys, POSIX expressions."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.calls.dialling import over_ipv6
from di.calls.digits import WINDOW_NS, DigitMerger, parse_dtmf_relay
from di.calls.selection import Selection, map_uri, parse_mapping
from di.kernel.errors import ConfigError
from di.kernel.ids import IdMaker
from di.kernel.posix_regex import compile_extended
from di.sip import app_params
from di.sip.headers import header_lines, is_sip_uri, parse_uri, uri_of

MAPPING = parse_mapping(
    """# comment
^sip:announce=>announcement

^sip:(room|conference)([0-9]+)@=>\\1app\\2
^sip:[^@]*@conference\\.=>webconference
^sip:x[[:digit:]]{2}@=>digits
""",
    "app_mapping.conf",
)


@pytest.mark.parametrize(
    ("uri", "application"),
    [
        ("sip:announce@h", "announcement"),
        ("sip:announce.too@conference.h", "announcement"),
        ("sip:room7@h", "roomapp7"),
        ("sip:conference12@h", "conferenceapp12"),
        ("sip:somebody@conference.example", "webconference"),
        ("sip:x42@h", "digits"),
        ("sip:x4@h", ""),
        ("", ""),
    ],
)
def test_mapping(uri: str, application: str) -> None:
    assert map_uri(MAPPING, uri) == application


@pytest.mark.parametrize("line", ["no arrow", "=>echo", "^sip:=>", "(=>echo", "[a=>echo"])
def test_bad_mapping_line_is_named(line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_mapping(f"^a=>b\n{line}\n", "m")
    assert str(caught.value).startswith("m:2: ")


@pytest.mark.parametrize(
    ("setting", "application"),
    [
        ("$(ruri.user)", "bob"),
        ("$(ruri.param)", "echo"),
        ("$(apphdr)", "voicebox"),
        ("$(mapping)", "mapped"),
        ("fixed", "fixed"),
        ("", ""),
    ],
)
def test_ways_to_choose(setting: str, application: str) -> None:
    chosen = Selection(setting, parse_mapping("bob=>mapped", "m"))
    headers = (("To", "x"), ("p-app-name", " voicebox "))
    assert chosen.choose("sip:bob@h;app=echo;x", headers) == application


def test_expressions_are_posix_extended() -> None:
    search = compile_extended("(a|ab)(c|bcd)?")
    assert search("xabcd") == ("abcd", "a", "bcd")  # leftmost longest, not first alternative
    assert search("zzz") is None
    with pytest.raises(ValueError, match="POSIX extended"):
        compile_extended("a{2,1}")


PARAMS = 'mod=box; Usr = \'a;b\' ;lng=en;snd="x\\"y";flag;two=1=2'


@pytest.mark.parametrize(
    ("name", "long_name", "value"),
    [
        ("mod", "", "box"),
        ("MOD", "", "box"),
        ("usr", "", "a;b"),
        ("snd", "", 'x\\"y'),
        ("l", "lng", "en"),
        ("flag", "", ""),
        ("none", "", ""),
        ("two", "", "1=2"),
    ],
)
def test_keyed_lookup(name: str, long_name: str, value: str) -> None:
    assert app_params.lookup((("p-app-param", PARAMS),), name, long_name) == value


def test_keyed_lookup_splits_at_commas_first_and_reads_one_header() -> None:
    headers = (("P-App-Param", "a=1,b='2,3'"), ("P-App-Param", "c=4"))
    assert app_params.lookup(headers, "b") == "2"
    assert app_params.lookup(headers, "c") == ""


def test_session_map() -> None:
    text = "room=r1;Room='q';bare;two=1=2; enter_room = true"
    assert app_params.session_map((("P-App-Param", text),)) == {"room": "r1", "Room": "'q'", "bare": "", "enter_room": "true"}
    assert app_params.session_map(()) == {}


@given(st.text(max_size=80), st.text(max_size=8))
def test_any_parameters_can_be_read(text: str, name: str) -> None:
    headers = (("P-App-Param", text),)
    assert isinstance(app_params.lookup(headers, name), str)
    assert all("=" not in key for key in app_params.session_map(headers))


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
    app_params.lookup((("P-App-Param", text),), "key")
    app_params.session_map((("P-App-Param", text),))
    for _ in range(20):
        parse_uri(text)
        uri_of(text)
        header_lines(text)
        is_sip_uri(text)


@pytest.mark.parametrize(
    ("uri", "user", "host", "port"),
    [
        ("sip:bob@example.org", "bob", "example.org", 0),
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
    assert header_lines("X-A: 1|X-B: 2\r\nnot a header|") == ["X-A: 1", "X-B: 2"]


def test_ids_have_the_shape_and_never_repeat() -> None:
    maker = IdMaker(Random(1), 4711)
    ids = [maker.new_id(1_700_000_000.25) for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(re.fullmatch(r"[0-9A-F]{8}-[0-9A-F]{16}-[0-9A-F]{8}", id) for id in ids)


def test_a_press_counts_once_whichever_way_it_comes() -> None:
    merger = DigitMerger()
    assert merger.accept(5, "rtp", 0)
    assert not merger.accept(5, "info", 50_000_000)
    assert not merger.accept(5, "inband", 100_000_000)
    assert merger.accept(5, "rtp", 150_000_000)  # the same way again: pressed again
    assert merger.accept(6, "rtp", 160_000_000)
    assert merger.accept(6, "info", 160_000_000 + WINDOW_NS + 1)


def test_a_late_report_of_a_press_finds_it_behind_the_next_one() -> None:
    merger = DigitMerger()
    assert merger.accept(5, "info", 0)
    assert merger.accept(6, "info", 200_000_000)
    assert not merger.accept(5, "rtp", 220_000_000, 100)
    assert merger.accept(5, "info", 400_000_000)
    assert not merger.accept(6, "rtp", 420_000_000, 100)
    assert not merger.accept(5, "rtp", 700_000_000, 100)
    assert merger.accept(5, "rtp", 900_000_000, 100)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b"Signal=5\r\nDuration=160\r\n", (5, 160)),
        (b"Signal= #\nDuration=5000", (11, 1000)),
        (b"signal=*", (10, 250)),
        (b"Signal=d\r\nDuration=x", (15, 250)),
        (b"Signal=11\r\n", (11, 250)),
        (b"Signal=16", None),
        (b"", None),
        (b"\xff\xfe=", None),
    ],
)
def test_dtmf_relay(body: bytes, key: tuple[int, int] | None) -> None:
    assert parse_dtmf_relay(body) == key


@given(st.binary(max_size=60))
def test_any_body_is_a_key_or_none(body: bytes) -> None:
    key = parse_dtmf_relay(body)
    assert key is None or (0 <= key[0] <= 15 and 0 <= key[1] <= 1000)


@pytest.mark.parametrize(
    ("host", "media_ips", "expected"),
    [
        ("[::1]", ("127.0.0.1", "::1"), True),
        ("[::1]", ("127.0.0.1", ""), False),
        ("10.0.0.1", ("::1", "127.0.0.1"), False),
        ("10.0.0.1", ("::1", ""), True),
        ("phone.example", ("::1", "127.0.0.1"), True),
        ("phone.example", ("127.0.0.1", "::1"), False),
        ("phone.example", ("", ""), False),
    ],
)
def test_the_family_of_a_dialled_calls_audio(host: str, media_ips: tuple[str, ...], expected: bool) -> None:
    assert over_ipv6(host, media_ips) is expected
