# SPDX-License-Identifier: GPL-2.0-or-later
"""Real calls against Debian's FreeRADIUS: credit as Session-Timeout, accounting in its table, Disconnect, servers that are gone."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest
from pyrad.packet import CoAPacket, CoARequest, DisconnectACK, DisconnectNAK, DisconnectRequest

from di.modules.cc_radius.dictionary import DICTIONARY
from tests.support.credit import RTP_PORTS_OF_MANY, TROUBLES, accounts, judge, place
from tests.support.freeradius import PASSWORD, SECRET, FreeRadius, Meddler, RadiusPurse
from tests.support.ports import free_port, free_ports
from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer
from tests.support.sizes import LONG

pytestmark = pytest.mark.peers

PLUGINS = "monitoring;echo;cc_radius;call_control;xmlrpc2di;web"
CONTROL = f"""\
call_control=rad
rad_module=cc_radius
rad_uuid=$H(X-Account)
rad_password={PASSWORD}
deadline_ms=5000
on_unreachable="refuse,go_on 1"
"""
NAS = "box1"


@pytest.fixture(scope="module")
def radius() -> Iterator[FreeRadius]:
    with FreeRadius() as running:
        yield running


@pytest.fixture(scope="module")
def meddler(radius: FreeRadius) -> Iterator[Meddler]:
    between = Meddler(radius)
    yield between
    between.close()


@pytest.fixture(scope="module")
def disconnect_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, radius: FreeRadius, meddler: Meddler, disconnect_port: int
) -> Iterator[Server]:
    """Its first server does not exist: each exchange after the first knows that."""
    folder = tmp_path_factory.mktemp("radius")
    radius_conf = (
        f"servers=127.0.0.1:{free_ports(2)},127.0.0.1:{meddler.port}\nsecret_file={radius.folder}/secret\n"
        f"timeout_ms=800\nattempts=2\nnas_identifier={NAS}\ndisconnect_port={disconnect_port}\n"
        f"interim_interval={6 if LONG else 1}\nslice={8 if LONG else 3}\n"
        f"file={folder}/radius.db\n"
    )
    files = {"call_control.conf": CONTROL, "cc_radius.conf": radius_conf, "app_mapping.conf": "^sip:echo=>echo\n"}
    with Server(folder, files, RTP_PORTS_OF_MANY, PLUGINS) as running:
        yield running
    assert "Traceback" not in running.log, running.log
    assert SECRET not in running.log and PASSWORD not in running.log


async def up(peer: UdpPeer, account: str) -> PeerCall:
    call = peer.invite("echo", headers=f"X-Account: {account}\r\n")
    assert await call.final() == 200
    call.ack()
    return call


async def stopped(radius: FreeRadius, user: str, count: int = 1) -> dict[str, object]:
    await asyncio.to_thread(wait_until, lambda: radius.closed(user) == count, f"the Stop of {user}")
    return radius.sessions(user)[-1]


def ask(port: int, code: int, secret: bytes = SECRET.encode(), **attributes: object) -> CoAPacket | None:
    """Send a Disconnect- or CoA-Request as a RADIUS server would; its answer. With another secret there is none."""
    request = CoAPacket(code=code, secret=secret, dict=DICTIONARY, **attributes)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(30.0 if secret == SECRET.encode() else 1.0)
        sock.connect(("127.0.0.1", port))
        sock.send(request.RequestPacket())
        try:
            data = sock.recv(4096)
        except TimeoutError:
            return None
    reply = request.CreateReply(packet=data)
    assert request.VerifyReply(reply, data)
    return reply


async def test_a_call_with_credit_is_accounted_and_one_without_is_rejected(server: Server, radius: FreeRadius) -> None:
    radius.give("anna", 100)
    radius.give("poor", 0)
    peer = await UdpPeer.open(server.sip_port)
    for user in ("poor", "nobody"):
        refused = peer.invite("echo", headers=f"X-Account: {user}\r\n")
        assert await refused.final() == 403, user
    call = await up(peer, "anna")
    await asyncio.to_thread(wait_until, lambda: radius.used("anna") >= 1, "an Interim-Update")
    assert await call.bye() == 200
    row = await stopped(radius, "anna")
    assert row["connectinfo_start"] == row["connectinfo_stop"] == "anna-class", "the test's server notes Class there"
    assert (row["calledstationid"], row["callingstationid"], row["acctterminatecause"]) == ("echo", "peer", "User-Request")
    assert str(row["acctsessionid"]).endswith("/rad") and int(str(row["acctsessiontime"])) >= 1
    assert not radius.sessions("poor")
    peer.close()


@pytest.mark.timeout(600)
async def test_prepaid_calls_end_when_the_credit_does_and_the_balances_add_up(
    server: Server, radius: FreeRadius, meddler: Meddler
) -> None:
    """Slices of 3 s (8 at full size), each after an Interim-Update; FreeRADIUS's sqlcounter says what is left."""
    purse = RadiusPurse(radius, meddler)
    calls = await place(server.sip_port, accounts("rad", 3, (2, 3)), purse, 20, TROUBLES if LONG else ())
    print(await judge(calls, purse))
    ended = [call for call in calls if call.code == 200 and not call.hang_up_s and not call.troubled]
    assert {str(radius.sessions(call.account)[0]["acctterminatecause"]) for call in ended} == {"Session-Timeout"}


async def test_servers_disconnect_and_shorten_calls(server: Server, radius: FreeRadius, disconnect_port: int) -> None:
    radius.give("carl", 100)
    peer = await UdpPeer.open(server.sip_port)
    call = await up(peer, "carl")
    await asyncio.to_thread(wait_until, lambda: radius.sessions("carl"), "the Start")
    id = radius.sessions("carl")[0]["acctsessionid"]

    async def asked(code: int, secret: bytes = SECRET.encode(), **attributes: object) -> CoAPacket | None:
        return await asyncio.to_thread(ask, disconnect_port, code, secret, **attributes)

    assert await asked(DisconnectRequest, b"another secret", Acct_Session_Id=id) is None
    for attributes, cause in (
        ({"Acct_Session_Id": "none"}, 503), ({}, 402), ({"Acct_Session_Id": id, "User_Name": "anna"}, 503),
        ({"Acct_Session_Id": id, "NAS_Identifier": "box2"}, 403), ({"Acct_Session_Id": id, "Session_Timeout": 5}, 401),
    ):  # fmt: skip
        nak = await asked(DisconnectRequest, **attributes)
        assert nak is not None and nak.code == DisconnectNAK and nak["Error-Cause"] == [cause], attributes
    changed = await asked(CoARequest, Acct_Session_Id=id, Session_Timeout=60)
    assert changed is not None and changed.code == 44
    listed = server.json("control.list")
    assert len(listed) == 1 and 50 < listed[0]["left_s"] <= 60
    done = await asked(DisconnectRequest, User_Name="carl", NAS_Identifier=NAS, Event_Timestamp=int(time.time()))
    assert done is not None and done.code == DisconnectACK
    call.reply(await call.next("BYE"), 200)
    assert (await stopped(radius, "carl"))["acctterminatecause"] == "Admin-Reset"
    peer.close()


async def test_while_no_server_answers_calls_are_refused_and_stops_wait(server: Server, radius: FreeRadius) -> None:
    radius.give("dora", 100)
    peer = await UdpPeer.open(server.sip_port)
    call = await up(peer, "dora")
    await asyncio.to_thread(wait_until, lambda: radius.sessions("dora"), "the Start")
    radius.kill()
    refused = peer.invite("echo", headers="X-Account: dora\r\n")
    assert await call.bye() == 200  # before what was granted to it is used up
    assert await refused.final() == 503
    await asyncio.to_thread(radius.start)
    row = await stopped(radius, "dora")
    assert row["acctterminatecause"] == "User-Request" and len(radius.sessions("dora")) == 1
    peer.close()


async def test_after_a_crash_the_stop_is_told(server: Server, radius: FreeRadius) -> None:
    radius.give("emil", 100)
    peer = await UdpPeer.open(server.sip_port)
    await up(peer, "emil")
    await asyncio.to_thread(wait_until, lambda: radius.sessions("emil"), "the Start")
    os.kill(server.pid, signal.SIGKILL)
    await asyncio.to_thread(server.wait_status)
    server.forget_log()
    await asyncio.to_thread(server.start)
    row = await stopped(radius, "emil")
    assert row["acctterminatecause"] == "NAS-Reboot" and len(radius.sessions("emil")) == 1
    peer.close()
