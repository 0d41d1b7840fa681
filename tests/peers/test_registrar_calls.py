# SPDX-License-Identifier: GPL-2.0-or-later
"""Phones that register, and calls that find them: who may, for how long, behind NAT, after a restart; baresip as one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from interfaces.sip.message import Message
from tests.support.baresip import PCMU, Baresip
from tests.support.server import WITH_APPS, Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer

pytestmark = pytest.mark.peers

PLUGINS = "monitoring;desk;cc_registrar;call_control;xmlrpc2di;web"
TRUSTED = "127.0.0.2"
WITH_SBC = "monitoring;dsm;cc_registrar;cc_ctl;cc_dsm;call_control;sbc;xmlrpc2di;web"
LEG = """
import(mod_sbc);
initial state BEGUN;
state TALKS;
transition up BEGUN - legStateChange(#SBCCallStatus == Connected) -> TALKS;
transition enough TALKS - event(#what == enough) / sbc.stopCall(enough) -> TALKS;
"""
"""What cc_dsm runs in each leg."""
HOME = {
    "dsm.conf": "diag_path=dsm/\nload_diags=leg\nload_mods=mod_sbc\n",
    "dsm/leg.dsm": LEG,
    "app_mapping.conf": "^sip:=>sbc\n",
    "sbc.conf": "profiles=home\nactive_profile=home\nstrangers=route\nstrangers_requests=REGISTER,MESSAGE\n",
    "call_control.conf": "",
    "home.sbcprofile.conf": "call_control=where,mark,script\nwhere_module=cc_registrar\nscript_module=cc_dsm\nscript_start_diag=leg\n"
    'mark_module=ctl\nmark_From="<sip:home@here.example>"\n',
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("registrar")
    (folder / "users").write_text("# who may register\nalice:wonder:land\nbob:builder\n")
    files = {
        "app_mapping.conf": "^sip:=>desk\n",
        "call_control.conf": "call_control=where\ndirection=in\nwhere_module=cc_registrar\n",
        "cc_registrar.conf": f"file={folder}/users.db\nusers_file={folder}/users\nrealm=here\nmin_expires=30\nmax_contacts=2\n",
    }
    with Server(folder, files, f"trusted_peers={TRUSTED}\n", PLUGINS, program=WITH_APPS) as server:
        yield server
    assert "Traceback" not in server.log, server.log


async def register(peer: UdpPeer, user: str, contact: str = "", headers: str = "", call: PeerCall | None = None) -> Message:
    """Send a REGISTER without credentials; the reply."""
    call = call or peer.call(user)
    if contact:
        call.contact = contact
    return await call.exchange("REGISTER", headers=headers)


def desk(caller: UdpPeer, user: str) -> PeerCall:
    """A call that the desk connects as the controls say."""
    return caller.invite(user, headers="X-Desk: invite relay\r\nX-Target: sip:nobody@127.0.0.1:9\r\n")


async def reached(caller: UdpPeer, user: str, callee: UdpPeer) -> Message:
    """A call to a user arrives at a phone; the INVITE that it got."""
    call = desk(caller, user)
    second = await asyncio.wait_for(callee.incoming.get(), 30)
    await second.accept()
    assert await call.final() == 200
    call.ack()
    assert await call.bye() == 200
    await second.next("BYE")
    assert second.invite_message is not None
    return second.invite_message


async def test_a_proxys_phone_registers_is_called_where_it_came_from_and_leaves(server: Server) -> None:
    caller, phone = await UdpPeer.open(server.sip_port), await UdpPeer.open(server.sip_port, ip=TRUSTED)
    assert await desk(caller, "carol").final() == 404
    answer = await register(phone, "carol", "<sip:carol@192.0.2.7:5070>;expires=100")
    assert answer.code == 200 and answer.header("Contact") == "<sip:carol@192.0.2.7:5070>;expires=100"
    (listed,) = server.json("cc_registrar.list")
    assert (
        listed["aor"] == "carol@127.0.0.1" and listed["source"] == f"{TRUSTED}:{phone.port}" and 90 < listed["expires_s"] <= 100
    )
    invite = await reached(caller, "carol", phone)
    assert invite.request_uri == "sip:carol@192.0.2.7:5070"
    answer = await register(phone, "carol", "*", "Expires: 0\r\n")
    assert answer.code == 200 and answer.header("Contact") == ""
    assert await desk(caller, "carol").final() == 404
    for peer in (caller, phone):
        peer.close()


async def test_what_a_registrar_refuses(server: Server) -> None:
    phone, stranger = await UdpPeer.open(server.sip_port, ip=TRUSTED), await UdpPeer.open(server.sip_port)
    brief = await register(phone, "dora", "<sip:dora@192.0.2.7>;expires=5")
    assert brief.code == 423 and brief.header("Min-Expires") == "30"
    assert (await register(phone, "dora", "*")).code == 400
    assert (await register(phone, "dora", "<tel:123>")).code == 400
    assert (await register(phone, "dora", "<sip:a@h>, <sip:b@h>, <sip:c@h>")).code == 403
    assert (
        (await register(phone, "dora", "<sip:dora@192.0.2.7>", "Expires: 999999\r\n")).header("Contact").endswith("expires=7200")
    )
    challenged = await register(stranger, "dora", "<sip:dora@192.0.2.66>")
    assert challenged.code == 401 and 'realm="here"' in challenged.header("WWW-Authenticate")
    forged = 'Authorization: Digest username="bob", realm="here", nonce="0", uri="sip:h", response="0"\r\n'
    assert (await register(stranger, "dora", "<sip:dora@192.0.2.66>", forged)).code == 401
    assert [one["contact"] for one in server.json("cc_registrar.list")] == ["sip:dora@192.0.2.7"]
    assert server.json("cc_registrar.remove", "dora@127.0.0.1") == [200, "OK", 1]
    for peer in (phone, stranger):
        peer.close()


@pytest.mark.parametrize(
    ("account", "password", "user", "wanted"),
    [
        ("alice", "wonder:land", "alice", "REGISTER_OK"),
        ("alice", "no", "alice", "REGISTER_FAIL"),
        ("bob", "builder", "alice", "REGISTER_FAIL"),
    ],
)
async def test_baresip_registers_with_its_password_and_is_called(
    server: Server, tmp_path: Path, account: str, password: str, user: str, wanted: str
) -> None:
    with Baresip(tmp_path / "phone", PCMU, np.zeros(8000, np.int16)) as phone:
        await asyncio.to_thread(phone.start)
        line = f"<sip:{user}@127.0.0.1:{server.sip_port}>;auth_user={account};auth_pass={password};regint=60"
        await asyncio.to_thread(phone.command, "uanew", line)
        await asyncio.to_thread(phone.event, wanted, 30)
        if wanted == "REGISTER_FAIL":
            assert server.json("cc_registrar.list") == []
            return
        caller = await UdpPeer.open(server.sip_port)
        call = desk(caller, user)
        await asyncio.to_thread(phone.event, "CALL_INCOMING", 30)
        await asyncio.to_thread(phone.command, "accept")
        assert await call.final() == 200
        call.ack()
        assert await call.bye() == 200
        await asyncio.to_thread(phone.event, "CALL_CLOSED", 30)
        (listed,) = server.json("cc_registrar.list")
        assert "baresip" in listed["user_agent"] and listed["source"] == f"127.0.0.1:{phone.sip_port}"
        assert server.json("cc_registrar.remove", listed["aor"]) == [200, "OK", 1]
        assert await desk(caller, user).final() == 404
        caller.close()


@pytest.mark.timeout(300)
async def test_registrations_survive_a_restart_and_an_sbc_finds_them(server: Server) -> None:
    """The second life has an sbc, whose profile asks the registrar about calls and about what comes outside calls."""
    phone = await UdpPeer.open(server.sip_port, ip=TRUSTED)
    assert (await register(phone, "erna", "<sip:erna@192.0.2.7>")).code == 200
    assert server.process is not None
    server.process.kill()
    await asyncio.to_thread(server.wait_status)
    server.forget_log()
    sems = server.etc / "sems.conf"
    sems.write_text(sems.read_text().replace(f"load_plugins={PLUGINS}", f"load_plugins={WITH_SBC}"))
    for name, text in HOME.items():
        (server.etc / name).write_text(text)
    await asyncio.to_thread(server.start)
    caller = await UdpPeer.open(server.sip_port, ip="127.0.0.3")
    assert (await reached(caller, "erna", phone)).request_uri == "sip:erna@192.0.2.7"
    # a script in each leg
    call = caller.invite("erna")
    second = await asyncio.wait_for(phone.incoming.get(), 30)
    await second.accept()
    assert await call.final() == 200
    call.ack()
    legs = await asyncio.to_thread(
        wait_until, lambda: len(found := server.xml.listByFilter(["dsm_state", "TALKS"])) == 2 and found, "both legs talk"
    )
    assert server.json("dsm.postDSMEvent", legs[0], [["what", "enough"]]) == [200, "OK"]
    await asyncio.gather(call.next("BYE"), second.next("BYE"))
    # outside calls
    sent = caller.call("erna")
    sent.send_request("MESSAGE", "hello", "text/plain")
    came = await phone.take_outside()
    assert came.request_message.request_uri == "sip:erna@192.0.2.7"
    assert "sip:home@here.example" in came.request_message.header("From")
    came.answer(202)
    assert (await sent.next(202)).code == 202
    assert (await caller.call("nobody").exchange("MESSAGE", "text/plain", "hello")).code == 404
    answer = await register(phone, "fred", "<sip:fred@192.0.2.8>")
    assert answer.code == 200 and "fred@192.0.2.8" in answer.header("Contact")
    assert (await register(caller, "fred", "<sip:fred@192.0.2.66>")).code == 401
    assert sorted(one["aor"] for one in server.json("cc_registrar.list")) == ["erna@127.0.0.1", "fred@127.0.0.1"]
    for peer in (caller, phone):
        peer.close()
