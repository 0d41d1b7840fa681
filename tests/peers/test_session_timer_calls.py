# SPDX-License-Identifier: GPL-2.0-or-later
"""Session intervals by application (RFC 4028, spec core.md §10.1): 422 both ways, who refreshes, by UPDATE or re-INVITE."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from di.sip.records import CallConfirmed, CallEnded, Dial, Hangup, Listen, ReplyReceived, SessionTimedOut, SessionTimer
from interfaces.sip.message import Message, tag_of
from tests.support.sip_peer import PeerCall, UdpPeer, description
from tests.support.sip_process import ClockAhead, SipProcess

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


def dial(process: SipProcess, phone: UdpPeer, timer: SessionTimer | None = TIMER, number: int = 2) -> None:
    target = f"sip:them@127.0.0.1:{phone.port}"
    process.send(Dial(number, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 40000, timer=timer))


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


@pytest.mark.parametrize(("maximum_s", "goes_on"), [(150, False), (0, True), (200, True)])
async def test_an_interval_beyond_the_maximum_ends_the_call(
    timed: SipProcess, phone: UdpPeer, maximum_s: int, goes_on: bool
) -> None:
    dial(timed, phone, SessionTimer(120, 100, maximum_s))
    call = await phone.take_invite()
    assert call.invite_message is not None
    call.reply(call.invite_message, 422, headers="Min-SE: 200\r\n")
    if goes_on:
        second = await call.next("INVITE")
        assert interval(second) == "200"
        call.reply(second, 486)
        await call.next("ACK")
    (ended,) = await timed.wait_for(CallEnded)
    assert (ended.code, ended.by) == (486 if goes_on else 422, "remote")
    assert ("beyond maximum_timer=150" in timed.log) is not goes_on
    assert sum(message.method == "INVITE" for message in call.seen) == goes_on


@pytest.fixture
def clock(tmp_path: Path) -> ClockAhead:
    return ClockAhead(tmp_path)


@pytest_asyncio.fixture
async def fast(clock: ClockAhead) -> AsyncIterator[SipProcess]:
    """Its intervals run as `clock` says."""
    process = await SipProcess.start(Listen("127.0.0.1", 0, timers=(("tea", TIMER),), selection="tea"), clock.program)
    yield process
    assert await process.stop(0) == 0 and "Traceback" not in process.log, process.log


class Called:
    """A phone that has answered a call of ours, which we are to refresh. `number`: ours of the call."""

    def __init__(self, process: SipProcess, number: int) -> None:
        self.process, self.number = process, number
        self.call: PeerCall

    async def up(self, timer: SessionTimer, allow: str, expires: str = "Session-Expires: 120;refresher=uac\r\n") -> None:
        """Be called and answer; `allow`: value of the header."""
        phone = await UdpPeer.open(self.process.port)
        dial(self.process, phone, timer, self.number)
        self.call = await phone.take_invite()
        assert self.call.invite_message is not None
        self.extra = f"Allow: {allow}\r\n" + (f"Supported: timer\r\nRequire: timer\r\n{expires}" if expires else "")
        self.call.reply(self.call.invite_message, 200, description(40000), self.extra)
        await self.call.next("ACK")
        await self.process.wait_for(CallConfirmed, call=self.number)  # behind the ACK the interval begins

    async def refreshed(self, code: int = 200) -> Message:
        """Answer the next refresh, which is returned. The process has taken the answer in."""
        refresh = await self.call.next("UPDATE", "INVITE")
        by_invite = refresh.method == "INVITE"
        self.call.reply(refresh, code, description(40000) if by_invite and code == 200 else "", self.extra)
        if by_invite:
            await self.call.next("ACK")
        if code != 481:
            assert await self.call.request("OPTIONS") == 200, "it came behind the answer"
        return refresh

    def expired(self) -> bool:
        """Whether the hub was told that the interval is over."""
        return any(record.call == self.number for record in self.process.of(SessionTimedOut))

    async def end(self) -> None:
        """The hub hangs up."""
        self.process.send(Hangup(self.number))
        await self.call.taken_off()
        self.call.peer.close()


WITH_UPDATE, WITHOUT = "INVITE, ACK, BYE, UPDATE", "INVITE, ACK, BYE"
HALF_S = 62
"""A refresh is due half an interval after the last one; the other half is left for a busy machine."""


async def test_the_method_of_refreshes(fast: SipProcess, clock: ClockAhead) -> None:
    """spec core.md §10.1; a second refresh follows the first one's 2xx. None of it is told to the hub."""
    wanted = (
        ("UPDATE_FALLBACK_INVITE", WITH_UPDATE, "UPDATE"),
        ("UPDATE_FALLBACK_INVITE", WITHOUT, "INVITE"),
        ("INVITE", WITH_UPDATE, "INVITE"),
        ("UPDATE", WITHOUT, "UPDATE"),
    )
    phones = [Called(fast, 2 * place) for place in range(1, len(wanted) + 1)]
    for phone, (method, allow, _) in zip(phones, wanted, strict=True):
        await phone.up(SessionTimer(120, 100, method=method), allow)
    for _ in range(2):
        clock.jump(HALF_S)
        refreshes = await asyncio.gather(*(phone.refreshed() for phone in phones))
        for refresh, (*_, sent) in zip(refreshes, wanted, strict=True):
            assert (refresh.method, interval(refresh).split(";")[0]) == (sent, "120")
            assert sent == "UPDATE" or b"a=sendrecv" in refresh.body
    assert not fast.of(SessionTimedOut) and not fast.of(ReplyReceived)
    for phone in phones:
        await phone.end()


async def test_a_refused_refresh(fast: SipProcess, clock: ClockAhead) -> None:
    """501 counts where `accept_501_reply` says so; after others it is tried again, and the hub is told when the interval is over; of a peer
    that knows the call no more, at once.
    """
    wanted = {2: (501, True), 4: (501, False), 6: (481, True), 8: (500, True)}
    phones = {number: Called(fast, number) for number in wanted}
    for number, (_, accepted) in wanted.items():
        await phones[number].up(SessionTimer(120, 100, accept_501=accepted), WITH_UPDATE, "")
    clock.jump(HALF_S)
    await asyncio.gather(*(phones[number].refreshed(code) for number, (code, _) in wanted.items()))
    await fast.wait_until(phones[6].expired)
    assert [record.call for record in fast.of(SessionTimedOut)] == [6]
    clock.jump(HALF_S)
    await phones[2].refreshed(501)
    await fast.wait_for(SessionTimedOut, 3)
    clock.jump(HALF_S)
    await phones[2].refreshed(501)
    assert sorted(record.call for record in fast.of(SessionTimedOut)) == [4, 6, 8]
    for phone in phones.values():
        await phone.end()
    assert "a session refresh is answered with 501 Reply (it counts)" in fast.log


async def test_a_refused_refresh_is_tried_again(fast: SipProcess, clock: ClockAhead) -> None:
    phone = Called(fast, 2)
    await phone.up(SessionTimer(120, 100), WITH_UPDATE)
    clock.jump(HALF_S)
    await phone.refreshed(500)
    clock.jump(HALF_S // 2)
    await phone.refreshed()
    clock.jump(HALF_S)
    await phone.refreshed()
    assert not phone.expired()
    await phone.end()


async def test_a_call_in_is_refreshed_by_the_callee(fast: SipProcess, clock: ClockAhead) -> None:
    """Of a caller that knows of no intervals; his Allow counts."""
    phone = await UdpPeer.open(fast.port)
    call = phone.invite("tea", headers=f"Allow: {WITH_UPDATE}\r\n")
    assert interval(await call.next(200)) == "120;refresher=uas"
    call.ack()
    await fast.wait_for(CallConfirmed)
    clock.jump(HALF_S)
    refresh = await call.next("UPDATE", "INVITE")
    assert refresh.method == "UPDATE"
    call.reply(refresh, 200)
    assert await call.bye() == 200
    phone.close()


async def test_calls_out_of_others(timed: SipProcess, phone: UdpPeer) -> None:
    dial(timed, phone, None)
    call: PeerCall = await phone.take_invite()
    assert call.invite_message is not None and interval(call.invite_message) in ("", "1800")
    await call.refuse(486)
