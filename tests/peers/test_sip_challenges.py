# SPDX-License-Identifier: GPL-2.0-or-later
"""Every request of a call that we dialled may be challenged, by a proxy or by the peer (RFC 3261 §22, RFC 7616, RFC 8760)."""

from __future__ import annotations

import asyncio
import hashlib
import re

import pytest

from di.sip.records import CallConfirmed, CallEnded, Dial, Hangup, Reinvite, ReplyReceived, SendRequest
from interfaces.sip.message import Message, tag_of, uri_of
from tests.support.sip_peer import PeerCall, UdpPeer, description
from tests.support.sip_process import SipProcess

USER, PASSWORD, REALM = "alice", "s3cret-word", "here"
NAMES = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


def dial(sip: SipProcess, peer: UdpPeer, call: int = 2, realm: str = REALM) -> None:
    target = f"sip:them@127.0.0.1:{peer.port}"
    sip.send(
        Dial(
            call,
            "<sip:us@127.0.0.1>",
            f"<{target}>",
            target,
            (),
            "127.0.0.1",
            40000,
            realm=realm,
            username=USER,
            password=PASSWORD,
        )
    )


def challenge(
    call: PeerCall, request: Message, code: int = 401, nonce: str = "n1", more: str = "", algorithm: str = "MD5"
) -> None:
    """Ask for a password. `more`: behind it, instead of qop=auth."""
    name = NAMES[code][0]
    line = f'{name}: Digest realm="{REALM}", nonce="{nonce}", algorithm={algorithm}, {more or "qop=" + chr(34) + "auth" + chr(34)}\r\n'
    call.reply(request, code, headers=line)


def right(request: Message, code: int = 401, nonce: str = "n1", count: int = 0) -> bool:
    """Whether a request carries the right answer to that challenge. `count`: nc; 0: any."""
    given = dict(re.findall(r'(\w+)="?([^",]*)"?', request.header(NAMES[code][1])))
    if given.get("nonce") != nonce or (count and int(given.get("nc", "0"), 16) != count):
        return False

    def digest(text: str) -> str:
        return hashlib.new({"SHA-256": "sha256"}.get(given.get("algorithm", "MD5"), "md5"), text.encode()).hexdigest()

    secret, asked = digest(f"{USER}:{REALM}:{PASSWORD}"), digest(f"{request.method}:{given['uri']}")
    return given["response"] == digest(f"{secret}:{nonce}:{given['nc']}:{given['cnonce']}:{given['qop']}:{asked}")


async def again(call: PeerCall, request: Message) -> Message:
    """The same method with a higher CSeq."""
    number = int(request.header("CSeq").split()[0])
    while True:
        following = await call.next(request.method)
        if int(following.header("CSeq").split()[0]) > number:
            return following


async def taken(sip: SipProcess, peer: UdpPeer, code: int = 0, realm: str = REALM) -> PeerCall:
    """A call that the phone has answered, after a challenge if `code` says so."""
    dial(sip, peer, realm=realm)
    call = await peer.take_invite()
    first = call.invite_message
    assert first is not None
    if code:
        challenge(call, first, code, "invite")
        await call.next("ACK")
        second = await again(call, first)
        assert right(second, code, "invite") and tag_of(second.header("To")) == ""
        call.invite_message, call.target = second, uri_of(second.header("Contact"))
    await call.accept()
    await sip.wait_for(CallConfirmed)
    return call


@pytest.mark.parametrize("code", [401, 407])
async def test_each_request_of_a_call_that_we_dialled(sip: SipProcess, peer: UdpPeer, code: int) -> None:
    call = await taken(sip, peer)
    for token, method in enumerate(("INFO", "MESSAGE", "REFER", "NOTIFY", "OPTIONS", "UPDATE", "INVITE", "BYE"), 1):
        if method == "BYE":
            sip.send(Hangup(2))
        elif method == "INVITE":
            sip.send(Reinvite(2, "sendonly", "127.0.0.1", 40000, token))
        else:
            sip.send(SendRequest(2, method, token, ("Refer-To: <sip:c@127.0.0.1>",) if method == "REFER" else ("X-A: 1",)))
        first = await call.next(method)
        assert not first.header(NAMES[code][1])
        challenge(call, first, code, f"n{token}")
        second = await again(call, first)
        assert right(second, code, f"n{token}"), second
        call.reply(second, 200, description(40000, "recvonly") if method == "INVITE" else "")
        if method == "INVITE":
            await call.next("ACK")
        if method != "BYE":
            replies = await sip.wait_for(ReplyReceived, token)
            assert [(reply.token, reply.code) for reply in replies][-1] == (token, 200), method
    assert (await sip.wait_for(CallEnded))[0].by == "local"
    assert PASSWORD not in sip.log


@pytest.mark.parametrize("code", [401, 407])
async def test_all_through_a_call_and_with_a_stale_nonce(sip: SipProcess, peer: UdpPeer, code: int) -> None:
    """However many requests a call has, each is answered; one whose nonce is too old by then again, up to twice."""
    call = await taken(sip, peer, code)
    for number in range(3):
        sip.send(SendRequest(2, "INFO", number + 1, ()))
        first = await call.next("INFO")
        challenge(call, first, code, f"a{number}")
        second = await again(call, first)
        assert right(second, code, f"a{number}")
        last = second
        for stale in range(number):
            challenge(call, last, code, f"b{number}{stale}", 'qop="auth", stale=true')
            last = await again(call, last)
            assert right(last, code, f"b{number}{stale}")
        call.reply(last, 200)
        replies = await sip.wait_for(ReplyReceived, number + 1)
        assert [(reply.token, reply.code) for reply in replies][number:] == [(number + 1, 200)]
    sip.send(Hangup(2))
    first = await call.next("BYE")
    challenge(call, first, code, "end")
    second = await again(call, first)
    assert right(second, code, "end")
    call.reply(second, 200)
    await sip.wait_for(CallEnded)


@pytest.mark.parametrize("method", ["INVITE", "INFO"])
async def test_nonces_that_are_always_stale_come_to_an_end(sip: SipProcess, peer: UdpPeer, method: str) -> None:
    call, request = await sent(sip, peer, method)
    answers = 0
    while answers < 20:
        challenge(call, request, 401, f"s{answers}", 'qop="auth", stale=true')
        following = asyncio.ensure_future(again(call, request))
        told = asyncio.ensure_future(sip.wait_for(CallEnded if method == "INVITE" else ReplyReceived))
        done, _ = await asyncio.wait((following, told), return_when=asyncio.FIRST_COMPLETED)
        if following not in done:
            following.cancel()
            break
        told.cancel()
        request, answers = following.result(), answers + 1
    assert answers == 3, "one answer, and two more since the nonce was too old"
    last = sip.of(CallEnded)[0] if method == "INVITE" else sip.of(ReplyReceived)[0]
    assert last.code == 401 and "the nonce is stale each time" in sip.log


async def test_a_proxy_and_the_peer_behind_it(sip: SipProcess, peer: UdpPeer) -> None:
    call = await taken(sip, peer)
    sip.send(SendRequest(2, "INFO", 7, ()))
    first = await call.next("INFO")
    challenge(call, first, 407, "p")
    second = await again(call, first)
    assert right(second, 407, "p")
    challenge(call, second, 401, "w")
    third = await again(call, second)
    assert right(third, 401, "w")
    call.reply(third, 200)
    assert [(reply.token, reply.code) for reply in await sip.wait_for(ReplyReceived)] == [(7, 200)]


async def sent(sip: SipProcess, peer: UdpPeer, method: str) -> tuple[PeerCall, Message]:
    """A request of ours as the phone gets it: the INVITE of a call that we dial, or one inside a call that the phone has taken."""
    if method == "INVITE":
        dial(sip, peer)
        call = await peer.take_invite()
        assert call.invite_message is not None
        return call, call.invite_message
    call = await taken(sip, peer)
    sip.send(Hangup(2) if method == "BYE" else SendRequest(2, method, 7, ()))
    return call, await call.next(method)


@pytest.mark.parametrize("method", ["INVITE", "INFO"])
async def test_sha_256(sip: SipProcess, peer: UdpPeer, method: str) -> None:
    call, first = await sent(sip, peer, method)
    challenge(call, first, algorithm="SHA-256")
    second = await again(call, first)
    assert "algorithm=SHA-256" in second.header("Authorization") and right(second)
    call.reply(second, 486 if method == "INVITE" else 200)
    await sip.wait_for(CallEnded if method == "INVITE" else ReplyReceived)


@pytest.mark.parametrize("method", ["INVITE", "INFO", "BYE"])
async def test_a_wrong_password_is_no_loop(sip: SipProcess, peer: UdpPeer, method: str) -> None:
    call, request = await sent(sip, peer, method)
    challenge(call, request)
    request = await again(call, request)
    challenge(call, request, nonce="n2")
    if method == "INFO":
        assert [(reply.token, reply.code) for reply in await sip.wait_for(ReplyReceived)] == [(7, 401)]
    else:
        ended = (await sip.wait_for(CallEnded))[0]
        assert ended.code == 401 or ended.by == "local"
    await peer.exchange("OPTIONS")
    left = list(call.messages._queue)  # type: ignore[attr-defined]
    assert not [message for message in left if message.method == method and not call.taken(message)]


@pytest.mark.parametrize("method", ["INVITE", "INFO"])
async def test_auth_int_is_refused_with_a_line(sip: SipProcess, peer: UdpPeer, method: str) -> None:
    call, request = await sent(sip, peer, method)
    challenge(call, request, more='qop="auth-int"')
    if method == "INFO":
        assert [(reply.token, reply.code) for reply in await sip.wait_for(ReplyReceived)] == [(7, 401)]
    else:
        assert (await sip.wait_for(CallEnded))[0].code == 401
    await sip.wait_until(lambda: "auth-int" in sip.log and "only `auth` is known here" in sip.log)
