# SPDX-License-Identifier: GPL-2.0-or-later
"""Two connected calls by tones: who hears whom after the answer, on hold, resumed, with another codec, when both offer at once."""

from __future__ import annotations

import asyncio

import pytest

from interfaces.sip.message import Message
from tests.support.rtp_peer import PCMA
from tests.support.sip_peer import direction_of
from tests.support.switchboard import Switchboard

pytestmark = pytest.mark.peers


def direction(message: Message) -> str:
    return direction_of(message.body.decode())


def payloads(message: Message) -> list[str]:
    """Payload types of the audio line, in order."""
    line = next(line for line in message.body.decode().splitlines() if line.startswith("m=audio"))
    return line.split()[3:]


async def test_each_hears_the_other(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(one, two)


@pytest.mark.parametrize("by_callee", [False, True])
@pytest.mark.parametrize(("held", "answered"), [("sendonly", "recvonly"), ("inactive", "inactive")])
async def test_hold_and_resume_of_one_side_reach_the_other(board: Switchboard, by_callee: bool, held: str, answered: str) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    (holder, holding), (other, waiting) = ((ben, two), (anna, one)) if by_callee else ((anna, one), (ben, two))
    reply, offer = await asyncio.gather(holder.reoffer(holding, held), other.take_offer(waiting, answered))
    assert (direction(reply), direction(offer)) == (answered, held)
    music = {holder} if held == "sendonly" else set()
    await board.hear({holder: set(), other: music})
    reply, offer = await asyncio.gather(holder.reoffer(holding, "sendrecv"), other.take_offer(waiting))
    assert (direction(reply), direction(offer)) == ("sendrecv", "sendrecv")
    await board.hear({holder: {other}, other: {holder}})
    await board.hang_up(one, two)


async def test_hold_by_update_reaches_the_other(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    one.send_request("UPDATE", anna.description("sendonly"))
    reply, offer = await asyncio.gather(one.next(*range(200, 700)), ben.take_offer(two, "recvonly"))
    assert (reply.code, direction(reply), direction(offer)) == (200, "recvonly", "sendonly")
    await board.hear({anna: set(), ben: {anna}})
    await board.hang_up(one, two)


async def test_another_codec_of_one_side_is_offered_to_the_other(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    anna.rtp.payload_type = PCMA
    ben.rtp.payload_type = PCMA
    _, offer = await asyncio.gather(anna.reoffer(one, "sendrecv", PCMA), ben.take_offer(two, codec=PCMA))
    assert payloads(offer)[:2] == ["8", "0"]
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(one, two)


async def test_a_codec_that_the_other_refuses_is_decoded_here(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    anna.rtp.payload_type = PCMA
    reoffered = asyncio.ensure_future(anna.reoffer(one, "sendrecv", PCMA))
    offer = await two.next("INVITE")
    two.reply(offer, 488)
    await two.next("ACK")
    await reoffered
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(one, two)


async def test_the_second_leg_is_offered_the_first_one_s_codec_first(board: Switchboard) -> None:
    anna, ben = await board.phone(PCMA), await board.phone(PCMA)
    one, (two,) = await board.ring(anna, ben)
    assert two.invite_message is not None and payloads(two.invite_message)[0] == "8"
    await ben.accept(two)
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(one, two)


async def test_both_offer_in_the_same_moment_and_both_are_heard(board: Switchboard) -> None:
    """Each offer is answered at once; the ones that are passed on meet 491 or wait, and nobody is left silent."""
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)

    async def offers(talker, call):  # type: ignore[no-untyped-def]
        call.send_request("INVITE", talker.description("sendrecv"))
        mine, codes = call.cseq, []
        async with asyncio.timeout(20):
            while not codes:
                message = await call.next("INVITE", *range(200, 700))
                if message.method == "INVITE":
                    call.reply(message, 491)
                elif f"{mine} INVITE" in message.header("CSeq"):
                    codes.append(message.code)
                    if message.code < 300:
                        call.ack()
        return codes[0]

    codes = await asyncio.gather(offers(anna, one), offers(ben, two))
    assert codes == [200, 200]
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(one, two)


async def test_an_offer_of_ours_that_met_491_is_made_again(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    await anna.reoffer(one, "sendonly")
    first = await two.next("INVITE")
    two.reply(first, 491)
    await two.next("ACK")
    again = await ben.take_offer(two, "recvonly")
    assert direction(again) == "sendonly" and again.header("CSeq") != first.header("CSeq")
    await board.hear({anna: set(), ben: {anna}})
    await board.hang_up(one, two)


async def test_a_late_offer_of_one_side_is_answered_here(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    one.send_request("INVITE")
    reply = await one.next(*range(200, 700))
    assert reply.code == 200 and reply.body
    one.ack(anna.description())
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(one, two)


async def test_payloads_pass_undecoded_where_both_have_one_codec(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    await board.hear({anna: {ben}, ben: {anna}})
    before = await board.media()
    await board.run(1000)
    for _ in range(60):  # the media process reports every few seconds
        now = await board.media()
        if now.get("packets_relayed", 0) >= before.get("packets_relayed", 0) + 60:
            break
        await board.run(200)
    assert now.get("packets_relayed", 0) >= before.get("packets_relayed", 0) + 60, now
    await board.hang_up(one, two)
