# SPDX-License-Identifier: GPL-2.0-or-later
"""A dialled leg that a proxy has forked (RFC 3261 §12.1, §13.2.2.4): several early dialogs, one is heard, perhaps another answers."""

from __future__ import annotations

import pytest

from tests.support.sip_peer import PeerCall
from tests.support.switchboard import Switchboard, Talker

pytestmark = pytest.mark.peers


def early(branch: PeerCall, talker: Talker, code: int = 183) -> None:
    """A provisional reply of one branch with its own media."""
    assert branch.invite_message is not None
    branch.reply(branch.invite_message, code, talker.description())


def answer(branch: PeerCall, talker: Talker) -> None:
    """The 200 of one branch."""
    assert branch.invite_message is not None
    branch.reply(branch.invite_message, 200, talker.description())


def sends_to(talker: Talker, two: PeerCall) -> None:
    """Another phone behind the same proxy: it talks to where the INVITE says."""
    assert two.invite_message is not None
    talker.hears_of(two.invite_message)


@pytest.mark.parametrize("desk", ["early", "relay"])
async def test_early_media_of_one_branch_and_the_answer_of_another(board: Switchboard, desk: str) -> None:
    anna, ben, carl = [await board.phone() for _ in range(3)]
    one, (two,) = await board.ring(anna, ben, desk=desk)
    sends_to(carl, two)
    first, second = two.fork("one"), two.fork("two")
    early(first, ben)
    if desk == "relay":
        anna.hears_of(await one.next(183))
    carl.rtp.samples, talking = None, carl.rtp.samples
    await board.hear({anna: {ben}})
    early(second, carl)
    carl.rtp.samples, ben.rtp.samples = talking, None
    answer(second, carl)
    await two.next_of("ACK", "two")
    if desk == "relay":
        await anna.answered(one)
    await board.logged(one, "replies", lambda text: text.endswith("200"))
    await board.hear({anna: {carl}, carl: {anna}, ben: set()})
    assert await second.bye() == 200
    await one.taken_off()
    await board.all_gone()


async def test_a_late_answer_of_a_second_branch_is_acknowledged_and_ended(board: Switchboard) -> None:
    anna, ben, carl = [await board.phone() for _ in range(3)]
    one, (two,) = await board.ring(anna, ben)
    sends_to(carl, two)
    carl.rtp.samples = None
    first, second, third = (two.fork(tag) for tag in ("one", "two", "three"))
    for branch, talker in ((first, ben), (second, carl), (third, carl)):
        early(branch, talker)
    answer(first, ben)
    await two.next_of("ACK", "one")
    await board.hear({anna: {ben}, ben: {anna}})
    for branch, tag in ((second, "two"), (third, "three")):
        answer(branch, carl)
        await two.next_of("ACK", tag)
        branch.reply(await two.next_of("BYE", tag), 200)
    await board.hear({anna: {ben}, ben: {anna}, carl: set()})
    assert await one.request("BYE") == 200
    first.reply(await two.next_of("BYE", "one"), 200)
    await board.all_gone()


async def test_a_fork_whose_branches_only_ring_is_cancelled_as_one(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, (two,) = await board.ring(anna, ben, desk="relay")
    for tag in ("one", "two", "three"):
        branch = two.fork(tag)
        assert branch.invite_message is not None
        branch.reply(branch.invite_message, 180)
    await one.next(180)
    one.cancel()
    two.reply(await two.next("CANCEL"), 200)
    assert two.invite_message is not None
    two.fork("two").reply(two.invite_message, 487)
    await two.next("ACK")
    assert (await one.next(487)).code == 487
    one.send_request("ACK", cseq=one.cseq, branch=one.branch)
    await board.all_gone()
