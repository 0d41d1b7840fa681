# SPDX-License-Identifier: GPL-2.0-or-later
"""Two connected calls by tones: a hold as RFC 2543 has it (`c=0.0.0.0`), and two sides that have no codec in common."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.rtp_peer import PCMA, PCMU
from tests.support.sdp import audio_address
from tests.support.sip_peer import direction_of
from tests.support.switchboard import Switchboard

pytestmark = pytest.mark.peers
NOWHERE = "0.0.0.0"
G722, G722_TYPE = "G722/8000", 9


@pytest.mark.parametrize("by_callee", [False, True])
async def test_a_hold_by_the_address_0_0_0_0_reaches_the_other(board: Switchboard, by_callee: bool) -> None:
    """RFC 3264 §8.4: whoever names 0.0.0.0 gets nothing; the other hears of it, and both hear again after the resume."""
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    await board.hear({anna: {ben}, ben: {anna}})
    (holder, holding), (other, waiting) = ((ben, two), (anna, one)) if by_callee else ((anna, one), (ben, two))
    reply, offer = await asyncio.gather(holder.reoffer(holding, "sendrecv", ip=NOWHERE), other.take_offer(waiting, "recvonly"))
    assert audio_address(reply.body.decode())[0] != NOWHERE, "music on hold would not arrive"
    assert (direction_of(offer.body.decode()), audio_address(offer.body.decode())[0]) == ("sendonly", "127.0.0.1")
    await board.hear({holder: set(), other: {holder}})
    _, offer = await asyncio.gather(holder.reoffer(holding, "sendrecv"), other.take_offer(waiting))
    assert direction_of(offer.body.decode()) == "sendrecv"
    await board.hear({holder: {other}, other: {holder}})
    await board.hang_up(one, two)


@pytest.mark.parametrize("narrow", [PCMA, PCMU])
@pytest.mark.parametrize("wide_calls", [False, True])
async def test_narrow_band_on_one_side_and_wide_band_on_the_other(board: Switchboard, narrow: int, wide_calls: bool) -> None:
    anna = await board.phone(G722_TYPE, G722) if wide_calls else await board.phone(narrow)
    ben = await board.phone(narrow) if wide_calls else await board.phone(G722_TYPE, G722)
    one, two = await board.pair(anna, ben)
    await board.hear({anna: {ben}, ben: {anna}})
    assert {packet.payload_type for packet in anna.rtp.packets} == {G722_TYPE if wide_calls else narrow}
    assert {packet.payload_type for packet in ben.rtp.packets} == {narrow if wide_calls else G722_TYPE}
    await board.hang_up(one, two)


async def test_a_wide_band_side_holds_and_resumes(board: Switchboard) -> None:
    anna, ben = await board.phone(PCMA), await board.phone(G722_TYPE, G722)
    one, two = await board.pair(anna, ben)
    _, offer = await asyncio.gather(ben.reoffer(two, "sendonly"), anna.take_offer(one, "recvonly"))
    assert direction_of(offer.body.decode()) == "sendonly"
    await board.hear({anna: {ben}, ben: set()})
    await asyncio.gather(ben.reoffer(two, "sendrecv"), anna.take_offer(one))
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(one, two)
