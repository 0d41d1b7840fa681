# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole call over IPv6, signalling and audio: IPv6 alone, and beside IPv4 in the same server."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from media.codecs import g711
from tests.support import tones
from tests.support.ports import free_port
from tests.support.server import Server
from tests.support.sipp import place_calls

pytestmark = pytest.mark.peers


MAPPING = {"app_mapping.conf": "^sip:announce=>announcement\n"}


@pytest.fixture(params=["alone", "beside"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Server, int]]:
    """The server and its SIP port on ::1."""
    port = free_port()
    alone = request.param == "alone"
    settings = "sip_ip=::1\nmedia_ip=::1" if alone else f"further_sip=[::1]:{port}\nfurther_media_ip=::1"
    with Server(tmp_path, MAPPING, settings) as running:
        yield running, running.sip_port if alone else port


def bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.bind(("::1", 0))
    sock.settimeout(40)
    return sock


def message(method: str, server_port: int, port: int, to_tag: str, cseq: str, body: str) -> bytes:
    place = f"[::1]:{server_port}"
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{method} sip:announce@{place} SIP/2.0\r\nVia: SIP/2.0/UDP [::1]:{port};branch=z9hG4bK-{method}-{port}\r\n"
        f"From: <sip:six@[::1]>;tag=six\r\nTo: <sip:announce@{place}>{to_tag}\r\nCall-ID: six-{port}@cordboard\r\nCSeq: {cseq}\r\n"
        f"Contact: <sip:six@[::1]:{port}>\r\nMax-Forwards: 70\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def test_a_call_over_ipv6_is_heard(server: tuple[Server, int]) -> None:
    running, server_port = server
    with bound() as sip, bound() as rtp:
        sip.connect(("::1", server_port))
        port = sip.getsockname()[1]
        sdp = f"v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\nm=audio {rtp.getsockname()[1]} RTP/AVP 0\r\n"
        sip.send(message("INVITE", server_port, port, "", "1 INVITE", sdp))
        answer = ""
        while not answer.startswith("SIP/2.0 2"):
            answer = sip.recv(8192).decode()
            assert int(answer.split()[1]) < 300, answer
        tag = re.search(r"^To:.*?(;tag=\S+)", answer, re.M | re.I)
        media = re.search(r"^m=audio (\d+) ", answer, re.M)
        assert tag is not None and media is not None and "c=IN IP6 ::1" in answer
        sip.send(message("ACK", server_port, port, tag[1], "1 ACK", ""))
        packets = [rtp.recvfrom(2048) for _ in range(75)]
        sip.send(message("BYE", server_port, port, tag[1], "2 BYE", ""))
        while "CSeq: 2 BYE" not in answer:
            answer = sip.recv(8192).decode()
        assert answer.startswith("SIP/2.0 200")
    assert {source[1] for _, source in packets} == {int(media[1])}
    payload = np.frombuffer(b"".join(data[12:] for data, _ in packets), np.uint8)
    assert tones.heard(g711.DECODE[0][payload], [440.0, 660.0, 880.0, 520.0, 1000.0]) == {440.0, 660.0, 880.0}
    if running.sip_port != server_port:
        result = place_calls(1, "announce", running.sip_port, 200)
        assert (result.successful, result.failed) == (1, 0), result.errors
        assert "c=IN IP4 127.0.0.1" in result.messages


def test_a_call_to_an_ipv6_address_offers_audio_over_ipv6(server: tuple[Server, int]) -> None:
    running, _ = server
    with bound() as callee:
        place = f"[::1]:{callee.getsockname()[1]}"
        answer = running.xml.di("webconference", "dialout", "six", "1", "bob", "me", "here.example", "", "", "", place)
        assert answer[:2] == [0, "OK"]
        invite, source = callee.recvfrom(8192)
        assert invite.startswith(f"INVITE sip:bob@{place} ".encode()) and b"c=IN IP6 ::1" in invite
        headers = re.findall(rb"^(?:Via|From|To|Call-ID|CSeq):.*\r\n", invite, re.M)
        callee.sendto(b"SIP/2.0 486 Busy\r\n" + b"".join(headers) + b"Content-Length: 0\r\n\r\n", source)
