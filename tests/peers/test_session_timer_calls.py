# SPDX-License-Identifier: GPL-2.0-or-later
"""Session intervals by application (RFC 4028, spec core.md §10.1): 422 both ways, who refreshes, by UPDATE or re-INVITE."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from di.sip.records import CallConfirmed, Dial, Hangup, Listen, SessionTimer
from interfaces.sip.message import Message, tag_of
from tests.support.sip_peer import PeerCall, UdpPeer, description
from tests.support.sip_process import SipProcess
from tests.support.sizes import LONG

pytestmark = pytest.mark.peers

TIMER = SessionTimer(120, 100)


@pytest_asyncio.fixture
async def timed() -> AsyncIterator[SipProcess]:
    """`tea` has an interval of 120 s, at least 100; all else has none."""
    listen = Listen("127.0.0.1", 0, timers=(("tea", TIMER),), selection="$(mapping)", mapping="^sip:tea@=>tea\n^sip:=>other")
    process = await SipProcess.start(listen)
    yield process
    assert await process.stop(0) == 0 and "Traceback" not in process.log, process.log


@pytest_asyncio.fixture
async def phone(timed: SipProcess) -> AsyncIterator[UdpPeer]:
    opened = await UdpPeer.open(timed.port)
    yield opened
    opened.close()


def interval(message: Message) -> str:
    return message.header("Session-Expires")


@pytest.mark.parametrize(
    ("user", "asked", "code", "answer"),
    [
        ("tea", "Session-Expires: 95\r\nSupported: timer\r\n", 422, ""),
        ("tea", "Session-Expires: 110;refresher=uac\r\nSupported: timer\r\n", 200, "110;refresher=uac"),
        ("tea", "Session-Expires: 110;refresher=uas\r\nSupported: timer\r\n", 200, "110;refresher=uas"),
        ("tea", "", 200, "120;refresher=uas"),
        ("plain", "Session-Expires: 95;refresher=uac\r\nSupported: timer\r\n", 200, "95;refresher=uac"),
        ("plain", "", 200, ""),
    ],
)
async def test_calls_in(timed: SipProcess, phone: UdpPeer, user: str, asked: str, code: int, answer: str) -> None:
    call = phone.invite(user, headers=asked)
    final = await call.next(*range(200, 700))
    assert (final.code, interval(final)) == (code, answer)
    if code == 422:
        assert final.header("Min-SE") == "100"
    else:
        call.ack()
        assert await call.bye() == 200


def dial(process: SipProcess, phone: UdpPeer, timer: SessionTimer | None = TIMER) -> None:
    target = f"sip:them@127.0.0.1:{phone.port}"
    process.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 40000, timer=timer))


async def test_calls_out(timed: SipProcess, phone: UdpPeer) -> None:
    """The interval is asked for, made longer when the peer wants it (422), and refreshed by us when it wants none of it."""
    dial(timed, phone)
    call = await phone.take_invite()
    first = call.invite_message
    assert first is not None and (interval(first), first.header("Min-SE")) == ("120", "100")
    call.reply(first, 422, headers="Min-SE: 200\r\n")
    second = await call.next("INVITE")
    assert (interval(second), second.header("Min-SE")) == ("200", "200") and tag_of(second.header("To")) == ""
    call.reply(second, 486)
    await call.next("ACK")


@pytest.mark.timeout(150)
@pytest.mark.skipif(not LONG, reason="a minute at pjsip's own pace; CORDBOARD_LONG runs it")
@pytest.mark.parametrize(("allow", "method"), [("INVITE, ACK, BYE, UPDATE", "UPDATE"), ("INVITE, ACK, BYE", "INVITE")])
async def test_refreshed_by_us(timed: SipProcess, phone: UdpPeer, allow: str, method: str) -> None:
    dial(timed, phone)
    call = await phone.take_invite()
    assert call.invite_message is not None
    headers = f"Allow: {allow}\r\nSupported: timer\r\nRequire: timer\r\nSession-Expires: 120;refresher=uac\r\n"
    call.reply(call.invite_message, 200, description(40000), headers)
    await call.next("ACK")
    await timed.wait_for(CallConfirmed)
    refresh = await call.next(method, patience_s=90)
    assert interval(refresh) == "120;refresher=uac"
    call.reply(refresh, 200, description(40000) if method == "INVITE" else "", headers)
    if method == "INVITE":
        await call.next("ACK")
    timed.send(Hangup(2))
    await call.taken_off()


async def test_calls_out_of_others(timed: SipProcess, phone: UdpPeer) -> None:
    dial(timed, phone, None)
    call: PeerCall = await phone.take_invite()
    assert call.invite_message is not None and interval(call.invite_message) in ("", "1800")
    await call.refuse(486)
