# SPDX-License-Identifier: GPL-2.0-or-later
"""The real SIP process gathers messages where many come, and only there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from di.sip.records import CallConfirmed, CallEnded, CallIdentified, CallOffered, Hangup, MediaNegotiated
from tests.support.sip_peer import UdpPeer
from tests.support.sip_process import SipProcess, connected

pytestmark = pytest.mark.peers

TOLD = """
import sys
from interfaces.sip import polling, process
polling.BURST, polling.EVERY_NS = {burst}, {every_ns}
class Told(polling.Polling):
    def pause_ns(self, *look):
        pause_ns = super().pause_ns(*look)
        if self.rests:
            print("it rests", file=sys.stderr, flush=True)
        return pause_ns
process.Polling = Told
raise SystemExit(process.main())
"""
"""A program for `SipProcess.start` that says when it lets messages wait."""

ALWAYS = TOLD.format(burst=0.5, every_ns=1_000_000_000)
"""Also where a turn takes long, on a busy machine."""


async def test_a_call_by_itself_is_not_held() -> None:
    sip = await SipProcess.start(program=TOLD.format(burst="polling.BURST", every_ns="polling.EVERY_NS"))
    peer = await UdpPeer.open(sip.port)
    call = await connected(sip, peer)
    assert await call.bye() == 200
    await sip.wait_for(CallEnded)
    peer.close()
    assert await sip.stop(0) == 0 and sip.log.count("it rests") == 0, sip.log


@pytest_asyncio.fixture
async def resting() -> AsyncIterator[tuple[SipProcess, UdpPeer]]:
    """A SIP process that rests after each message, and its peer."""
    sip = await SipProcess.start(program=ALWAYS)
    peer = await UdpPeer.open(sip.port)
    yield sip, peer
    peer.close()
    assert await sip.stop(0) == 0 and "Traceback" not in sip.log, sip.log


async def test_calls_whose_messages_are_gathered_take_their_course(resting: tuple[SipProcess, UdpPeer]) -> None:
    sip, peer = resting
    calls = [peer.invite() for _ in range(20)]
    for call in calls:
        assert await call.final() == 200
        call.ack()
    await sip.wait_for(CallConfirmed, 20)
    for call in calls[:10]:
        assert await call.bye() == 200
    assert "it rests" in sip.log
    numbers = [offer.call for offer in sip.of(CallOffered)]
    ours = numbers[10:]
    for number in ours:
        sip.send(Hangup(number))
    for call in calls[10:]:
        await call.answer_request("BYE", 200)
    await sip.wait_for(CallEnded, 20)
    for number in numbers:
        course = [type(event) for event in sip.events if getattr(event, "call", None) == number]
        assert course == [CallOffered, CallIdentified, MediaNegotiated, CallConfirmed, CallEnded], course


async def test_what_a_command_brings_about_reaches_the_hub_though_nothing_more_comes(resting: tuple[SipProcess, UdpPeer]) -> None:
    sip, peer = resting
    sip.on_offer = lambda offer: sip.send(Hangup(offer.call, 486, "Busy Here"))
    call = peer.invite()
    assert await call.final() == 486
    await sip.wait_for(CallEnded)
