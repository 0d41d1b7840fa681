# SPDX-License-Identifier: GPL-2.0-or-later
"""The real SIP process dials out to sipp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from di.sip.records import (
    CallConfirmed,
    CallEnded,
    CallIdentified,
    CallProgressed,
    Dial,
    Hangup,
    MediaNegotiated,
    ReplyReceived,
    SendRequest,
)
from tests.support.ports import free_port
from tests.support.sip_peer import UdpPeer
from tests.support.sip_process import SipProcess
from tests.support.sipp import Sipp, SippResult

pytestmark = pytest.mark.peers


@pytest_asyncio.fixture
async def sip() -> AsyncIterator[SipProcess]:
    process = await SipProcess.start()
    yield process
    assert await process.stop() == 0, process.log
    assert "Traceback" not in process.log, process.log


def dial(port: int, call: int = 2, **more: object) -> Dial:
    """A Dial to a callee on loopback."""
    fields: dict[str, object] = {"headers": ("X-Ours: 7",), "media_ip": "127.0.0.1", "media_port": 36000, **more}
    target = f"127.0.0.1:{port}"
    return Dial(call, '"Us" <sip:us@example.org>', f"<sip:them@{target}>", f"sip:them@{target}", **fields)  # type: ignore[arg-type]


async def finish(callee: Sipp) -> SippResult:
    result = await asyncio.to_thread(callee.wait)
    assert result.successful == 1 and result.failed == 0, result.errors + result.messages[-4000:]
    return result


async def test_a_call_is_dialled_and_hung_up(sip: SipProcess) -> None:
    with Sipp("uas") as callee:
        sip.send(dial(callee.local_port))
        await sip.wait_for(CallConfirmed)
        sip.send(Hangup(2))
        result = await finish(callee)
    invite = result.messages.split("INVITE sip:", 1)[1].split("-----")[0]
    assert 'From: "Us" <sip:us@example.org>;tag=' in invite and "X-Ours: 7" in invite and "m=audio 36000 " in invite
    assert "o=sems " in invite and "a=rtcp:" not in invite
    await sip.wait_for(CallEnded)
    kinds = [type(e).__name__ for e in sip.events[1:]]
    assert kinds[0] == "CallIdentified" and kinds[-1] == "CallEnded"
    assert [(p.code, p.has_body) for p in sip.of(CallProgressed)] == [(180, False)]
    media = sip.of(MediaNegotiated)[0]
    assert (media.remote_ip, media.remote_port, media.codec) == ("127.0.0.1", 41000, "PCMU")
    known = sip.of(CallIdentified)[-1]
    assert known.remote_tag and f"tag={known.local_tag}" in invite and known.call_id in invite
    assert [(e.code, e.by) for e in sip.of(CallEnded)] == [(200, "local")]


async def test_early_media(sip: SipProcess) -> None:
    with Sipp("uas_early") as callee:
        sip.send(dial(callee.local_port))
        await sip.wait_for(CallProgressed)
        await sip.wait_for(MediaNegotiated)
        assert not sip.of(CallConfirmed) and sip.of(CallProgressed)[0].has_body
        await sip.wait_for(CallConfirmed)
        sip.send(Hangup(2))
        await finish(callee)


@pytest.mark.parametrize("code", [404, 486, 603])
async def test_refused(sip: SipProcess, code: int) -> None:
    with Sipp("uas_refuse", replace={"CODE": str(code)}) as callee:
        sip.send(dial(callee.local_port))
        ended = (await sip.wait_for(CallEnded))[0]
        await finish(callee)
    assert (ended.code, ended.reason, ended.by) == (code, "No", "remote") and ("X-Why", "because") in ended.headers


async def test_cancelled_while_ringing(sip: SipProcess) -> None:
    with Sipp("uas_rings") as callee:
        sip.send(dial(callee.local_port))
        await sip.wait_for(CallProgressed)
        sip.send(Hangup(2, 487, "Changed my mind"))
        await finish(callee)
    assert [(e.code, e.by) for e in await sip.wait_for(CallEnded)] == [(487, "local")]


@pytest.mark.parametrize(("realm", "password", "valid"), [("here", "secret", "true"), ("", "secret", "true"), ("", "s", "false")])
async def test_digest(sip: SipProcess, realm: str, password: str, valid: str) -> None:
    with Sipp("uas_digest", replace={"REALM": "here"}) as callee:
        sip.send(dial(callee.local_port, realm=realm, username="alice", password=password))
        await sip.wait_for(CallConfirmed)
        sip.send(Hangup(2))
        result = await finish(callee)
    assert result.log.strip() == f"AUTH {valid}" and "secret" not in sip.log


async def test_digest_over_tcp(sip: SipProcess) -> None:
    with Sipp("uas_digest", replace={"REALM": "here"}, transport="t1") as callee:
        target = f"sip:them@127.0.0.1:{callee.local_port};transport=tcp"
        sip.send(replace(dial(callee.local_port, username="alice", password="secret"), to_uri=f"<{target}>", request_uri=target))
        await sip.wait_for(CallConfirmed)
        sip.send(Hangup(2))
        result = await finish(callee)
    assert result.log.strip() == "AUTH true"


async def test_another_realm_gets_no_answer(sip: SipProcess) -> None:
    with Sipp("uas_refuse_digest", replace={"REALM": "elsewhere"}) as callee:
        sip.send(dial(callee.local_port, realm="here", username="alice", password="secret"))
        ended = (await sip.wait_for(CallEnded))[0]
        result = await finish(callee)
    assert ended.code == 401 and "Authorization:" not in result.messages and "secret" not in sip.log


async def test_a_challenge_inside_an_incoming_call_gets_no_answer(sip: SipProcess, peer: UdpPeer) -> None:
    """ES2021-05: a caller that challenges our BYE learns nothing, even with credentials in use elsewhere."""
    with Sipp("uas_digest", replace={"REALM": "trap"}) as callee:
        sip.send(dial(callee.local_port, realm="trap", username="alice", password="secret"))
        await sip.wait_for(CallConfirmed)
        caller = peer.invite()
        assert await caller.final() == 200
        caller.ack()
        incoming = (await sip.wait_for(CallConfirmed, 2))[1].call
        sip.send(Hangup(incoming))
        bye = await caller.next("BYE")
        assert not bye.header("Authorization")
        caller.reply(bye, 401, headers='WWW-Authenticate: Digest realm="trap", nonce="1", algorithm=MD5\r\n')
        await sip.wait_for(CallEnded, call=incoming)
        assert (await peer.exchange("OPTIONS")).code == 200  # it came behind the challenge
        sip.send(Hangup(2))
        await finish(callee)
    while not caller.messages.empty():
        assert caller.taken(caller.messages.get_nowait()), "no other BYE"


async def test_request_inside_and_its_reply(sip: SipProcess) -> None:
    with Sipp("uas_info", replace={"CODE": "202"}) as callee:
        sip.send(dial(callee.local_port))
        await sip.wait_for(CallConfirmed)
        sip.send(SendRequest(2, "INFO", 77, ("X-In: 1",), "application/dtmf-relay", b"Signal=1\r\nDuration=100\r\n"))
        reply = (await sip.wait_for(ReplyReceived))[0]
        sip.send(Hangup(2))
        result = await finish(callee)
    assert (reply.call, reply.token, reply.code) == (2, 77, 202) and ("X-Reply", "here") in reply.headers
    assert "Signal=1" in result.messages and "X-In: 1" in result.messages


async def test_next_hop(sip: SipProcess) -> None:
    with Sipp("uas") as callee:
        wanted = Dial(
            2, "<sip:us@example.org>", "<sip:them@nowhere.invalid>", "sip:them@nowhere.invalid", (), "127.0.0.1", 36000,
            next_hop=f"sip:127.0.0.1:{callee.local_port}",
        )  # fmt: skip
        sip.send(wanted)
        await sip.wait_for(CallConfirmed)
        sip.send(Hangup(2))
        result = await finish(callee)
    assert "INVITE sip:them@nowhere.invalid SIP/2.0" in result.messages


@pytest.mark.parametrize(
    "wrong",
    [
        Dial(2, "not a uri", "<sip:a@127.0.0.1>", "sip:a@127.0.0.1"),
        Dial(2, "<sip:a@127.0.0.1>", "<<<>", "sip:a@127.0.0.1"),
        Dial(2, "<sip:a@127.0.0.1>", "<sip:a@127.0.0.1>", "\r\n\0"),
        Dial(2, "<sip:a@127.0.0.1>", "<sip:a@127.0.0.1>", "sip:a@127.0.0.1", next_hop="::: bad"),
    ],
)
async def test_impossible_dials_end_with_a_reason(sip: SipProcess, wrong: Dial) -> None:
    sip.send(wrong)
    ended = (await sip.wait_for(CallEnded))[0]
    assert ended.call == 2 and ended.by == "error" and ended.reason


async def test_nobody_there(sip: SipProcess) -> None:
    """Loopback answers with "port unreachable", which a UDP sender may only learn by the timeout: TCP says it at once."""
    target = f"127.0.0.1:{free_port()};transport=tcp"
    sip.send(Dial(2, "<sip:a@b.example>", f"<sip:x@{target}>", f"sip:x@{target}", (), "127.0.0.1", 36000))
    ended = (await sip.wait_for(CallEnded))[0]
    assert ended.by == "error" and ended.code >= 500
