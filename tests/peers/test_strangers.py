# SPDX-License-Identifier: GPL-2.0-or-later
"""A caller who is none of `trusted_peers` at a whole server: his headers dial nowhere and open no room; what RPC may put into an INVITE."""

from __future__ import annotations

import asyncio
import json
import urllib.request
import xmlrpc.client
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer

pytestmark = [pytest.mark.peers, pytest.mark.timeout(120)]

FILES = {
    "app_mapping.conf": "^sip:conf=>conference\n^sip:echo=>echo\n^sip:lobby=>lobby\n^sip:=>webconference\n",
    "conference.conf": "dialout_suffix=@provider.example\n",
}
PLUGINS = "monitoring;conference;webconference;echo;dsm;xmlrpc2di;web"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), FILES, "trusted_peers=127.0.0.7", PLUGINS) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest_asyncio.fixture
async def phone(server: Server) -> AsyncIterator[UdpPeer]:
    opened = await UdpPeer.open(server.sip_port)
    yield opened
    opened.close()
    await asyncio.to_thread(wait_until, lambda: server.xml.calls() == 0, "no call is left")


async def up(phone: UdpPeer, user: str, headers: str = "") -> PeerCall:
    call = phone.invite(user, headers=headers)
    await call.next(200)
    call.ack()
    return call


async def press(call: PeerCall, keys: str) -> None:
    for key in keys:
        assert await call.request("INFO", "application/dtmf", key) == 200
        await asyncio.sleep(0.3)  # the same key from another source would be the same press


@pytest.mark.parametrize("trusted", [False, True])
async def test_the_keypad_of_a_conference_dials_where_the_operator_says(server: Server, trusted: bool) -> None:
    phone = await UdpPeer.open(server.sip_port, ip="127.0.0.7" if trusted else "127.0.0.1")
    target = await UdpPeer.open(server.sip_port)
    call = await up(phone, "confblue", f"P-App-Param: Dialout-Suffix=@127.0.0.1:{target.port};Dialout-From=<sip:boss@h>\r\n")
    await press(call, "#*55*")
    if trusted:
        dialled = await target.take_invite()
        assert dialled.invite_message is not None and "boss" in dialled.invite_message.header("From")
        dialled.reply(dialled.invite_message, 486)
    else:
        await asyncio.to_thread(wait_until, lambda: "sip:55@provider.example" in server.log, "where it dials instead")
        assert f"P-App-Param does not count: {phone.host} is none of trusted_peers" in server.log
        assert target.incoming.empty()
    assert await call.bye() == 200
    phone.close()
    target.close()


async def test_a_room_is_not_entered_by_naming_it(server: Server, phone: UdpPeer) -> None:
    call = await up(phone, "pbx", "P-App-Param: room=secret\r\nX-ParticipantID: 42\r\n")
    assert await call.request("INFO", "application/dtmf", "1") == 200  # behind the ACK with which the session began
    assert await asyncio.to_thread(server.xml.listByFilter, ["conf_id", "secret"]) == []
    assert await call.bye() == 200


@pytest.mark.parametrize("user", ["echo", "lobby"])
async def test_allow_says_what_is_so_and_refer_is_answered(server: Server, phone: UdpPeer, user: str) -> None:
    call = phone.invite(user)
    reply = await call.next(200)
    call.ack()
    allowed = {word.strip() for name, value in reply.headers if name == "Allow" for word in value.split(",")}
    assert {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE"} <= allowed
    for method, headers in (
        ("REFER", "Refer-To: <sip:x@127.0.0.1>\r\n"),
        ("MESSAGE", ""),
        ("NOTIFY", "Event: x\r\nSubscription-State: active\r\n"),
    ):
        code = await call.request(method, headers=headers)
        assert (method in allowed) is (code < 300), (method, code)
    assert await call.request("INFO", "application/dtmf-relay", "Signal=5\r\nDuration=100\r\n") == 200
    assert await call.bye() == 200


async def invited(server: Server, phone: UdpPeer, headers: str, uri: str) -> Any:
    """core.dialout by JSON-RPC; its answer, an error as it is."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "core.dialout", "params": ["echo", "u", uri, "sip:me@here.example", headers]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.web_port}/jsonrpc", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )

    def ask() -> Any:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return json.loads(answer.read())

    return await asyncio.to_thread(ask)


@pytest.mark.parametrize(
    ("headers", "tail"),
    [
        ("Via: SIP/2.0/UDP evil", ""), ("X-A: 1\r\nRoute: <sip:evil;lr>", ""), ("Max-Forwards: 1", ""), ("X-A: 1\rVia: evil", ""),
        ("X-A: \0", ""), ("", "?Content-Length=0"), ("", "?Contact=%3Csip:evil@evil%3E"), ("", "?X-A=1"), ("l: 0", ""),
    ],
)  # fmt: skip
async def test_what_belongs_to_the_stack_is_refused_and_nothing_is_sent(
    server: Server, phone: UdpPeer, headers: str, tail: str
) -> None:
    uri = f"sip:them@127.0.0.1:{phone.port}"
    answer = await invited(server, phone, headers, uri + tail)
    assert "cannot be given" in str(answer["error"]) or "must not hold" in str(answer["error"]), answer
    with pytest.raises(xmlrpc.client.Fault):
        await asyncio.to_thread(
            server.xml.di, "core", "dialout", "echo", "u", uri + tail, "sip:me@here.example", headers.replace("\0", "\x7f")
        )
    await own_headers_arrive(server, phone)  # and nothing before it


async def test_own_headers_arrive_once(server: Server, phone: UdpPeer) -> None:
    await own_headers_arrive(server, phone)


async def own_headers_arrive(server: Server, phone: UdpPeer) -> None:
    """The next call to the phone is this one."""
    answer = await invited(server, phone, "X-A: 1\r\nX-B: zwei", f"sip:them@127.0.0.1:{phone.port}")
    assert "error" not in answer, answer
    call = await phone.take_invite()
    assert call.invite_message is not None
    names = [name for name, _ in call.invite_message.headers]
    assert [call.invite_message.header(name) for name in ("X-A", "X-B")] == ["1", "zwei"]
    assert all(
        names.count(name) == 1 for name in ("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Content-Length")
    )
    call.reply(call.invite_message, 486)
    await call.next("ACK")
