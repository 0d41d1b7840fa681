# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages that pjsip's parser refuses, with a parser that calls a value bad where it says BAD."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.sip.mending import Mended, Parser, mend
from interfaces.sip.message import parse

PARSER = Parser(lambda name, value: bool(value) and b"BAD" not in value, lambda uri: b"BAD" not in uri)


def request(*more: str, method: str = "INVITE", line: str = "", via: str = "", to: str = "<sip:a@h>", cseq: str = "7") -> bytes:
    lines = [
        line or f"{method} sip:a@h SIP/2.0",
        via or "Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx;rport",
        "From: <sip:b@h>;tag=t",
        f"To: {to}",
        "Call-ID: c",
        f"CSeq: {cseq} {method}",
        "Subject: something long enough to be left out of what is refused",
        *more,
        "Content-Length: 4",
    ]
    return ("\r\n".join(lines) + "\r\n\r\nbody").encode()


def mended(data: bytes) -> Mended:
    found = mend(data, PARSER)
    assert found is not None and len(found.data) < len(data)
    return found


@pytest.mark.parametrize("name", ["Expires", "Session-Expires", "Event", "Allow-Events", "Retry-After", "Date"])
def test_what_is_not_needed_is_left_out(name: str) -> None:
    bad = request(f"{name}: BAD,\r\n\tand more", "X-Keep: this")
    found = mended(bad)
    assert (found.code, found.left_out) == (0, (name,))
    assert found.data == request("X-Keep: this")


def test_only_the_bad_one_of_several_is_left_out() -> None:
    assert mended(request("Allow: INVITE", "Allow: BAD")).data == request("Allow: INVITE")


@pytest.mark.parametrize(
    ("method", "name"),
    [("INVITE", "Contact"), ("INVITE", "m"), ("INVITE", "Record-Route"), ("NOTIFY", "Event"), ("REGISTER", "Expires"), ("OPTIONS", "Require")],
)  # fmt: skip
def test_what_is_needed_is_refused_by_name(method: str, name: str) -> None:
    found = mended(request(f"{name}: BAD", method=method))
    assert (found.code, found.reason) == (400, f"Bad {'Contact' if name == 'm' else name}")
    message = parse(found.data.decode())
    assert (message.method, message.header("To"), message.header("Call-ID"), message.header("CSeq")) == (
        method, "<sip:a@h>", "c", f"7 {method}",
    )  # fmt: skip
    assert message.header("Via").startswith("SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx") and message.body == b""


@pytest.mark.parametrize(
    ("data", "name", "value"),
    [
        (request(to='"BAD <sip:a@h>;tag=q'), "To", "<sip:a@h>;tag=q"),
        (request(to="BAD;tag=q"), "To", "<sip:invalid>;tag=q"),
        (request(via="Via: SIP/2.0/UDP 192.0.2.1:5070;BAD;branch=z9hG4bKx;,,"), "Via", "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx;rport"),
        (request(cseq="99999999999BAD"), "CSeq", "2147483647 INVITE"),
    ],
)  # fmt: skip
def test_what_a_reply_repeats_is_made_readable(data: bytes, name: str, value: str) -> None:
    found = mended(data)
    assert (found.code, found.reason, parse(found.data.decode()).header(name)) == (400, f"Bad {name}", value)


@pytest.mark.parametrize(
    ("line", "code"),
    [("INVITE sip:a@h;x y SIP/2.0", 400), ("INVITE <sip:a@h> SIP/2.0", 400), ("INVITE sip:a@h SIP/7.0", 505), ("INVITE mailto:a@h SIP/2.0", 416),
     ("INVITE sip:a@h;BAD x SIP/2.0", 400), ("INVITE  sip:a@h SIP/2.0", 400)],
)  # fmt: skip
def test_a_bad_request_line(line: str, code: int) -> None:
    assert mended(request(line=line)).code == code


@pytest.mark.parametrize(
    "data",
    [
        b"SIP/2.0 200 OK\r\nVia: BAD\r\n\r\n",
        b"INVITE sip:a@h SIP/2.0\r\nContact: BAD\r\n\r\n",
        b"\x00\x01 sip:a@h SIP/2.0\r\nVia: BAD\r\n\r\n",
        b"no message",
    ],
)
def test_nothing_can_be_said(data: bytes) -> None:
    assert mend(data, PARSER) is None


def test_a_reply_loses_what_is_not_needed() -> None:
    found = mended(b"SIP/2.0 503 Later\r\nVia: SIP/2.0/UDP h\r\nRetry-After: BAD\r\n\r\n")
    assert (found.code, found.data) == (0, b"SIP/2.0 503 Later\r\nVia: SIP/2.0/UDP h\r\n\r\n")


@given(st.binary(max_size=300), st.sampled_from(["Expires", "Via", "From", "CSeq", "Contact"]))
def test_any_bytes_give_something_shorter_or_nothing(data: bytes, name: str) -> None:
    for whole in (data, request(f"{name}: BAD").replace(b"BAD", data), request().replace(b"INVITE sip", data, 1)):
        found = mend(whole, PARSER)
        assert found is None or len(found.data) < len(whole)
