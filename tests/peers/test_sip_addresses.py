# SPDX-License-Identifier: GPL-2.0-or-later
"""Several SIP addresses in one process: a call stays on the address that it came to, one that is dialled leaves by the right one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from di.sip.outside_records import Subscribe
from di.sip.records import Answer, CallConfirmed, CallOffered, Dial, Hangup, Listen, ListenFailed, Listening
from interfaces.sip.message import Message, parse, uri_of
from tests.support.sip_peer import PeerCall, UdpPeer, description
from tests.support.sip_process import SipProcess
from tests.support.sipp import place_calls

pytestmark = pytest.mark.peers

PLACES = ("127.0.0.1", "127.0.0.2", "::1")


@pytest_asyncio.fixture
async def sip() -> AsyncIterator[SipProcess]:
    process = await SipProcess.start(Listen("127.0.0.1", 0, also=(("127.0.0.2", 0, "203.0.113.7"), ("::1", 0, ""))))
    assert "laid out" not in process.log
    yield process
    assert await process.stop(0) == 0 and "Traceback" not in process.log, process.log


def ports(sip: SipProcess) -> dict[str, int]:
    """UDP port by address."""
    return {ip: port for name, ip, port in sip.of(Listening)[0].transports if name == "udp"}


async def test_all_are_bound(sip: SipProcess) -> None:
    transports = sip.of(Listening)[0].transports
    assert [(name, ip) for name, ip, _ in transports] == [(name, ip) for ip in PLACES for name in ("udp", "tcp")]


@pytest.mark.parametrize("server_ip", PLACES)
async def test_call_stays_on_its_address(sip: SipProcess, server_ip: str) -> None:
    """Contact and later requests of ours name and use the address that the INVITE came to."""
    port = ports(sip)[server_ip]
    peer = await UdpPeer.open(port, server_ip, "::1" if ":" in server_ip else "127.0.0.1")
    sip.on_offer = lambda offer: sip.send(Answer(offer.call, 200, "OK", (), "127.0.0.1", 30000))
    call = peer.invite()
    final = await call.next(200)
    public = {"127.0.0.2": "203.0.113.7", "::1": "[::1]"}.get(server_ip, server_ip)
    assert uri_of(final.header("Contact")).startswith(f"sip:{public}:{port}")
    call.target = f"sip:test@[::1]:{port}" if ":" in server_ip else f"sip:test@{server_ip}:{port}"
    call.ack()
    await sip.wait_for(CallConfirmed)
    sip.send(Hangup(1))
    await call.taken_off()
    assert set(peer.sources) == {(server_ip, port)}
    peer.close()


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
async def test_what_we_send_leaves_by_the_address_that_leads_there(sip: SipProcess, ip: str) -> None:
    peer = await UdpPeer.open(ports(sip)[ip], ip, ip)
    host = "[::1]" if ":" in ip else ip
    target = f"sip:them@{host}:{peer.port}"
    sip.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000))
    call = await peer.take_invite()
    assert uri_of(call.target).startswith(f"sip:{host}:{ports(sip)[ip]}")
    call.ring()
    sip.send(Hangup(2, 487))
    await call.cancelled()
    sip.send(Subscribe(1, target, "<sip:us@h>", f"<{target}>", "reg", 60))
    notifier = await peer.take_subscribe()
    assert notifier.target.startswith(f"sip:{host}:{ports(sip)[ip]}")
    notifier.answer(404)
    assert set(peer.sources) == {(ip, ports(sip)[ip])}
    peer.close()


async def test_a_call_dialled_by_tcp_goes_on_by_udp_where_its_peer_wants_that(sip: SipProcess) -> None:
    """It leaves from the address that is asked for; its dialog is not bound to that listener: Contact may lead elsewhere."""
    udp = await UdpPeer.open(ports(sip)["127.0.0.1"])
    arrived: asyncio.Queue[tuple[Message, str, asyncio.StreamWriter]] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(parse(head.decode()).header("Content-Length"))
        await reader.readexactly(length)
        await arrived.put((parse(head.decode()), writer.get_extra_info("peername")[0], writer))

    server = await asyncio.start_server(serve, "127.0.0.3", 0)
    target = f"sip:them@127.0.0.3:{server.sockets[0].getsockname()[1]};transport=tcp"
    sip.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000, place=1))
    invite, source, writer = await asyncio.wait_for(arrived.get(), 30)
    assert source == "127.0.0.2" and "203.0.113.7" in invite.header("Contact") and ";transport=TCP" in invite.header("Contact")
    udp.calls[invite.header("Call-ID")] = call = PeerCall(udp, invite.header("Call-ID"), "us")
    body = description(40000)
    lines = "".join(f"{name}: {invite.header(name)}\r\n" for name in ("Via", "From", "Call-ID", "CSeq"))
    writer.write(
        f"SIP/2.0 200 OK\r\n{lines}To: {invite.header('To')};tag=them\r\nContact: <sip:them@127.0.0.1:{udp.port}>\r\n"
        f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    await sip.wait_for(CallConfirmed)
    await call.next("ACK")
    sip.send(Hangup(2))
    call.reply(await call.next("BYE"), 200)
    writer.close()
    server.close()
    udp.close()


async def test_calls_to_each_address_by_sipp(sip: SipProcess) -> None:
    for ip in PLACES[:2]:
        result = await asyncio.to_thread(place_calls, 5, "test", ports(sip)[ip], 50, remote_ip=ip)
        assert (result.successful, result.failed) == (5, 0), result.errors
    assert len(await sip.wait_for(CallOffered, 10)) == 10


async def test_an_address_that_is_none_of_ours() -> None:
    sip = await SipProcess.start(Listen("127.0.0.1", 0, also=(("192.0.2.1", 5060, ""),)))
    (failed,) = await sip.wait_for(ListenFailed)
    assert "192.0.2.1 is no address of this machine" in failed.reason
    assert await sip.exited() == 1


@pytest.mark.parametrize("handling", [True, False])
async def test_requests_go_to_where_a_phone_behind_nat_is(handling: bool) -> None:
    """`sip_nat_handling`: its Contact names an address that leads nowhere."""
    sip = await SipProcess.start(Listen("127.0.0.1", 0, nat_handling=handling))
    peer, nowhere = await UdpPeer.open(sip.port), await UdpPeer.open(sip.port)
    send = peer.send
    real, named = (f"Contact: <sip:peer@127.0.0.1:{one.port}>" for one in (peer, nowhere))
    peer.send = lambda text: send(text.replace(real, named))  # type: ignore[method-assign]
    call = peer.invite()
    nowhere.calls[call.call_id] = elsewhere = PeerCall(nowhere, call.call_id, "test")
    await call.next(200)
    call.ack()
    await sip.wait_for(CallConfirmed)
    sip.send(Hangup(1))
    at = call if handling else elsewhere
    at.reply(await at.next("BYE"), 200)

    target = f"sip:them@127.0.0.1:{peer.port}"
    sip.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000))
    call = await peer.take_invite()
    assert call.invite_message is not None
    nowhere.calls[call.call_id] = elsewhere = PeerCall(nowhere, call.call_id, "us")
    at = call if handling else elsewhere
    call.reply(call.invite_message, 200, description(40000))
    await at.next("ACK")
    sip.send(Hangup(2))
    at.reply(await at.next("BYE"), 200)
    peer.close()
    nowhere.close()
    assert await sip.stop(0) == 0 and "Traceback" not in sip.log, sip.log


async def test_line_ends_that_keep_a_connection_open_are_answered(sip: SipProcess) -> None:
    """RFC 5626 §3.5.1: a phone that hears nothing takes its flow for dead. One that has said nothing yet is not kept by them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", ports(sip)["127.0.0.1"])
    ping = (
        b"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKping%d\r\nFrom: <sip:t@t>;tag=1\r\nTo: <sip:t@t>\r\n"
        b"Call-ID: ping\r\nCSeq: %d OPTIONS\r\nMax-Forwards: 5\r\nContent-Length: 0\r\n\r\n"
    )
    writer.write(b"\r\n\r\n" + ping % (1, 1))
    reply = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    assert reply.startswith(b"SIP/2.0 200"), "nothing before it"
    for _ in range(2):
        writer.write(b"\r\n\r\n")
        assert await asyncio.wait_for(reader.readexactly(2), 20) == b"\r\n"
    writer.write(ping % (2, 2))  # a message behind them is served
    assert (await asyncio.wait_for(reader.readline(), 20)).startswith(b"SIP/2.0 200")
    writer.close()
