# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages that the shim takes apart, against the same in Python."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interfaces.sip.message import Message, parse, text_of
from interfaces.sip.received import taken_apart
from interfaces.sip.shim import ffi, lib

PIECES = (
    b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"INVITE sip:a@b SIP/2.0", b"SIP/2.0 200 OK", b"Via: SIP/2.0/UDP h", b"v: x", b"From: ",
    b"<sip:a@b>;tag=x", b"To:<sip:b>", b"X:", b":", b": ", b" ", b"  ", b"\t", b"\0", b"\xc3\xbc", b"\xff", b"\xc2\xa0", b"\xc2\x85", b"\x1c",
    b"\x7f", b"Subject: a: b", b"\r\n folded", b"CSeq : 1", b"\xc3\xa9: 1", b"A\xff: \xc3", b"body",
)  # fmt: skip


def of(data: bytes) -> Message:
    return taken_apart(ffi.new("char[]", data) if data else ffi.new("char[]", b"x"), len(data))


@given(st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join) | st.binary(max_size=80))
@example(b"INVITE sip:a@b SIP/2.0\r\nVia: x\r\nTo: \xc3\xbc\xff y\r\n\r\n\xffbody\r\n\r\n")
@example(b"BYE sip:a@b SIP/2.0\r\nVia: x\r\n\r\n")
@example(b"BYE sip:a@b SIP/2.0\r\n\r\nbody")
@example(b"BYE sip:a@b SIP/2.0\r\nVia: x\r\n")
@example(b"BYE sip:a@b SIP/2.0\r\nX-A: " + b"y" * 20_000 + b"\r\n\r\n")
def test_any_message_is_taken_apart_as_python_does_it(data: bytes) -> None:
    assert of(data) == parse(text_of(data))


@pytest.mark.parametrize(("more", "simple"), [("", True), ("a: b\r\n", False), ("Aa:  b\r\n", False), ("Aa: b\r\n c\r\n", False)])
def test_the_shim_does_what_nearly_everybody_writes(more: str, simple: bool) -> None:
    text = f"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=1\r\n{more}To: <sip:b>\r\n\r\n".encode()
    room, head = ffi.new("char[]", 500), ffi.new("int *")
    assert (lib.shim_lines(text, len(text), room, 500, head) > 0) is simple
    assert not simple or head[0] == len(text)
