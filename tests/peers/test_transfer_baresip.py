# SPDX-License-Identifier: GPL-2.0-or-later
"""A real phone transfers: baresip's own REFER, blind and attended, carried out by the server or passed on; and baresip is transferred."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support import tones
from tests.support.baresip import PCMU, Baresip
from tests.support.server import wait_until
from tests.support.sip_peer import PeerCall, direction_of
from tests.support.switchboard import Switchboard, Talker

pytestmark = pytest.mark.peers
PHONE_HZ = 750.0


@pytest.fixture
def baresip(tmp_path: Path) -> Iterator[Baresip]:
    with Baresip(tmp_path / "baresip", PCMU, tones.tone(PHONE_HZ, 60_000)) as phone:
        phone.start()
        yield phone


async def called_by_desk(board: Switchboard, anna: Talker, phone: Baresip, desk: str) -> tuple[PeerCall, str]:
    """Anna calls the desk, which calls baresip, which answers; both up. Her call, and the Call-ID of baresip's."""
    one = anna.invite(f"X-Desk: {desk}\r\nX-Target: {phone.uri}\r\n")
    await anna.answered(one)
    await asyncio.to_thread(phone.event, "CALL_INCOMING")
    await asyncio.to_thread(phone.command, "accept")
    up = await asyncio.to_thread(phone.event, "CALL_ESTABLISHED")
    await board.logged(one, "replies", lambda text: text.endswith("200"))
    return one, up["id"]


async def hears_the_phone(board: Switchboard, talker: Talker) -> bool:
    """Whether a talker hears baresip at present."""
    for _ in range(20):
        await board.run(300)
        talker.rtp.forget()
        await board.run(600)
        if tones.level(talker.rtp.heard(), PHONE_HZ) > 500:
            return True
    return False


@pytest.mark.parametrize("answers", [True, False])
async def test_baresip_transfers_blindly(board: Switchboard, baresip: Baresip, answers: bool) -> None:
    anna, carl = await board.phone(), await board.phone()
    one, _ = await called_by_desk(board, anna, baresip, "serve")
    assert await hears_the_phone(board, anna)
    await asyncio.to_thread(baresip.command, "transfer", carl.uri)
    third = await carl.called()
    assert third.invite_message is not None and "phone@" in third.invite_message.header("Referred-By")
    if answers:
        await carl.accept(third)
        await asyncio.to_thread(baresip.event, "CALL_CLOSED")
        await board.hear({anna: {carl}, carl: {anna}})
        await board.hang_up(one, third)
        return
    third.reply(third.invite_message, 486)
    await third.next("ACK")
    # baresip 1.0 tells its user of the failure, and hangs up
    await one.taken_off()
    await asyncio.to_thread(wait_until, lambda: "transfer failed: 486" in baresip.log, "baresip says so")
    await board.all_gone()


async def test_baresip_transfers_with_consultation(board: Switchboard, baresip: Baresip) -> None:
    """A second call puts the first one on hold; then a REFER in the first one names the second (RFC 5589 §7.1)."""
    anna, carl = await board.phone(), await board.phone()
    one, first = await called_by_desk(board, anna, baresip, "serve")
    held = asyncio.ensure_future(anna.take_offer(one, "recvonly"))
    third, second = await called_by_desk(board, carl, baresip, "serve")
    assert direction_of((await held).body.decode()) == "sendonly"
    assert await hears_the_phone(board, carl)
    await asyncio.to_thread(baresip.command, "callfind", first)
    record = await record_of(board, second)
    replaces = f"{second};to-tag={record['ltag']};from-tag={record['rtag']}"
    await asyncio.to_thread(baresip.command, "transfer", f"{carl.uri}?Replaces={quote(replaces, safe='')}")
    resumed = await anna.take_offer(one)
    assert direction_of(resumed.body.decode()) == "sendrecv", "who held her is gone"
    for _ in range(2):
        await asyncio.to_thread(baresip.event, "CALL_CLOSED")
    await board.hear({anna: {carl}, carl: {anna}})
    await board.hang_up(one, third)


async def record_of(board: Switchboard, call_id: str) -> dict[str, str]:
    """The record of a call that baresip took."""
    (id,) = await asyncio.to_thread(board.server.xml.listByFilter, ["callid", call_id])
    return dict(board.server.xml.di("monitoring", "get", id)[0])


async def test_baresip_is_transferred(board: Switchboard, baresip: Baresip) -> None:
    """The desk passes the REFER on; baresip (1.0 knows no brackets there) calls the target itself and tells how it went."""
    anna, carl = await board.phone(), await board.phone()
    one, _ = await called_by_desk(board, anna, baresip, "")
    carl.sip.server_port = baresip.sip_port  # its call comes straight, not by the server
    one.send_request("REFER", headers=f"Refer-To: {carl.uri}\r\nReferred-By: <sip:anna@127.0.0.1>\r\n")
    assert (await one.next(*range(200, 700))).code == 202
    lines = []
    while not lines or "100" in lines[-1] or "180" in lines[-1]:
        notify = await one.next("NOTIFY")
        assert notify.content_type.startswith("message/sipfrag")
        one.reply(notify, 200)
        lines.append(notify.body.decode().split("\r\n")[0])
        if len(lines) == 1:
            third = await carl.called()
            await carl.accept(third)
    assert lines[-1].startswith("SIP/2.0 200")
    assert await one.request("BYE") == 200
    assert await hears_the_phone(board, carl)
    await asyncio.to_thread(baresip.command, "hangup")
    await third.taken_off()
    await board.all_gone()
