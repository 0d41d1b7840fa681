# SPDX-License-Identifier: GPL-2.0-or-later
"""click2dial and callback with real phones: who is called with which credentials, who hears what and whom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from di.spoken.tones import melody
from tests.support import tones
from tests.support.ports import free_port
from tests.support.server import Server
from tests.support.sip_peer import PeerCall, UdpPeer
from tests.support.switchboard import Switchboard, Talker

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def gateway_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, gateway_port: int) -> Iterator[Server]:
    files = {
        "app_mapping.conf": "^sip:c2d=>click2dial\n^sip:=>callback\n",
        "callback.conf": f'accept_caller_re="^sip:493[0-9]+@"\ngw_user=us\ngw_domain=127.0.0.1:{gateway_port}\nauth_pwd=secret\n'
        "cb_wait=0\nwelcome_prompt=prompts/enter_number.wav\ndigits_dir=prompts/\nbusy_prompt=prompts/busy.wav\n",
    }
    plugins = "monitoring;di_dial;click2dial;callback;xmlrpc2di;web"
    with Server(tmp_path_factory.mktemp("server"), files, "", plugins) as running:
        yield running
    assert "Traceback" not in running.log and "secret" not in running.log, running.log


async def challenged(phone: Talker, call: PeerCall, code: int) -> None:
    """Ask who is calling; the same call comes again and says so."""
    assert call.invite_message is not None
    name = "WWW" if code == 401 else "Proxy"
    call.reply(call.invite_message, code, headers=f'{name}-Authenticate: Digest realm="here", nonce="n", qop="auth"\r\n')
    await call.next("ACK")
    again = await call.next_offer()  # not the first one once more, which the answer may have crossed
    given = again.header("Authorization" if code == 401 else "Proxy-Authorization")
    assert 'username="user"' in given or 'username="us"' in given
    call.invite_message = again
    phone.hears_of(again)
    call.reply(again, 100)


async def hears_prompt(board: Switchboard, phone: Talker, name: str) -> None:
    """Wait until the phone has heard all tones of a prompt."""
    wanted = {float(hz) for hz, _ in melody(name) if hz}
    heard: set[float] = set()
    for _ in range(60):
        phone.rtp.forget()
        await board.run(200)
        heard |= tones.heard(phone.rtp.heard(), sorted(wanted))
        if heard == wanted:
            return
    raise AssertionError(f"{phone.hz} heard {heard} of {wanted}\n{board.server.log[-3000:]}")


async def click(board: Switchboard, anna: Talker, ben: Talker) -> str:
    """Order the two calls; the first one's tag."""
    order = ("click2dial", "connecting", "sip:shop@h.example", "sip:anna@h.example", anna.uri, ben.uri, "here", "user", "secret")
    (tag,) = await asyncio.to_thread(board.server.json, "di_dial.dial_auth_b2b", *order)
    return str(tag)


@pytest.mark.parametrize("by_callee", [False, True])
async def test_two_are_called_and_connected(board: Switchboard, by_callee: bool) -> None:
    anna, ben = await board.phone(), await board.phone()
    tag = await click(board, anna, ben)
    one = await anna.called()
    await challenged(anna, one, 407)
    await anna.accept(one)
    await hears_prompt(board, anna, "connecting")
    two = await ben.called()
    await challenged(ben, two, 401)
    assert two.invite_message is not None and two.invite_message.header("From").startswith("<sip:anna@h.example>")
    two.reply(two.invite_message, 180)
    await ben.accept(two)
    await board.hear({anna: {ben}, ben: {anna}})
    record = board.server.xml.di("monitoring", "get", tag)[0]
    assert (record["result"], record["callee_result"], record["callee"]) == ("answered", "answered", ben.uri)
    await board.hang_up(*((two, one) if by_callee else (one, two)))


async def test_the_second_one_is_busy(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    await click(board, anna, ben)
    one = await anna.called()
    await anna.accept(one)
    await hears_prompt(board, anna, "connecting")
    two = await ben.called()
    await two.refuse(486)
    await hears_prompt(board, anna, "busy")
    await one.taken_off()


async def behind_gateway(board: Switchboard, port: int) -> tuple[Talker, Talker]:
    """Two phones that are called by one gateway."""
    one, two = await board.phone(), await board.phone()
    for phone in (one, two):
        phone.sip.close()
    one.sip = two.sip = await UdpPeer.open(board.server.sip_port, port=port)
    return one, two


async def ask_for_call_back(phone: Talker) -> str:
    """Call in; the reply's first line."""
    call = phone.sip.call("us")
    call.local = f"<sip:49301@127.0.0.1>;tag={call.call_id.partition('@')[0]}"
    call.send_request("INVITE", phone.description())
    reply = await call.next(*range(300, 700))
    call.send_request("ACK", cseq=call.cseq, branch=call.branch)
    return reply.start_line


def calls_back(board: Switchboard) -> list[str]:
    """What the log says of calls that the application has placed."""
    return [line for line in board.server.log.splitlines() if "audit dialout way=callback" in line]


async def press(call: PeerCall, keys: str) -> None:
    for key in keys:
        assert await call.request("INFO", "application/dtmf-relay", f"Signal={key}\r\nDuration=80\r\n") == 200


async def test_a_caller_is_called_back_says_a_number_and_talks(board: Switchboard, gateway_port: int) -> None:
    anna, ben = await behind_gateway(board, gateway_port)
    assert await ask_for_call_back(anna) == "SIP/2.0 486 Busy here (call you back l8r)"
    one = await anna.called()
    assert (
        one.invite_message is not None and one.invite_message.start_line == f"INVITE sip:49301@127.0.0.1:{gateway_port} SIP/2.0"
    )
    assert one.invite_message.header("X-Extra") == "fancy"
    await challenged(anna, one, 407)
    await anna.accept(one)
    await hears_prompt(board, anna, "enter_number")
    await press(one, "#")
    await hears_prompt(board, anna, "enter_number")
    await press(one, "42#")
    await hears_prompt(board, anna, "4")
    await hears_prompt(board, anna, "2")
    two = await ben.called()
    assert two.invite_message is not None and two.invite_message.start_line == f"INVITE sip:42@127.0.0.1:{gateway_port} SIP/2.0"
    await ben.accept(two)
    await board.hear({anna: {ben}, ben: {anna}})
    await board.hang_up(two, one)


async def test_a_busy_number_is_said_to_be(board: Switchboard, gateway_port: int) -> None:
    anna, ben = await behind_gateway(board, gateway_port)
    assert "486" in await ask_for_call_back(anna)
    one = await anna.called()
    await anna.accept(one)
    await press(one, "43*")
    two = await ben.called()
    await two.refuse(486)
    await hears_prompt(board, anna, "busy")
    await one.taken_off()


async def test_strangers_are_declined(board: Switchboard, gateway_port: int) -> None:
    """Nobody is called for them: who may be called back asks after them, and his is the only call that is placed."""
    stranger = await board.phone()
    before = len(calls_back(board))
    for user, code in (("us", 603), ("c2d", 606)):
        await stranger.answered(stranger.invite(user=user), code)
    anna, _ = await behind_gateway(board, gateway_port)
    assert "486" in await ask_for_call_back(anna)
    await (await anna.called()).refuse(486)
    (placed,) = calls_back(board)[before:]
    assert "49301" in placed
