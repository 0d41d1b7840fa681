# SPDX-License-Identifier: GPL-2.0-or-later
"""Several interfaces in one server, each with its own SIP address, RTP address and ports (spec core.md §3.1): by sipp, and by tones."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.ports import free_port, free_ports
from tests.support.server import WITH_APPS, Server, wait_until
from tests.support.sip_peer import UdpPeer
from tests.support.sipp import Sipp, place_calls
from tests.support.switchboard import PLUGINS, Switchboard, Talker

pytestmark = pytest.mark.peers

PORTS = 40
PUBLIC = "127.0.0.9"
NAMES = {"default": "127.0.0.1", "inner": "127.0.0.2", "outer": "127.0.0.4", "six": "::1"}


class Places:
    """The server, and the SIP port and first RTP port of each interface."""

    def __init__(self, folder: Path) -> None:
        self.sip = {name: free_port() for name in ("inner", "outer", "six")}
        self.rtp = {name: free_ports(PORTS) for name in (*self.sip, "media")}
        lines = ["additional_interfaces=inner,outer,six,media", "media_ip_media=127.0.0.6", f"public_ip_outer={PUBLIC}"]
        for name, port in self.sip.items():
            lines += [f"sip_ip_{name}={NAMES[name]}", f"sip_port_{name}={port}"]
        for name, low in self.rtp.items():
            lines += [f"rtp_low_port_{name}={low}", f"rtp_high_port_{name}={low + PORTS - 1}"]
        mapping = {"app_mapping.conf": "^sip:desk=>desk\n^sip:announce=>announcement\n"}
        self.server = Server(folder, mapping, "\n".join(lines), f"{PLUGINS};announcement", program=WITH_APPS)
        self.sip["default"] = self.server.sip_port

    def has(self, name: str, port: int) -> bool:
        """Whether an RTP port is one of an interface."""
        low = self.rtp.get(name)
        return low <= port < low + PORTS if low is not None else all(not self.has(other, port) for other in self.rtp)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    found = Places(tmp_path_factory.mktemp("interfaces"))
    with found.server:
        yield found


@pytest_asyncio.fixture
async def board(places: Places) -> AsyncIterator[Switchboard]:
    switchboard = Switchboard(places.server)
    yield switchboard
    await switchboard.all_gone()
    switchboard.close()


@pytest.mark.parametrize("transport", ["u1", "t1"])
@pytest.mark.parametrize("name", ["default", "inner", "outer"])
def test_a_call_has_its_audio_where_it_came_in(places: Places, name: str, transport: str) -> None:
    """Contact and SDP name the interface's address, or the public one in its place; the RTP port is of its range."""
    ip, port = NAMES[name], places.sip[name]
    result = place_calls(4, "announce", port, 300, remote_ip=ip, local_ip="127.0.0.3", transport=transport)
    assert (result.successful, result.failed) == (4, 0), result.errors
    shown = PUBLIC if name == "outer" else ip
    answers = [part for part in re.split(r"-{20,}", result.messages) if re.search(r"SIP/2.0 200 OK.*CSeq: 1 INVITE", part, re.S)]
    assert len({re.search(r"^Call-ID: *(\S+)", answer, re.M)[1] for answer in answers}) == 4  # type: ignore[index]
    for answer in answers:
        contact, media = re.search(r"^Contact:.*$", answer, re.M), re.search(r"^m=audio (\d+)", answer, re.M)
        assert contact is not None and media is not None and places.has(name, int(media[1])), answer
        assert f"{shown}:{port}" in contact[0] and f"c=IN IP4 {shown}" in answer, answer


async def phone(board: Switchboard, places: Places, name: str, ip: str = "127.0.0.3") -> Talker:
    """A phone that knows the server by one of its interfaces."""
    talker = await board.phone()
    talker.sip.close()
    talker.sip = await UdpPeer.open(places.sip[name], NAMES[name], ip)
    return talker


async def test_relay_between_two_interfaces(board: Switchboard, places: Places) -> None:
    """The second leg leaves from the interface that is named, its audio too; each side's packets come from its own."""
    anna, ben = await phone(board, places, "default"), await phone(board, places, "inner")
    call = anna.invite(f"X-Desk: via=inner\r\nX-Target: sip:ben@127.0.0.3:{ben.sip.port}\r\n")
    reply = await anna.answered(call)
    other = await ben.called()
    assert other.invite_message is not None
    invite = other.invite_message
    assert f"127.0.0.2:{places.sip['inner']}" in invite.header("Via") and other.target.endswith(
        f"127.0.0.2:{places.sip['inner']}"
    )
    assert b"c=IN IP4 127.0.0.2" in invite.body and b"c=IN IP4 127.0.0.1" in reply.body
    await ben.accept(other)
    await board.logged(call, "replies", lambda text: text.endswith("200"))
    await board.hear({anna: {ben}, ben: {anna}})
    for talker, name in ((anna, "default"), (ben, "inner")):
        sources = {packet.source for packet in talker.rtp.packets}
        assert {ip for ip, _ in sources} == {NAMES[name]} and all(places.has(name, port) for _, port in sources), sources
        assert set(talker.sip.sources) == {(NAMES[name], places.sip[name])}
    await board.hang_up(call, other)


async def test_audio_at_an_interface_that_has_no_sip(board: Switchboard, places: Places) -> None:
    anna, ben = await phone(board, places, "inner"), await phone(board, places, "default")
    call = anna.invite(f"X-Desk: media=media\r\nX-Target: sip:ben@127.0.0.3:{ben.sip.port}\r\n")
    await anna.answered(call)
    other = await ben.called()
    await ben.accept(other)
    await board.hear({anna: {ben}, ben: {anna}})
    assert {packet.source[0] for packet in anna.rtp.packets} == {"127.0.0.2"}
    assert {packet.source[0] for packet in ben.rtp.packets} == {"127.0.0.6"}
    assert all(places.has("media", packet.source[1]) for packet in ben.rtp.packets)
    await board.hang_up(call, other)


async def test_the_routes_choose_for_an_address(board: Switchboard, places: Places) -> None:
    """To an IPv6 address a call leaves from the interface that has one, audio included, though none is named."""
    anna = await phone(board, places, "inner")
    six = await UdpPeer.open(places.sip["six"], "::1", "::1")
    call = anna.invite(f"X-Target: sip:six@[::1]:{six.port}\r\n")
    await anna.answered(call)
    other = await six.take_invite()
    assert other.invite_message is not None
    body = other.invite_message.body.decode()
    media = re.search(r"^m=audio (\d+)", body, re.M)
    assert "c=IN IP6 ::1" in body and media is not None and places.has("six", int(media[1])), body
    await other.refuse(486)
    assert await call.request("BYE") == 200
    assert set(six.sources) == {("::1", places.sip["six"])}
    six.close()


@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_a_dialled_call_by_sipp_from_a_named_interface(board: Switchboard, places: Places, transport: str) -> None:
    anna = await phone(board, places, "default")
    with Sipp("uas", local_ip="127.0.0.3", transport=transport) as callee:
        kind = ";transport=tcp" if transport == "t1" else ""
        call = anna.invite(f"X-Desk: via=outer\r\nX-Target: sip:b@127.0.0.3:{callee.local_port}{kind}\r\n")
        await anna.answered(call)
        await board.logged(call, "replies", lambda text: text.endswith("200"))
        assert await call.request("BYE") == 200
        result = await asyncio.to_thread(callee.wait)
    assert (result.successful, result.failed) == (1, 0), result.errors
    invite = result.messages[result.messages.index("INVITE sip:b@") :]
    via, contact = re.search(r"^Via: (.*)$", invite, re.M), re.search(r"^Contact: (.*)$", invite, re.M)
    assert via is not None and contact is not None and "c=IN IP4 " + PUBLIC in invite, invite
    at = f"{PUBLIC}:{places.sip['outer']}"
    assert at in contact[1] and (at in via[1] or transport == "t1"), invite


async def test_an_interface_that_is_not_there(board: Switchboard, places: Places) -> None:
    anna = await phone(board, places, "default")
    call = anna.invite("X-Desk: via=nowhere\r\nX-Target: sip:b@127.0.0.3:9\r\n")
    await anna.answered(call)
    await board.logged(call, "replies", lambda text: text == "503")
    said = "there is no interface 'nowhere' with SIP; there are default, inner, outer, six, media"
    await asyncio.to_thread(wait_until, lambda: said in places.server.log, "the line")
    assert await call.request("BYE") == 200
