# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages that pjsip's parser refuses, with a parser that calls a value bad where it says BAD."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.sip.mending import Mended, Origin, Parser, mend
from interfaces.sip.message import parse, text_of

PARSER = Parser(lambda name, value: bool(value) and b"BAD" not in value, lambda uri: b"BAD" not in uri)
UDP, TCP = Origin("198.51.100.7", 40000), Origin("198.51.100.7", 40000, stream=True)
VIA = "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx;rport"


def request(*more: str, method: str = "INVITE", line: str = "", ending: str = "\r\n", **parts: str) -> bytes:
    """`parts`: values in the place of good ones; empty: the header is missing."""
    values = {
        "via": VIA, "from": "<sip:b@h>;tag=t", "to": "<sip:a@h>", "call-id": "c", "cseq": f"7 {method}",
        **{name.replace("_", "-").rstrip("-"): value for name, value in parts.items()},
    }  # fmt: skip
    lines = [
        line or f"{method} sip:a@h SIP/2.0",
        *(f"{name}: {value}" for name, value in values.items() if value),
        *more,
        "Content-Length: 4",
    ]
    return (ending.join(lines) + 2 * ending + "body").encode("utf-8", "surrogateescape")


def served(data: bytes) -> Mended:
    found = mend(data, PARSER, UDP)
    assert found.code == 0 and len(found.data) < len(data)
    return found


def refused(data: bytes, source: Origin = UDP) -> Mended:
    found = mend(data, PARSER, source)
    assert found.code >= 400 and parse(text_of(found.data)).code == found.code
    return found


@pytest.mark.parametrize("name", ["Expires", "Session-Expires", "Event", "Allow-Events", "Retry-After", "Date"])
def test_what_is_not_needed_is_left_out(name: str) -> None:
    found = served(request(f"{name}: BAD,\r\n\tand more", "X-Keep: this"))
    assert (found.left_out, found.data) == ((name,), request("X-Keep: this"))


def test_only_the_bad_one_of_several_is_left_out() -> None:
    assert served(request("Allow: INVITE", "Allow: BAD")).data == request("Allow: INVITE")


def test_lines_may_end_by_a_line_feed_alone() -> None:
    assert served(request("Expires: BAD", ending="\n")).data == request()
    assert refused(request(ending="\n", from_="BAD")).reason == "Bad From"


@pytest.mark.parametrize(
    ("method", "name"),
    [("INVITE", "Contact"), ("INVITE", "m"), ("INVITE", "Record-Route"), ("NOTIFY", "Event"), ("REGISTER", "Expires"), ("OPTIONS", "Require")],
)  # fmt: skip
def test_what_is_needed_is_refused_by_name(method: str, name: str) -> None:
    found = refused(request(f"{name}: BAD", method=method))
    assert (found.code, found.reason) == (400, f"Bad {'Contact' if name == 'm' else name}")
    message = parse(found.data.decode())
    assert (message.header("From"), message.header("Call-ID"), message.header("CSeq")) == ("<sip:b@h>;tag=t", "c", f"7 {method}")
    assert message.header("To").startswith("<sip:a@h>;tag=") and message.body == b""


@pytest.mark.parametrize("value", ["<sip:ussd@1@BAD>", '"d" <ussd-1@BAD>', "BAD \udcff\udcfe", '"BAD'])
@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq"])
def test_what_a_reply_repeats_is_repeated_as_it_came(name: str, value: str) -> None:
    found = refused(request(**{name.lower().replace("-", "_") + ("_" if name == "From" else ""): value}))
    repeated = parse(text_of(found.data)).header(name)
    assert found.reason == f"Bad {name}" and (repeated.startswith(f"{value};tag=") if name == "To" else repeated == value)


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq", "Via"])
def test_what_is_missing_is_named(name: str) -> None:
    found = refused(request(**{name.lower().replace("-", "_") + ("_" if name == "From" else ""): ""}))
    assert (found.code, found.reason) == (400, f"Missing {name}") and f"\r\n{name}:".encode() not in found.data


def test_a_tag_that_is_there_is_kept_and_the_same_request_gets_the_same() -> None:
    assert parse(refused(request(to="BAD;tag=q")).data.decode()).header("To") == "BAD;tag=q"
    assert refused(request(from_="BAD")).data == refused(request(from_="BAD")).data


@pytest.mark.parametrize(
    ("via", "port", "repeated"),
    [
        (VIA, 40000, "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx;rport=40000;received=198.51.100.7"),
        ("SIP/2.0/UDP h:5070;branch=x, SIP/2.0/UDP g", 5070, "SIP/2.0/UDP h:5070;branch=x;received=198.51.100.7, SIP/2.0/UDP g"),
        ("SIP/2.0/UDP [2001:db8::1]", 5060, "SIP/2.0/UDP [2001:db8::1];received=198.51.100.7"),
        ("SIP/2.0/UDP h:99999", 40000, "SIP/2.0/UDP h:99999;received=198.51.100.7"),
        ("BAD", 40000, "BAD"),
    ],
)  # fmt: skip
def test_where_a_reply_goes(via: str, port: int, repeated: str) -> None:
    found = refused(request(via=via, from_="BAD"))
    assert (found.port, parse(found.data.decode()).header("Via")) == (port, repeated)
    assert refused(request(via=via, from_="BAD"), TCP).port == 40000


def test_further_vias_come_behind() -> None:
    message = parse(refused(request("v: SIP/2.0/UDP second", from_="BAD")).data.decode())
    assert [value for name, value in message.headers if name == "Via"][1:] == ["SIP/2.0/UDP second"]


def test_nothing_breaks_out_of_its_line() -> None:
    found = refused(request(from_="BAD\x00\x0bX: y\rEvil: z", call_id="a\rFurther: b"))
    assert b"From: BAD  X: y Evil: z\r\n" in found.data and b"Call-ID: a Further: b\r\n" in found.data


@pytest.mark.parametrize(
    ("line", "code"),
    [("INVITE sip:a@h;x y SIP/2.0", 400), ("INVITE <sip:a@h> SIP/2.0", 400), ("INVITE sip:a@h SIP/7.0", 505), ("INVITE mailto:a@h SIP/2.0", 416),
     ("INVITE sip:a@h;BAD x SIP/2.0", 400), ("INVITE  sip:a@h SIP/2.0", 400), ("INVITE sip:a@h", 400)],
)  # fmt: skip
def test_a_bad_request_line(line: str, code: int) -> None:
    assert refused(request(line=line)).code == code


def test_where_a_connections_next_message_begins_must_be_known() -> None:
    data = request(from_="BAD")
    assert not refused(data, TCP).closes
    for bad, reason in ((data.replace(b"Content-Length: 4", b"X: 4"), "Missing"), (data.replace(b": 4", b": BAD"), "Bad")):
        found = refused(bad.replace(b"BAD\r\nto", b"x\r\nto"), TCP)
        assert (found.closes, found.reason) == (True, f"{reason} Content-Length")
    assert refused(request(from_="BAD").replace(b"Content-Length: 4", b"X: 4")).closes is False


def test_what_cannot_be_exchanged_is_refused_whatever_it_lacks() -> None:
    found = mend(request("Expires: BAD"), PARSER, UDP, servable=False)
    assert (found.code, found.reason) == (400, "Bad Request")
    assert mend(request(), PARSER, UDP).code == 400, "pjsip has refused it, whatever it is"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SIP/2.0 200 OK\r\nVia: BAD\r\n\r\n", "Missing From"),
        (request(method="ACK", from_="BAD"), "Bad From"),
        (b"\x00\x01 sip:a@h SIP/2.0\r\nVia: BAD\r\n\r\n", "Missing From"),
        (b"no message", "Missing Via"),
        (b"", "Missing Via"),
    ],
)
def test_nobody_waits_for_an_answer(data: bytes, reason: str) -> None:
    found = mend(data, PARSER, UDP)
    assert (found.data, found.code, found.reason) == (b"", 400, reason)


def test_a_reply_loses_what_is_not_needed() -> None:
    reply = request(line="SIP/2.0 503 Later")
    assert served(request("Retry-After: BAD", line="SIP/2.0 503 Later")).data == reply


@given(st.binary(max_size=300), st.sampled_from(["Expires", "Via", "From", "CSeq", "Contact"]), st.booleans())
def test_any_bytes_give_something_shorter_or_a_reply(data: bytes, name: str, stream: bool) -> None:
    source = TCP if stream else UDP
    for whole in (data, request(f"{name}: BAD").replace(b"BAD", data), request().replace(b"INVITE sip", data, 1)):
        found = mend(whole, PARSER, source)
        if found.code == 0:
            assert len(found.data) < len(whole)
        elif found.data:
            head, blank, rest = found.data.partition(b"\r\n\r\n")
            assert blank and not rest and head.startswith(b"SIP/2.0 ") and head.endswith(b"Content-Length: 0")
            assert all(
                line.partition(b":")[0] in (b"Via", b"From", b"To", b"Call-ID", b"CSeq", b"Content-Length")
                for line in head.split(b"\r\n")[1:]
            )
