# SPDX-License-Identifier: GPL-2.0-or-later
"""The example applications in real calls: SEMS's calling card, pin_collect and conf_auth."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from typing import Any
from xmlrpc.server import SimpleXMLRPCServer

import pytest

from tests.support.ports import free_port
from tests.support.server import ROOT, Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer
from tests.support.switchboard import Switchboard, Talker
from tests.support.tones import tone, write_wav

pytestmark = pytest.mark.peers

PROMPTS = "initial_announcement incorrect_pin out_of_credit dialing dial_failed enter_number welcome pin fail auth_fail greeting hint wrong"


class Judge:
    """The XML-RPC server of the last two."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.conference = ""
        self._server = SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False)
        self._server.register_function(self._authorize, "authorize")
        self._server.register_function(self._conference, "AuthorizeConference")
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _authorize(self, user: str, pin: str) -> str:
        self.asked.append((user, pin))
        return "OK" if pin == "42" else "NO"

    def _conference(self, remote: str, local: str, pin: str) -> list[Any]:
        self.asked.append((remote, local, pin))
        return ["OK", "conference", self.conference, 0] if pin == "42" else ["FAIL", "wrong.wav"]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    judge = Judge()
    yield judge
    judge.close()


@pytest.fixture(scope="module")
def callee_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, judge: Judge, callee_port: int) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "clients" / "examples" / "apps", folder / "apps", ignore=shutil.ignore_patterns("__*"))
    for name in PROMPTS.split():
        write_wav(folder / "apps" / f"{name}.wav", tone(500, 300))
    (folder / "apps" / "mycc.conf").write_text(f"connect_suffix=@127.0.0.1:{callee_port}\n")
    (folder / "apps" / "pin_collect.conf").write_text(f"auth_mode=XMLRPC\nauth_xmlrpc_url={judge.url}\n")
    (folder / "apps" / "conf_auth.conf").write_text(f"url={judge.url}\n")
    files = {"apps.conf": f"script_path={folder}/apps\n", "app_mapping.conf": "^sip:(mycc|pin_collect|conf_auth)=>\\1\n"}
    with Server(folder, files, plugins="monitoring;cc_acc;apps;xmlrpc2di;web") as running:
        yield running
    assert "Traceback" not in running.log, running.log


async def press(call: PeerCall, keys: str) -> None:
    for key in keys:
        assert await call.request("INFO", "application/dtmf-relay", f"Signal={key}\r\nDuration=160\r\n") == 200


async def up(board: Switchboard, user: str) -> tuple[Talker, PeerCall]:
    phone = await board.phone()
    call = phone.invite(user=user)
    await phone.answered(call)
    return phone, call


async def test_the_calling_card_charges_what_was_used_and_ends_with_the_credit(
    board: Switchboard, server: Server, callee_port: int
) -> None:
    callee = await UdpPeer.open(server.sip_port, port=callee_port)
    server.json("cc_acc.setCredit", "1234", 5)
    _, call = await up(board, "mycc")
    await press(call, "99#")
    await press(call, "1234*")
    await board.logged(call, "account", lambda text: text == "1234")
    await press(call, "77#")
    other = await callee.take_invite()
    assert other.invite_message is not None and "sip:77@127.0.0.1" in other.invite_message.start_line
    await other.accept()
    assert await other.bye() == 200
    await asyncio.to_thread(wait_until, lambda: server.json("cc_acc.getCredit", "1234")[0] < 5, "it is charged")
    assert server.json("cc_acc.getCredit", "1234")[0] > 0
    await press(call, "78#")
    again = await callee.take_invite()
    await again.accept()
    await again.taken_off()  # the credit is used up
    await call.next("BYE")
    await asyncio.to_thread(wait_until, lambda: server.json("cc_acc.getCredit", "1234") == [0], "all is charged")
    callee.close()


async def test_a_pin_that_the_server_takes_leads_on(board: Switchboard, judge: Judge) -> None:
    _, call = await up(board, "pin_collect")
    await press(call, "7*")
    await asyncio.to_thread(wait_until, lambda: ("pin_collect", "7") in judge.asked, "the wrong one is judged")
    await press(call, "42*")
    refer = await call.next("REFER", patience_s=60)
    assert any(name.lower() == "refer-to" and "sip:pin_collect@" in value for name, value in refer.headers)
    call.reply(refer, 202)
    await board.logged(call, "transfer", lambda text: text == "202")
    assert await call.bye() == 200


async def test_a_pin_opens_a_conference_elsewhere(board: Switchboard, judge: Judge) -> None:
    room = await board.phone()
    judge.conference = room.uri
    phone, call = await up(board, "conf_auth")
    await press(call, "42*")
    other = await room.called()
    await room.accept(other)
    await board.hear({phone: {room}, room: {phone}})
    assert await other.bye() == 200
    await call.next("BYE")
