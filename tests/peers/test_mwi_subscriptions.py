# SPDX-License-Identifier: GPL-2.0-or-later
"""Phones that subscribe to their boxes here (RFC 3842), straight and by a proxy that stays in the dialog."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from di.stores.messages import MsgCode
from interfaces.sip.message import Message, tag_of
from tests.support import tones
from tests.support.kamailio import Kamailio
from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer

pytestmark = pytest.mark.peers

PLUGINS = "monitoring;msg_storage;mwi;xmlrpc2di;web"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mwi")
    files = {
        "msg_storage.conf": f"storage_dir={folder / 'boxes'}\n",
        "mwi.conf": "presence_server=\nsubscribe_least=2\ndomain=shop.example\ngather_ms=50\n",
        "app_mapping.conf": "",
    }
    with Server(folder, files, plugins=PLUGINS) as running:
        yield running


def leave(server: Server, folder: Path, user: str, name: str) -> None:
    data = tones.write_wav(folder / "m.wav", tones.sequence([700.0], 200)).read_bytes()
    assert server.xml.di("msg_storage", "msg_new", "shop.example", user, name, xmlrpc.client.Binary(data)) == [0]


class Subscriber:
    """A phone with one subscription, step by step."""

    def __init__(self, peer: UdpPeer, user: str) -> None:
        self.call = PeerCall(peer, f"mwi-{user}-{peer.port}", user)
        peer.calls[self.call.call_id] = self.call

    async def subscribe(self, expires: int, headers: str = "Event: message-summary\r\n") -> Message:
        self.call.send_request("SUBSCRIBE", headers=f"{headers}Expires: {expires}\r\n")
        return await self.call.next(*range(200, 700))

    async def told(self, code: int = 200) -> tuple[str, str]:
        """State and counts of the next NOTIFY, which is answered."""
        request = await self.call.next("NOTIFY")
        assert request.header("Event") == "message-summary" and request.header("Contact")
        self.call.reply(request, code)
        counts = re.search(r"Voice-Message: (\S+)", request.body.decode())
        self.last = request
        return request.header("Subscription-State"), counts[1] if counts else ""


def left_of(told: tuple[str, str]) -> tuple[int, str]:
    """For how long a subscription goes on, whole minutes (a busy machine may tell it a moment later), and the counts."""
    state, counts = told
    name, _, seconds = state.partition(";expires=")
    assert name == "active", state
    return -(-int(seconds) // 60) * 60, counts


async def test_subscribed_refreshed_and_ended(server: Server, tmp_path: Path) -> None:
    peer = await UdpPeer.open(server.sip_port)
    phone = Subscriber(peer, "ben")
    reply = await phone.subscribe(600)
    assert reply.code == 200 and reply.header("Expires") == "600" and reply.header("Contact")
    assert left_of(await phone.told()) == (600, "0/0")
    assert tag_of(phone.last.header("From")) == tag_of(reply.header("To")), "one dialog"
    await asyncio.to_thread(leave, server, tmp_path, "ben", "1+a.wav")
    assert (await phone.told())[1] == "1/0"
    again = await phone.subscribe(300)
    assert again.code == 200 and again.header("Expires") == "300" and tag_of(again.header("To")) == tag_of(reply.header("To"))
    assert left_of(await phone.told()) == (300, "1/0")
    assert int(phone.last.header("CSeq").split()[0]) == 3
    assert (await phone.subscribe(0)).code == 200
    assert await phone.told() == ("terminated;reason=timeout", "1/0")
    assert (await phone.subscribe(300)).code == 481
    peer.close()


async def test_by_a_proxy_that_stays_in_the_way(server: Server, tmp_path: Path) -> None:
    """Kamailio records itself: NOTIFYs come by it."""
    routes = f'if (is_method("SUBSCRIBE") && !has_totag()) {{ record_route(); $du = "sip:127.0.0.1:{server.sip_port}"; t_relay(); exit; }}\n'
    with Kamailio({"gina": "secret"}, routes=routes) as proxy:
        peer = await UdpPeer.open(proxy.port)
        phone = Subscriber(peer, "gina")
        assert (await phone.subscribe(60)).code == 200
        assert left_of(await phone.told()) == (60, "0/0")
        await asyncio.to_thread(leave, server, tmp_path, "gina", "1+a.wav")
        assert (await phone.told())[1] == "1/0"
        assert set(peer.sources) == {("127.0.0.1", proxy.port)}
        peer.close()


async def test_run_out_and_refused(server: Server) -> None:
    peer = await UdpPeer.open(server.sip_port)
    phone = Subscriber(peer, "cleo")
    assert (await phone.subscribe(1)).header("Min-Expires") == "2"
    phone = Subscriber(peer, "cleo2")
    assert (await phone.subscribe(60, "Event: presence\r\n")).header("Allow-Events") == "message-summary"
    phone = Subscriber(peer, "dora")
    assert (await phone.subscribe(2)).code == 200
    state, counts = await phone.told()
    assert state in ("active;expires=2", "active;expires=1") and counts == "0/0"
    assert await phone.told() == ("terminated;reason=timeout", "0/0")
    phone = Subscriber(peer, "eva")
    await phone.subscribe(60)
    await phone.told(481)
    await asyncio.to_thread(wait_until, lambda: "its NOTIFY got 481" in server.log, "it is forgotten")
    assert (await phone.subscribe(60)).code == 481
    peer.close()


async def test_a_retransmission_gets_the_same_tag(server: Server) -> None:
    peer = await UdpPeer.open(server.sip_port)
    phone = Subscriber(peer, "finn")
    headers, tags = "Event: message-summary\r\nExpires: 60\r\n", set()
    for _ in range(2):
        phone.call.send_request("SUBSCRIBE", headers=headers, cseq=1, branch="z9hG4bK-mwi-finn")
        tags.add(tag_of((await phone.call.next(200)).header("To")))
    assert len(tags) == 1 and (await phone.told())[1] == "0/0"
    peer.close()


def test_msg_storage_takes_its_options_anew(server: Server, tmp_path: Path) -> None:
    """SIGHUP: a smaller box is full from then on; the folder needs a restart."""
    leave(server, tmp_path, "hugo", "1+a.wav")
    conf = server.etc / "msg_storage.conf"
    before = conf.read_text()
    conf.write_text("storage_dir=/elsewhere\nquota_messages=1\n")
    os.kill(server.pid, signal.SIGHUP)
    wait_until(lambda: "storage_dir has changed; that needs a restart" in server.log, "the file is read")
    wait_until(lambda: "reloaded: " in server.log.rpartition("storage_dir has changed")[2], "all is taken")
    data = xmlrpc.client.Binary((tmp_path / "m.wav").read_bytes())
    assert server.xml.di("msg_storage", "msg_new", "shop.example", "hugo", "2+a.wav", data) == [int(MsgCode.NO_SPACE)]
    conf.write_text(before)
    os.kill(server.pid, signal.SIGHUP)
    wait_until(lambda: server.log.count("reloaded: ") == 2, "the old options are back")
    leave(server, tmp_path, "hugo", "2+a.wav")
