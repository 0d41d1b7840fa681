# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfers in real calls: REFER carried out here, blind and attended; a call with Replaces; who may and who may not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest

from interfaces.sip.message import Message, tag_of
from tests.support.server import WITH_APPS, Server, wait_until
from tests.support.sip_peer import PeerCall, direction_of
from tests.support.switchboard import MAPPING, PLUGINS, Switchboard, Talker

pytestmark = pytest.mark.peers


async def told(call: PeerCall) -> str:
    """The next NOTIFY about a transfer: its status line, answered."""
    notify = await call.next("NOTIFY")
    assert notify.header("Event").startswith("refer") and notify.content_type.startswith("message/sipfrag")
    call.reply(notify, 200)
    line = notify.body.decode().split("\r\n")[0]
    over = int(line.split()[1]) >= 200
    assert notify.header("Subscription-State").startswith("terminated" if over else "active")
    return line


def refer(call: PeerCall, target: str) -> None:
    call.send_request("REFER", headers=f"Refer-To: <{target}>\r\nReferred-By: <sip:peer@127.0.0.1>\r\n")


async def accepted(call: PeerCall) -> None:
    reply: Message = await call.next(*range(200, 700))
    assert reply.code == 202, reply.start_line


def replaces(call: PeerCall) -> str:
    """A call's dialog as the phone names it to others (RFC 3891): the server's tag is that of the other side."""
    return f"{call.call_id};to-tag={tag_of(call.remote)};from-tag={tag_of(call.local)}"


async def dialog_known(board: Switchboard, call: PeerCall) -> None:
    """The server has logged the dialog's tags."""
    await board.logged(call, "ltag")


# -------------------------------------------------------------------------------------------------------------------- blind
@pytest.mark.parametrize("by_callee", [False, True])
async def test_a_blind_transfer(board: Switchboard, by_callee: bool) -> None:
    anna, ben, carl = [await board.phone() for _ in range(3)]
    one, two = await board.pair(anna, ben, desk="serve")
    (leaver, leaving), (stayer, staying) = ((ben, two), (anna, one)) if by_callee else ((anna, one), (ben, two))
    refer(leaving, carl.uri)
    await accepted(leaving)
    assert await told(leaving) == "SIP/2.0 100 Trying"
    third = await carl.called()
    assert third.invite_message is not None
    assert third.invite_message.header("Referred-By") == f"<{ben.uri if by_callee else 'sip:peer@127.0.0.1'}>"
    third.reply(third.invite_message, 180)
    assert (await told(leaving)).startswith("SIP/2.0 180")
    await board.hear({leaver: {stayer}, stayer: {leaver}})
    await carl.accept(third)
    assert await told(leaving) == "SIP/2.0 200 OK"
    await leaving.taken_off()
    await board.hear({stayer: {carl}, carl: {stayer}})
    await board.hang_up(staying, third)


async def test_the_referrer_hangs_up_as_soon_as_it_may(board: Switchboard) -> None:
    anna, ben, carl = [await board.phone() for _ in range(3)]
    one, two = await board.pair(anna, ben, desk="serve")
    refer(two, carl.uri)
    await accepted(two)
    third = await carl.called()
    two.send_request("BYE")
    while (message := await two.next("NOTIFY", 200, 481)).method == "NOTIFY":
        two.reply(message, 200)
    await board.run(300)
    await carl.accept(third)
    await board.hear({anna: {carl}, carl: {anna}})
    await board.hang_up(third, one)


@pytest.mark.parametrize("gone", [False, True])
async def test_a_target_that_is_busy(board: Switchboard, gone: bool) -> None:
    anna, ben, carl = [await board.phone() for _ in range(3)]
    one, two = await board.pair(anna, ben, desk="serve stay")
    refer(two, carl.uri)
    await accepted(two)
    assert await told(two) == "SIP/2.0 100 Trying"
    third = await carl.called()
    if gone:
        assert await two.bye() == 200
        await board.run(200)
    assert third.invite_message is not None
    third.reply(third.invite_message, 486)
    await third.next("ACK")
    if gone:
        await board.logged(one, "other_bye")
        await board.hang_up(one)
        return
    assert (await told(two)).startswith("SIP/2.0 486")
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(one, two)


async def test_who_was_to_be_transferred_hangs_up(board: Switchboard) -> None:
    anna, ben, carl = [await board.phone() for _ in range(3)]
    one, two = await board.pair(anna, ben, desk="serve")
    refer(two, carl.uri)
    await accepted(two)
    third = await carl.called()
    assert third.invite_message is not None
    third.reply(third.invite_message, 180)
    assert await one.bye() == 200
    third.reply(await third.next("CANCEL"), 200)
    third.reply(third.invite_message, 487)
    await third.next("ACK")
    await two.taken_off()
    await board.all_gone()


async def test_refer_is_declined_where_it_is_not_wanted(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben, desk="refuse")
    refer(two, anna.uri)
    assert (await two.next(*range(200, 700))).code == 603
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(one, two)


async def test_a_refer_to_nowhere_is_a_bad_request(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben, desk="serve")
    refer(two, "mailto:carl@127.0.0.1")
    assert (await two.next(*range(200, 700))).code == 400
    await board.hang_up(one, two)


# ----------------------------------------------------------------------------------------------------------------- attended
async def test_an_attended_transfer_of_two_calls_here(board: Switchboard) -> None:
    """Ben talks to anna, calls carl, and brings the two together."""
    anna, ben, carl = [await board.phone() for _ in range(3)]
    one, two = await board.pair(anna, ben, desk="serve")
    consultation, third = await board.pair(ben, carl, desk="serve")
    await dialog_known(board, consultation)
    refer(two, f"{carl.uri}?Replaces={quote(replaces(consultation))}")
    await accepted(two)
    assert await told(two) == "SIP/2.0 100 Trying"
    assert await told(two) == "SIP/2.0 200 OK"
    await asyncio.gather(two.taken_off(), consultation.taken_off())
    await board.hear({anna: {carl}, carl: {anna}})
    await board.hang_up(one, third)


@pytest.mark.parametrize("blind", [True, False])
async def test_who_was_put_on_hold_talks_after_the_transfer(board: Switchboard, blind: bool) -> None:
    """Phones hold before they transfer: the hold goes with its holder."""
    anna, ben, carl = [await board.phone() for _ in range(3)]
    one, two = await board.pair(anna, ben, desk="serve")
    await asyncio.gather(ben.reoffer(two, "sendonly"), anna.take_offer(one, "recvonly"))
    if blind:
        refer(two, carl.uri)
        await accepted(two)
        third = await carl.called()
        await carl.accept(third)
        resumed = await anna.take_offer(one)
        while (message := await two.next("NOTIFY", "BYE")).method == "NOTIFY":
            two.reply(message, 200)
        two.reply(message, 200)
    else:
        consultation, third = await board.pair(ben, carl, desk="serve")
        await dialog_known(board, consultation)
        refer(two, f"{carl.uri}?Replaces={quote(replaces(consultation))}")
        await accepted(two)
        resumed = await anna.take_offer(one)
        await asyncio.gather(two.taken_off(), consultation.taken_off())
    assert direction_of(resumed.body.decode()) == "sendrecv"
    await board.hear({anna: {carl}, carl: {anna}})
    await board.hang_up(one, third)


async def test_a_hold_of_the_one_who_stays_goes_on(board: Switchboard) -> None:
    anna, ben, carl = [await board.phone() for _ in range(3)]
    one, two = await board.pair(anna, ben, desk="serve")
    await asyncio.gather(anna.reoffer(one, "sendonly"), ben.take_offer(two, "recvonly"))
    refer(two, carl.uri)
    await accepted(two)
    third = await carl.called()
    await carl.accept(third)
    held = await carl.take_offer(third, "recvonly")
    assert direction_of(held.body.decode()) == "sendonly"
    while (message := await two.next("NOTIFY", "BYE")).method == "NOTIFY":
        two.reply(message, 200)
    two.reply(message, 200)
    await board.hear({carl: {anna}, anna: set()})
    await asyncio.gather(anna.reoffer(one, "sendrecv"), carl.take_offer(third))
    await board.hear({anna: {carl}, carl: {anna}})
    await board.hang_up(one, third)


# ----------------------------------------------------------------------------------------------------------------- Replaces
async def test_a_call_with_replaces_takes_a_leg_s_place(board: Switchboard) -> None:
    anna, ben, carl = [await board.phone() for _ in range(3)]
    one, two = await board.pair(anna, ben)
    await dialog_known(board, two)
    new = carl.invite(f"Replaces: {replaces(two)}\r\n", user="whoever")
    ended = asyncio.ensure_future(two.taken_off())
    await carl.answered(new)
    await ended
    await board.hear({anna: {carl}, carl: {anna}})
    await board.hang_up(one, new)


@pytest.mark.parametrize(("value", "code"), [("none@here;to-tag=a;from-tag=b", 481), ("only-a-call-id", 400)])
async def test_replaces_that_names_no_dialog(board: Switchboard, value: str, code: int) -> None:
    carl: Talker = await board.phone()
    new = carl.invite(f"Replaces: {value}\r\n")
    await carl.answered(new, code)
    await board.all_gone()


async def test_an_application_may_guard_its_call(board: Switchboard) -> None:
    anna, ben, carl = [await board.phone() for _ in range(3)]
    one, two = await board.pair(anna, ben, desk="guard")
    await dialog_known(board, one)
    await carl.answered(carl.invite(f"Replaces: {replaces(one)}\r\n"), 403)
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(one, two)


async def test_strangers_replace_nothing(tmp_path: Path) -> None:
    files = {"app_mapping.conf": MAPPING}
    with Server(tmp_path, files, "trusted_peers=192.0.2.1", PLUGINS, program=WITH_APPS) as server:
        board = Switchboard(server)
        anna, ben, carl = [await board.phone() for _ in range(3)]
        one, two = await board.pair(anna, ben)
        await dialog_known(board, two)
        await carl.answered(carl.invite(f"Replaces: {replaces(two)}\r\n"), 403)
        await asyncio.to_thread(
            wait_until, lambda: "INVITE with Replaces" in server.log and "403" in server.log, "a line in the log"
        )
        await board.hear({anna: {ben}, ben: {anna}})
        await board.hang_up(one, two)
        board.close()
