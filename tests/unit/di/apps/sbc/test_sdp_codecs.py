# SPDX-License-Identifier: GPL-2.0-or-later
"""Codecs of a session description."""

from __future__ import annotations

import pytest

from di.apps.sbc.sdp_codecs import codecs_of


@pytest.mark.parametrize(
    ("lines", "codecs"),
    [
        ("m=audio 5000 RTP/AVP 8 0 101\na=rtpmap:101 telephone-event/8000", ("PCMA/8000", "PCMU/8000")),
        ("m=audio 5000 RTP/AVP 96 97\na=rtpmap:96 opus/48000/2\na=rtpmap:97 g722/8000", ("OPUS/48000", "G722/8000")),
        ("m=audio 0 RTP/AVP 0\nm=audio 5 RTP/AVP 8", ("PCMA/8000",)),
        ("m=video 5000 RTP/AVP 31\nm=audio 5 RTP/AVP 0\nm=video 7 RTP/AVP 8", ("PCMU/8000",)),
        ("m=audio 5 RTP/AVP 13 96 0 0\na=rtpmap:13 CN/8000", ("PCMU/8000",)),
        ("m=audio", ()),
        ("", ()),
    ],
)
def test_codecs(lines: str, codecs: tuple[str, ...]) -> None:
    assert codecs_of(f"v=0\r\n{lines}\r\n".encode()) == codecs
    assert codecs_of(b"\xff\n" + lines.replace("\n", "\r\n").encode()) == codecs
