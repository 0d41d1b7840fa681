# SPDX-License-Identifier: GPL-2.0-or-later
"""How a second leg comes and goes in real calls: ringing and early media, several targets, refusals, CANCEL and BYE at every moment."""

from __future__ import annotations

import asyncio

import pytest

from interfaces.sip.message import Message
from tests.support.sip_peer import PeerCall, direction_of
from tests.support.switchboard import Switchboard, Talker

pytestmark = pytest.mark.peers


def progress(talker: Talker, call: PeerCall, code: int, headers: str = "", media: bool = False) -> None:
    """A provisional reply of a phone that is called."""
    assert call.invite_message is not None
    call.reply(call.invite_message, code, talker.description() if media else "", headers)


async def refuse(call: PeerCall, code: int, headers: str = "") -> None:
    assert call.invite_message is not None
    call.reply(call.invite_message, code, headers=headers)
    await call.next("ACK")


async def cancelled(call: PeerCall) -> Message:
    """Wait for the CANCEL and end the INVITE as a phone does."""
    cancel = await call.next("CANCEL")
    call.reply(cancel, 200)
    await refuse(call, 487)
    return cancel


# ------------------------------------------------------------------------------------------------------------ relayed invite
async def test_a_relayed_caller_sees_and_hears_what_the_callee_says(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, (two,) = await board.ring(anna, ben, desk="relay", headers="X-Subject: lunch\r\n")
    assert two.invite_message is not None and two.invite_message.header("X-Subject") == "lunch"
    progress(ben, two, 180, "X-Ring: softly\r\n")
    ringing = await one.next(180)
    assert (ringing.header("X-Ring"), ringing.body) == ("softly", b"")
    progress(ben, two, 183, "X-Ring: loud\r\n", media=True)
    early = await one.next(183)
    # pjsip repeats the headers of earlier replies in later ones
    assert ("X-Ring", "loud") in early.headers and early.body
    anna.hears_of(early)
    await board.hear({anna: {ben}})
    await ben.accept(two, "X-Answer: yes\r\n")
    answer = await anna.answered(one)
    assert answer.header("X-Answer") == "yes"
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(one, two)


async def test_a_relayed_refusal_reaches_the_caller(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, (two,) = await board.ring(anna, ben, desk="relay")
    await refuse(two, 486, "X-Why: lunch\r\n")
    refusal = await anna.answered(one, 486)
    assert refusal.header("X-Why") == "lunch"
    await board.all_gone()


async def test_the_caller_s_cancel_reaches_the_callee(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, (two,) = await board.ring(anna, ben, desk="relay")
    progress(ben, two, 180)
    await one.next(180)
    one.cancel()
    await cancelled(two)
    assert (await one.next(487)).code == 487
    one.send_request("ACK", cseq=one.cseq, branch=one.branch)
    await board.all_gone()


async def test_the_caller_s_cancel_crosses_the_callee_s_answer(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, (two,) = await board.ring(anna, ben, desk="relay")
    progress(ben, two, 180)
    await one.next(180)
    one.cancel()
    assert two.invite_message is not None
    two.reply(two.invite_message, 200, ben.description())
    message = await two.next("BYE", "CANCEL")
    two.reply(message, 200 if message.method == "BYE" else 481)
    if message.method == "CANCEL":
        await two.taken_off()
    code = (await one.next(200, 487, patience_s=20)).code
    assert code in (200, 487)
    if one.seen[-1].header("CSeq").endswith("CANCEL"):
        code = (await one.next(200, 487)).code
    one.send_request("ACK", cseq=one.cseq, branch=one.branch) if code == 487 else one.ack()
    if code == 200:
        await one.taken_off()
    await board.all_gone()


# --------------------------------------------------------------------------------------------------------------- early media
@pytest.mark.parametrize("early", [False, True])
async def test_early_media_is_heard_where_it_was_asked_for(board: Switchboard, early: bool) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, (two,) = await board.ring(anna, ben, desk="early" if early else "")
    progress(ben, two, 183, media=True)
    await board.logged(one, "replies", lambda text: text.endswith("183"))
    await board.hear({anna: {ben} if early else set()})
    await ben.accept(two)
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(two, one)


async def test_early_media_of_one_that_then_refuses(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, (two,) = await board.ring(anna, ben, desk="early")
    progress(ben, two, 183, media=True)
    await board.hear({anna: {ben}})
    await refuse(two, 480)
    await board.logged(one, "replies", lambda text: text.endswith("480"))
    await board.hear({anna: set()})
    await board.hang_up(one)


# ------------------------------------------------------------------------------------------------------------ several targets
async def test_of_several_the_first_answer_wins_and_the_others_are_told(board: Switchboard) -> None:
    anna, ben, carl, dora = [await board.phone() for _ in range(4)]
    one, calls = await board.ring(anna, ben, carl, dora)
    for talker, call in zip((ben, carl, dora), calls, strict=True):
        progress(talker, call, 180)
    lost = [asyncio.ensure_future(cancelled(calls[0])), asyncio.ensure_future(cancelled(calls[2]))]
    await carl.accept(calls[1])
    for cancel in await asyncio.gather(*lost):
        assert "Call completed elsewhere" in cancel.header("Reason")
    await board.hear({anna: {carl}, carl: {anna}, ben: set(), dora: set()})
    await board.hang_up(one, calls[1])


async def test_two_answers_in_the_same_moment_leave_one(board: Switchboard) -> None:
    anna, ben, carl = [await board.phone() for _ in range(3)]
    one, calls = await board.ring(anna, ben, carl)
    for talker, call in zip((ben, carl), calls, strict=True):
        assert call.invite_message is not None
        call.reply(call.invite_message, 200, talker.description())

    async def goes(call: PeerCall) -> None:
        """Wait for the BYE that one of them gets, before or behind an ACK; a CANCEL that came too late is 481."""
        while (message := await call.next("ACK", "CANCEL", "BYE")).method != "BYE":
            if message.method == "CANCEL":
                call.reply(message, 481)
        call.reply(message, 200)

    fates = [asyncio.ensure_future(goes(call)) for call in calls]
    await asyncio.wait(fates, return_when=asyncio.FIRST_COMPLETED)
    stays = 1 if fates[0].done() else 0
    await fates[1 - stays]
    await board.hear({anna: {(ben, carl)[stays]}, (ben, carl)[stays]: {anna}})
    assert not fates[stays].done(), "only one of them"
    fates[stays].cancel()
    await board.hang_up(one, calls[stays])


async def test_in_turn_the_next_is_called_when_one_is_busy_or_has_rung_long_enough(board: Switchboard) -> None:
    anna, ben, carl, dora = [await board.phone() for _ in range(4)]
    targets = "".join(f"X-Target: {talker.uri}\r\n" for talker in (ben, carl, dora))
    one = anna.invite(f"X-Desk: turn ring=3000\r\n{targets}")
    await anna.answered(one)
    first = await ben.called()
    assert carl.calls == [] and carl.sip.incoming.empty()
    await refuse(first, 486)
    second = await carl.called()
    progress(carl, second, 180)
    await cancelled(second)
    third = await dora.called()
    await dora.accept(third)
    await board.hear({anna: {dora}, dora: {anna}})
    assert (await board.logged(one, "replies", lambda text: text.endswith("200"))).split(",")[-1] == "200"
    await board.hang_up(one, third)


async def test_when_nobody_answers_the_caller_hears_of_the_last_and_stays(board: Switchboard) -> None:
    anna, ben, carl = [await board.phone() for _ in range(3)]
    one, calls = await board.ring(anna, ben, carl)
    await refuse(calls[0], 486)
    await refuse(calls[1], 603)
    assert (await board.logged(one, "replies", lambda text: text.endswith("603"))) == "603"
    await board.hang_up(one)


# ----------------------------------------------------------------------------------------------------------------- the ends
@pytest.mark.parametrize("ringing", [False, True])
async def test_a_caller_who_hangs_up_while_the_other_is_called(board: Switchboard, ringing: bool) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, (two,) = await board.ring(anna, ben)
    if ringing:
        progress(ben, two, 180)
        await board.logged(one, "replies", lambda text: text.endswith("180"))
    ended = asyncio.ensure_future(cancelled(two))
    assert await one.bye() == 200
    await ended
    await board.all_gone()


@pytest.mark.parametrize("by_callee", [False, True])
async def test_a_bye_of_either_side_reaches_the_other(board: Switchboard, by_callee: bool) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    await (board.hang_up(two, one) if by_callee else board.hang_up(one, two))


async def test_both_hang_up_in_the_same_moment(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    one.send_request("BYE")
    two.send_request("BYE")

    async def over(call: PeerCall) -> None:
        """Its own BYE is answered; one of the server's may cross it."""
        while (message := await call.next("BYE", 200, 481)).method == "BYE":
            call.reply(message, 200)

    await asyncio.gather(over(one), over(two))
    await board.all_gone()


async def test_a_callee_who_hangs_up_at_once(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, (two,) = await board.ring(anna, ben, desk="stay")
    await ben.accept(two)
    assert await two.bye() == 200
    await board.logged(one, "other_bye")
    await board.hang_up(one)


async def test_who_stays_may_go_on_alone(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben, desk="stay")
    assert await two.request("BYE", headers="X-Last: words\r\n") == 200
    assert await board.logged(one, "other_bye") == "words"
    await board.hear({anna: set()})
    assert await one.request("OPTIONS") == 200
    await board.hang_up(one)


async def test_who_was_put_on_hold_is_heard_again_when_the_holder_goes(board: Switchboard) -> None:
    """Else its phone would send nothing any more, not even keys."""
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben, desk="stay")
    await asyncio.gather(ben.reoffer(two, "sendonly"), anna.take_offer(one, "recvonly"))
    assert await two.bye() == 200
    resumed = await anna.take_offer(one)
    assert direction_of(resumed.body.decode()) == "sendrecv"
    await board.hang_up(one)
