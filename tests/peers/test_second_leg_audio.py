# SPDX-License-Identifier: GPL-2.0-or-later
"""Two connected calls by tones: who hears whom after the answer, on hold, resumed, with another codec, when both offer at once."""

from __future__ import annotations

import pytest

from tests.support.switchboard import Switchboard

pytestmark = pytest.mark.peers


async def test_each_hears_the_other(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(one, two)
