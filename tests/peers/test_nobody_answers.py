# SPDX-License-Identifier: GPL-2.0-or-later
"""Who never answers, in real calls. An application that does not return: the caller gets a final reply or a BYE, and the log says who
and where. A phone that only rings: it gets a CANCEL, and who called it a 408.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.server import WITH_APPS, Server, wait_until
from tests.support.switchboard import MAPPING, PLUGINS, Switchboard

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    files = {"app_mapping.conf": MAPPING}
    with Server(
        tmp_path_factory.mktemp("server"), files, "callback_timeout=2\nsip_timer_C=5000", PLUGINS, program=WITH_APPS
    ) as running:
        yield running


@pytest_asyncio.fixture
async def board(impatient: Server) -> AsyncIterator[Switchboard]:
    board = Switchboard(impatient)
    yield board
    await board.all_gone()
    board.close()


async def test_an_invite_that_is_never_decided(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    stuck = anna.invite("X-Desk: hang=invite\r\n")
    one, two = await board.pair(ben, anna)  # everybody else goes on
    await anna.answered(stuck, 504)
    said = r"Desk\.(_hang|on_invite) of desk.* within 2 s \(for CallOffered, it waits in Desk\._hang, __init__\.py:"
    await asyncio.to_thread(wait_until, lambda: re.search(said, board.server.log), "who and where")
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(one, two)


async def test_a_caller_gives_up_while_nobody_listens(board: Switchboard) -> None:
    anna = await board.phone()
    one = anna.invite("X-Desk: hang=invite\r\n")
    await asyncio.to_thread(wait_until, lambda: board.server.xml.listByFilter(["callid", one.call_id]), "its application has it")
    one.cancel()
    assert (await one.next(487)).code == 487
    one.send_request("ACK", cseq=one.cseq, branch=one.branch)
    await board.all_gone()


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_a_call_that_is_up_and_held_up(board: Switchboard, hangs_up: bool) -> None:
    anna = await board.phone()
    one = anna.invite("X-Desk: hang=start\r\n")
    await anna.answered(one)
    if hangs_up:
        assert await one.bye() == 200
    else:
        await one.taken_off()
    await board.all_gone()
    said = "for (MediaNegotiated|CallConfirmed)"
    await asyncio.to_thread(wait_until, lambda: re.search(said, board.server.log), "for what")


@pytest.mark.parametrize("relayed", [True, False])
async def test_a_phone_that_only_rings(board: Switchboard, relayed: bool) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, (two,) = await board.ring(anna, ben, desk="relay" if relayed else "")
    assert two.invite_message is not None
    two.reply(two.invite_message, 180)
    two.reply(await two.next("CANCEL"), 200)
    two.reply(two.invite_message, 487)
    await two.next("ACK")
    if relayed:
        await anna.answered(one, 408)
        return
    assert await board.logged(one, "replies", lambda text: text.endswith("408"))
    await board.hang_up(one)
