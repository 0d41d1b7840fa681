# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests outside of dialogs as they are on the wire, both ways."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import socket
from typing import Any

import pytest

from di.sip.outside_records import OutsideReceived, OutsideReplied, ReplyOutside, SendOutside, TakeOutside
from di.sip.records import SetOptionsReply
from interfaces.sip.message import text_of, uri_of, wire_bytes
from tests.support.ports import free_port
from tests.support.sip_peer import PeerCall, UdpPeer
from tests.support.sip_process import SipProcess

ANY_BYTES = bytes(range(256))


def send(sip: SipProcess, peer: UdpPeer, method: str = "MESSAGE", token: int = 1, **more: Any) -> None:
    target = f"sip:them@127.0.0.1:{peer.port}"
    sip.send(SendOutside(token, method, more.pop("target", target), "<sip:us@127.0.0.1>", f"<{target}>", **more))


async def test_message_on_the_wire(sip: SipProcess, peer: UdpPeer) -> None:
    bad = (
        "X-Ask: 1",
        "X-Bytes: " + text_of(b"a\xe9\xffb"),
        "Contact: <sip:evil@h>",
        "From: <sip:evil@h>",
        "no header",
        "X-A: b\r\nX-C: evil",
    )
    send(sip, peer, headers=bad, content_type="text/plain;charset=x", body=ANY_BYTES)
    message = (await peer.take_outside()).request_message
    assert message.request_uri == f"sip:them@127.0.0.1:{peer.port}" and message.header("CSeq") == "1 MESSAGE"
    assert re.fullmatch(r"<sip:us@127.0.0.1>;tag=\w+", message.header("From")) and message.header("To") == "<sip:them@127.0.0.1>"
    assert message.header("X-Ask") == "1" and wire_bytes(message.header("X-Bytes")) == b"a\xe9\xffb"
    assert message.body == ANY_BYTES and message.content_type == "text/plain;charset=x"
    assert message.header("Contact") == "" and not any("evil" in value for _, value in message.headers)


async def test_registration_goes_on(sip: SipProcess, peer: UdpPeer) -> None:
    send(sip, peer, "REGISTER", call_id="same@us", cseq=7, headers=("Contact: <sip:us@127.0.0.1:9>;expires=60",))
    request = await peer.take_outside()
    message = request.request_message
    assert (message.header("Call-ID"), message.header("CSeq")) == ("same@us", "7 REGISTER")
    assert message.header("Contact") == "<sip:us@127.0.0.1:9>;expires=60"
    request.answer(200, "Contact: <sip:us@127.0.0.1:9>;expires=55\r\n")
    (reply,) = await sip.wait_for(OutsideReplied)
    assert dict(reply.headers)["Contact"].endswith("expires=55")


@pytest.mark.parametrize(("way", "parameter"), [("", ""), (";transport=udp", ""), (";transport=tcp", ";transport=tcp")])
async def test_a_contact_of_ours_for_a_user(sip: SipProcess, way: str, parameter: str) -> None:
    peer = await UdpPeer.open(sip.port, port=free_port())  # free for both: the kernel's own may be taken over TCP
    with contextlib.closing(peer), socket.create_server(("127.0.0.1", peer.port)) as listening:
        send(sip, peer, "REGISTER", target=f"sip:127.0.0.1:{peer.port}{way}", contact_user="anna", from_tag="mine")
        expected = f"<sip:anna@127.0.0.1:{sip.port}{parameter}>"
        if parameter:
            connection, _ = await asyncio.to_thread(listening.accept)
            with connection:
                text = (await asyncio.to_thread(connection.recv, 65536)).decode()
            assert f"\nContact: {expected}\r" in text and ";tag=mine\r" in text
            return
        request = await peer.take_outside()
        assert request.request_message.header("Contact") == expected
        request.answer(200)
        (reply,) = await sip.wait_for(OutsideReplied)
        assert (reply.contact, reply.cseq, reply.source_ip) == (expected.strip("<>"), 1, "127.0.0.1")


async def test_a_contact_where_no_way_leads(sip: SipProcess, peer: UdpPeer) -> None:
    send(sip, peer, "REGISTER", target="sip:127.0.0.1:9;transport=tls", contact_user="anna")
    (reply,) = await sip.wait_for(OutsideReplied)
    assert reply.code == 500 and "no transport of ours leads to" in reply.reason and reply.source_ip == ""


async def test_a_nonce_is_used_again_under_the_same_call_id(sip: SipProcess, peer: UdpPeer) -> None:
    for token, cseq in ((1, 50), (2, 52), (3, 53)):
        send(sip, peer, "REGISTER", token=token, username="us", password="secret", call_id="same@us", cseq=cseq)
        request = await peer.take_outside()
        if token == 1:
            assert not request.authorized
            request.answer(401)
            request = await peer.take_outside()
        assert f"nc={token:08x}" in request.request_message.header("Authorization")
        request.answer(200)
    replies = await sip.wait_for(OutsideReplied, 3)
    assert [(reply.code, reply.cseq) for reply in replies] == [(200, 51), (200, 52), (200, 53)]


async def test_next_hop_is_a_route(sip: SipProcess, peer: UdpPeer) -> None:
    send(sip, peer, "OPTIONS", target="sip:them@far.invalid", next_hop=f"sip:127.0.0.1:{peer.port}")
    message = (await peer.take_outside()).request_message
    assert message.request_uri == "sip:them@far.invalid" and message.header("Route") == f"<sip:127.0.0.1:{peer.port};lr>"
    assert uri_of(message.header("Contact")).startswith("sip:127.0.0.1:")


@pytest.mark.parametrize(("code", "name"), [(401, "Authorization"), (407, "Proxy-Authorization")])
async def test_password_is_right(sip: SipProcess, peer: UdpPeer, code: int, name: str) -> None:
    """RFC 7616 §3.4.1."""
    send(sip, peer, username="us", password="secret", realm="peer", body=b"hello", content_type="text/plain")
    first = await peer.take_outside()
    first.answer(code)
    again = (await peer.take_outside()).request_message
    given = dict(re.findall(r'(\w+)="?([^",]*)"?', again.header(name)))
    secret = hashlib.md5(f"us:{given['realm']}:secret".encode()).hexdigest()
    asked = hashlib.md5(f"MESSAGE:{given['uri']}".encode()).hexdigest()
    text = f"{secret}:{given['nonce']}:00000001:{given['cnonce']}:auth:{asked}"
    assert given["response"] == hashlib.md5(text.encode()).hexdigest()
    assert again.header("CSeq") == "2 MESSAGE" and again.header("Call-ID") == first.request_message.header("Call-ID")
    assert again.header("From") == first.request_message.header("From")


async def test_password_of_another_realm_is_kept(sip: SipProcess, peer: UdpPeer) -> None:
    send(sip, peer, username="us", password="secret", realm="elsewhere")
    (await peer.take_outside()).answer(401)
    assert [(r.token, r.code) for r in await sip.wait_for(OutsideReplied)] == [(1, 401)]


async def test_nobody_there(sip: SipProcess, peer: UdpPeer) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        send(sip, peer, "OPTIONS", target=f"sip:x@127.0.0.1:{closed.getsockname()[1]};transport=tcp")
        assert [(r.token, r.code) for r in await sip.wait_for(OutsideReplied)] == [(1, 503)]


@pytest.mark.parametrize("method", ["INVITE", "BYE", "ACK", "CANCEL", "TWO WORDS", ""])
async def test_methods_of_calls_are_not_sent(sip: SipProcess, peer: UdpPeer, method: str) -> None:
    send(sip, peer, method)
    assert [(r.token, r.code) for r in await sip.wait_for(OutsideReplied)] == [(1, 500)] and peer.outside.empty()


async def taking(sip: SipProcess, peer: UdpPeer, *methods: str) -> None:
    for command in (SetOptionsReply(299, "Here"), TakeOutside(methods)):
        sip.send(command)
    while (await peer.exchange("OPTIONS")).code != 299:
        pass


async def test_retransmissions_are_answered_alike(sip: SipProcess, peer: UdpPeer) -> None:
    await taking(sip, peer, "MESSAGE")
    call = PeerCall(peer, "again@peer", "test")
    peer.calls[call.call_id] = call
    for _ in range(3):
        call.send_request("MESSAGE", "hello", "text/plain", cseq=5, branch="z9hG4bKagain")
    await sip.wait_for(OutsideReceived)
    assert (await peer.exchange("OPTIONS")).code == 299 and len(sip.of(OutsideReceived)) == 1
    sip.send(ReplyOutside(1, 202, "Noted", ("X-Answer: 1", "To: <sip:evil@h>"), "x/y", ANY_BYTES))
    for number in range(3):
        if number:
            call.send_request("MESSAGE", "hello", "text/plain", cseq=5, branch="z9hG4bKagain")
        reply = await call.next(202)
        assert (reply.header("X-Answer"), reply.body) == ("1", ANY_BYTES) and "evil" not in reply.header("To")
    assert len(sip.of(OutsideReceived)) == 1


async def test_bytes_come_as_they_are(sip: SipProcess, peer: UdpPeer) -> None:
    await taking(sip, peer, "MESSAGE")
    waiting = asyncio.ensure_future(peer.exchange("MESSAGE", body="\udce9\udcff\u00e9", headers="X-Bytes: \udce9\udcff\r\n"))
    (request,) = await sip.wait_for(OutsideReceived)
    assert wire_bytes(dict(request.headers)["X-Bytes"]) == b"\xe9\xff" and request.body.startswith(b"\xe9\xff")
    sip.send(ReplyOutside(request.token, 200, "OK", ("X-Bytes: " + dict(request.headers)["X-Bytes"],)))
    assert wire_bytes((await waiting).header("X-Bytes")) == b"\xe9\xff"


async def test_options_that_the_hub_answers(sip: SipProcess, peer: UdpPeer) -> None:
    sip.send(TakeOutside(("OPTIONS",)))
    waiting = asyncio.ensure_future(peer.exchange("OPTIONS"))
    while not sip.of(OutsideReceived):
        await asyncio.wait([waiting], timeout=0.1)
        if waiting.done():
            waiting = asyncio.ensure_future(peer.exchange("OPTIONS"))
    sip.send(ReplyOutside(1, 200, "Mine", ("Accept: text/plain",)))
    reply = await waiting
    assert reply.reason == "Mine" and reply.header("Accept") == "text/plain" and "INFO" in reply.header("Allow")
