# SPDX-License-Identifier: GPL-2.0-or-later
"""Two connected calls by tones: two sides that have no codec in common."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.rtp_peer import PCMA, PCMU
from tests.support.sip_peer import direction_of
from tests.support.switchboard import Switchboard

pytestmark = pytest.mark.peers
G722, G722_TYPE = "G722/8000", 9


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
