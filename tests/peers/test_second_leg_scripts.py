# SPDX-License-Identifier: GPL-2.0-or-later
"""Second legs of state diagrams and of the conference's keypad, in real calls: relayed INVITEs, requests kept here, a caller who stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support import tones
from tests.support.server import Server
from tests.support.sip_peer import PeerCall
from tests.support.switchboard import Switchboard, Talker

pytestmark = pytest.mark.peers
RINGTONE_HZ = 750.0
SCRIPT = """
import(mod_dlg);
initial state A;
state TALK;
state ALONE;
transition "relay" A - invite; test($mode == relay) / {
  set($b2b_relayed_invite=true); sets($p=<$(callee)>); B2B.connectCallee($p, $callee);
} -> A;
transition "call" A - sessionStart; test($mode == call) / { sets($p=<$(callee)>); B2B.connectCallee($p, $callee); } -> A;
transition "up" A - B2B.otherReply(#code == 200) -> TALK;
transition "keep" TALK - event(#do == keep) / { B2B.setRelayOnly(false); } -> TALK;
transition "pass" TALK - event(#do == pass) / B2B.setRelayOnly(true) -> TALK;
transition "offer" TALK - event(#do == offer) / { B2B.sendReinvite(true, "X-Why: offer"); } -> TALK;
transition "stays" TALK - B2B.otherBye / {
  set(#processed=true); dlg.relayReply(200, OK); B2B.setRelayOnly(false); B2B.sendReinvite(true, "X-Why: alone");
  set($t.length=0); set($t.on=1000); set($t.f=750); playRingtone($t, false); connectMedia();
} -> ALONE;
transition "ask" ALONE - event(#do == ask) / B2B.sendReinvite(false) -> ALONE;
transition "gone" (A, TALK, ALONE) - hangup / { B2B.terminateOtherLeg(); stop(false) } -> END;
state END;
"""
FILES = {
    "app_mapping.conf": "^sip:conf=>conference\n^sip:=>legs\n",
    "dsm.conf": "diag_path=dsm/\nload_diags=legs\nregister_apps=legs\nset_param_variables=yes\n",
    "dsm/legs.dsm": SCRIPT,
    "conference.conf": "dialout_suffix=@configured.example\n",
}


@pytest.fixture(scope="module")
def script_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), FILES, "", "monitoring;conference;dsm;xmlrpc2di;web") as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest_asyncio.fixture
async def calls(script_server: Server) -> AsyncIterator[Switchboard]:
    board = Switchboard(script_server)
    yield board
    await board.all_gone()
    board.close()


def call(caller: Talker, callee: Talker, mode: str) -> PeerCall:
    return caller.invite(f"P-App-Param: mode={mode};callee={callee.uri}\r\n", user="script")


async def both_up(board: Switchboard, caller: Talker, callee: Talker, mode: str = "call") -> tuple[PeerCall, PeerCall]:
    one = call(caller, callee, mode)
    if mode == "call":
        await caller.answered(one)
    two = await callee.called()
    await callee.accept(two)
    if mode == "relay":
        await caller.answered(one)
    await board.logged(one, "dsm_state", lambda text: text == "TALK")
    return one, two


async def post(board: Switchboard, one: PeerCall, what: str) -> None:
    (id,) = await asyncio.to_thread(board.server.xml.listByFilter, ["callid", one.call_id])
    assert board.server.xml.postDSMEvent(id, [["do", what]]) == [200, "OK"]


async def test_a_script_relays_the_invite(calls: Switchboard) -> None:
    anna, ben = await calls.phone(), await calls.phone()
    one = call(anna, ben, "relay")
    two = await ben.called()
    assert two.invite_message is not None
    two.reply(two.invite_message, 180)
    await one.next(180)
    await ben.accept(two)
    await anna.answered(one)
    await calls.hear({anna: {ben}, ben: {anna}})
    await calls.hang_up(one, two)


async def test_a_refused_second_leg_refuses_a_relayed_call(calls: Switchboard) -> None:
    anna, ben = await calls.phone(), await calls.phone()
    one = call(anna, ben, "relay")
    two = await ben.called()
    assert two.invite_message is not None
    two.reply(two.invite_message, 486)
    await two.next("ACK")
    await anna.answered(one, 486)


@pytest.mark.parametrize("mode", ["call", "relay"])
async def test_requests_pass_until_the_script_keeps_them(calls: Switchboard, mode: str) -> None:
    anna, ben = await calls.phone(), await calls.phone()
    one, two = await both_up(calls, anna, ben, mode)
    one.send_request("MESSAGE", "first", "text/plain")
    two.reply(await two.next("MESSAGE"), 202)
    assert await one.final() == 202
    await post(calls, one, "keep")
    assert await one.request("MESSAGE", body="second") == 501
    await post(calls, one, "pass")
    two.send_request("MESSAGE", "third", "text/plain")
    asked = await one.next("MESSAGE")
    assert asked.body == b"third"
    one.reply(asked, 200)
    assert await two.final() == 200
    assert await one.bye() == 200
    await two.taken_off()


async def test_a_caller_who_stays_gets_an_offer_and_the_script_s_audio(calls: Switchboard) -> None:
    anna, ben = await calls.phone(), await calls.phone()
    one, two = await both_up(calls, anna, ben)
    await calls.hear({anna: {ben}, ben: {anna}})
    two.send_request("BYE")
    offer = await anna.take_offer(one)
    assert offer.header("X-Why") == "alone" and offer.body
    assert await two.final() == 200
    for _ in range(20):
        await calls.run(200)
        anna.rtp.forget()
        await calls.run(600)
        if tones.heard(anna.rtp.heard(), [RINGTONE_HZ, ben.hz]) == {RINGTONE_HZ}:
            break
    assert tones.heard(anna.rtp.heard(), [RINGTONE_HZ, ben.hz]) == {RINGTONE_HZ}
    await post(calls, one, "ask")
    asked = await one.next("INVITE")
    assert not asked.body, "without its own SDP the server lets the peer offer"
    one.reply(asked, 200, anna.description())
    assert (await one.next("ACK")).body
    assert await one.bye() == 200


async def test_an_offer_of_the_script_s_has_its_headers(calls: Switchboard) -> None:
    anna, ben = await calls.phone(), await calls.phone()
    one, two = await both_up(calls, anna, ben)
    await post(calls, one, "offer")
    offer = await anna.take_offer(one)
    assert offer.header("X-Why") == "offer" and offer.body
    assert await two.bye() == 200
    await anna.take_offer(one)
    assert await one.bye() == 200


async def test_the_conference_s_keypad_dials_brings_in_and_drops(calls: Switchboard) -> None:
    anna, ben, carl = [await calls.phone() for _ in range(3)]
    waiting = carl.invite(user="confblue")
    await carl.answered(waiting)
    one = anna.invite(f"P-App-Param: Dialout-Suffix=@127.0.0.1:{ben.sip.port}\r\n", user="confblue")
    await anna.answered(one)
    await calls.hear({anna: {carl}, carl: {anna}})

    async def press(keys: str) -> None:
        for key in keys:
            anna.rtp.press("0123456789*#".index(key))
            await calls.run(300)

    await press("#*55*")
    two = await ben.called()
    assert two.invite_message is not None and "sip:55@127.0.0.1" in two.invite_message.start_line
    await ben.accept(two)
    await calls.hear({anna: {ben}, ben: {anna}, carl: set()})
    await press("*")
    await calls.hear({anna: {ben, carl}, ben: {anna, carl}, carl: {anna, ben}})
    in_the_room = ben.rtp.remote
    await press("#*56*")
    three = await ben.called()
    await ben.accept(three)
    ended = asyncio.ensure_future(three.taken_off())
    await press("#")
    await ended
    ben.rtp.remote = in_the_room  # the second call took his audio along
    await calls.hear({anna: {ben, carl}, carl: {anna, ben}})
    for hanging in (two, waiting, one):
        assert await hanging.bye() == 200
