# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.sip.multipart import find_part

SDP = b"v=0\r\ns=-\r\n"
MIXED = (
    b"preamble\r\n--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x\r\nContent-Type: Application/SDP;a=b\r\nContent-Length: 10\r\n\r\n"
    + SDP
    + b"\r\n--x--\r\nrest"
)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/sdp", SDP),
        ("Application/SDP; charset=utf-8", SDP),
        ("multipart/mixed;boundary=x", MIXED),
        ('multipart/mixed; type=y; boundary="x"', MIXED),
        ("multipart/alternative; BOUNDARY=x", MIXED.replace(b"\r\n", b"\n")),
        ("multipart/mixed; boundary=x", MIXED.replace(b"Content-Type: App", b"c:\r\n App")),
        ("multipart/mixed; boundary=y", b"--y\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n" + MIXED + b"\r\n--y--"),
        ("multipart/mixed; boundary=x", MIXED.partition(b"\r\n--x--")[0]),
    ],
)  # fmt: skip
def test_the_description_is_found(kind: str, body: bytes) -> None:
    assert (find_part(kind, body, "application/sdp") or b"").rstrip() == SDP.rstrip()


@pytest.mark.parametrize(
    ("kind", "body"),
    [("text/plain", SDP), ("application/sdp", b""), ("multipart/mixed", MIXED), ("multipart/mixed; boundary=", MIXED),
     ("multipart/mixed; boundary=z", MIXED), ("multipart/mixed; boundary=x", b"--x--\r\n" + MIXED), ("", b"")],
)  # fmt: skip
def test_no_description_is_found(kind: str, body: bytes) -> None:
    assert find_part(kind, body, "application/sdp") is None


def test_parts_without_a_head_are_text_and_depth_ends() -> None:
    assert find_part("multipart/mixed; boundary=x", b"--x\r\n\r\nhello\r\n--x--", "text/plain") == b"hello"
    body = SDP
    kind = "application/sdp"
    for depth in range(9):
        body = f"--{depth}\r\nContent-Type: {kind}\r\n\r\n".encode() + body + f"\r\n--{depth}--".encode()
        kind = f"multipart/mixed; boundary={depth}"
    assert find_part(kind, body, "application/sdp") is None


@given(st.binary(), st.text(max_size=40))
def test_any_body_is_taken_apart(body: bytes, kind: str) -> None:
    for content_type in (kind, f"multipart/mixed; boundary={kind}"):
        find_part(content_type, body, "application/sdp")
