# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.sip.headers import STACK_HEADERS
from interfaces.sip.message import (
    Message,
    endpoint_of,
    header_pairs,
    host_of,
    in_characters,
    parse,
    split_header,
    tag_of,
    text_of,
    uri_of,
    wire_bytes,
)

REQUEST = (
    'INVITE sip:room1@example.org;app=x SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9\r\nf: "A, B" <sip:a@b;x=1>;tag=77\r\n'
    "t: <sip:room1@example.org>\r\ni: abc@h\r\nCSeq: 1 INVITE\r\nP-App-Param: a=1;\r\n  b=2\r\nc: application/sdp; charset=x\r\n"
    "X-Dup: 1\r\nx-dup: 2\r\nno colon here\r\n\r\nv=0\r\n\r\nrest"
)


def test_a_request_is_taken_apart() -> None:
    message = parse(REQUEST)
    assert (message.method, message.request_uri, message.code) == ("INVITE", "sip:room1@example.org;app=x", 0)
    assert message.header("call-id") == "abc@h" and message.header("P-APP-PARAM") == "a=1; b=2"
    assert [v for n, v in message.headers if n.lower() == "x-dup"] == ["1", "2"]
    assert message.has_sdp and message.body == b"v=0\r\n\r\nrest"
    assert tag_of(message.header("From")) == "77" and uri_of(message.header("From")) == "sip:a@b;x=1"
    assert len(message.headers) == 9


def test_a_reply_is_taken_apart() -> None:
    message = parse("SIP/2.0 486 Busy Here\r\nTo: sip:a@b;tag=x\r\n\r\n")
    assert (message.method, message.code, message.reason, message.body) == ("", 486, "Busy Here", b"")
    assert tag_of(message.header("To")) == "x" and not message.has_sdp


@pytest.mark.parametrize(
    ("value", "uri", "tag"),
    [
        ("<sip:a@b>;tag=1", "sip:a@b", "1"),
        ("sip:a@b;tag=1", "sip:a@b", "1"),
        ('"quoted <x>;tag=no \\" still" <sip:a@b;tag=inside>;x=y;TAG=yes', "sip:a@b;tag=inside", "yes"),
        ("<sip:a@b;tag=inside>", "sip:a@b;tag=inside", ""),
        ("<sip:a@b", "", ""),
        ("", "", ""),
        ("*", "*", ""),
        ("<sip:a@b>, <sip:c@d>", "sip:a@b", ""),
    ],
)
def test_uri_and_tag(value: str, uri: str, tag: str) -> None:
    assert (uri_of(value), tag_of(value)) == (uri, tag)


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("sip:a@B.example:5060;x=@y", "b.example"), ("sips:[2001:db8::1]:5061", "2001:db8::1"), ("sip:127.0.0.1", "127.0.0.1"),
        ("sip:a:p@h?x=1", "h"), ("", ""),
    ],
)  # fmt: skip
def test_host(uri: str, host: str) -> None:
    assert host_of(uri) == host


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ("X-A: b", ("X-A", "b")), ("X-A:b\r\n", ("X-A", "b")), ("X-A:", ("X-A", "")), ("X-A", None), (": b", None),
        ("X-A: b\r\nVia: evil", None), ("X-A: b\0", None), ("X A: b", None), ("", None), ("X-\u00e4: b", None),
    ],
)  # fmt: skip
def test_header_lines_of_the_hub_cannot_smuggle_in_another(line: str, pair: tuple[str, str] | None) -> None:
    assert split_header(line) == pair


@pytest.mark.parametrize("name", [*sorted(STACK_HEADERS), "v", "F", "t", "i", "m", "l", "VIA", " Route "])
def test_headers_of_the_stack_are_not_sent_and_the_log_names_them(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert header_pairs((f"{name}: evil", "X-A: b")) == (("X-A", "b"),)
    assert [record.getMessage() for record in caplog.records] == [
        f"header {name.strip()} cannot be given: the SIP stack writes it itself; it was left out"
    ]


def test_contact_is_the_hubs_in_redirections() -> None:
    assert header_pairs(("Contact: <sip:a@b>", "m: <sip:c@d>", "Via: x"), contact=True) == (
        ("Contact", "<sip:a@b>"), ("m", "<sip:c@d>"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "pair"),
    [("1.2.3.4:5", ("1.2.3.4", 5)), ("[::1]:5", ("::1", 5)), ("::1", ("::1", 0)), ("h", ("h", 0)), ("h:x", ("h:x", 0))],
)
def test_endpoints(text: str, pair: tuple[str, int]) -> None:
    assert endpoint_of(text) == pair


ANY_BYTES = st.binary(max_size=300).map(lambda data: data.decode("utf-8", "surrogateescape"))


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_bytes_from_outside_come_back_as_they_were(value: bytes, body: bytes) -> None:
    value = bytes(byte for byte in value if byte not in b"\r\n").strip()
    message = parse(text_of(b"INFO sip:a@b SIP/2.0\r\nX-Any: " + value + b"\r\n\r\n" + body))
    assert message.body == body
    assert wire_bytes(message.header("X-Any")).strip() == wire_bytes(text_of(value).strip())
    assert wire_bytes(text_of(value)) == value


@given(st.text(max_size=300) | ANY_BYTES)
def test_any_text_goes_to_the_network(text: str) -> None:
    assert isinstance(wire_bytes(text), bytes)
    for pair in header_pairs((text, f"X-Any: {text}", f"{text}: a")):
        assert b"\r" not in wire_bytes(": ".join(pair)) and b"\n" not in wire_bytes(": ".join(pair))


@given(st.text(max_size=300) | ANY_BYTES)
def test_any_text_gives_a_message(text: str) -> None:
    message = parse(text)
    assert isinstance(message, Message) and isinstance(message.code, int)
    for _, value in message.headers:
        assert "\n" not in value
        tag_of(value), uri_of(value), host_of(value), endpoint_of(value), message.has_sdp


def test_a_description_for_pjsua2_has_only_characters() -> None:
    assert in_characters("c=IN IP4 12\udcdc.0\r\ns=é\ud800") == "c=IN IP4 12?.0\r\ns=é?"
