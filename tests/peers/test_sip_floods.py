# SPDX-License-Identifier: GPL-2.0-or-later
"""Whoever asks for too much is kept out before it costs anything, and others do not notice."""

from __future__ import annotations

import asyncio
import itertools
import os
import ssl
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from di.sip.records import CallConfirmed, CallOffered, Limits, Listen, MediaNegotiated
from tests.support.ports import free_port
from tests.support.sip_peer import PeerCall, UdpPeer, description
from tests.support.sip_process import SipProcess
from tests.support.sipp import Sipp
from tests.support.tls import client_hello, self_signed

STRANGERS = Limits(requests_a_second=20, pending_calls=30, connections_an_address=5, connections=50, trusted=("127.0.0.2",))
FRIEND = "127.0.0.2"


@pytest.fixture
def listen() -> Listen:
    return Listen("127.0.0.1", 0, limits=STRANGERS)


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


async def good_call(sip: SipProcess) -> PeerCall:
    friend = await UdpPeer.open(sip.port, ip=FRIEND)
    call = friend.invite()
    assert await call.final() == 200
    call.ack()
    return call


async def test_invites_that_nobody_acknowledges(sip: SipProcess, peer: UdpPeer) -> None:
    flood, begun_s = [], time.monotonic()
    for _ in range(150):
        flood.append(peer.invite())
        await asyncio.sleep(0.005)
    good = await good_call(sip)
    await sip.wait_for(CallConfirmed)
    strangers = [offer for offer in sip.of(CallOffered) if offer.source_ip != FRIEND]
    assert len(strangers) == 30, "the good call came behind them"
    codes: list[int] = []

    def refused() -> int:
        codes.extend(message.code for call in flood for message in drained(call))
        return codes.count(503)

    await sip.wait_until(lambda: refused() >= 5)
    assert await good.bye() == 200
    other = await UdpPeer.open(sip.port, ip="127.0.0.3")
    assert await other.invite().final() == 200  # another address has places of its own
    assert refused() <= 15 + 10 * (time.monotonic() - begun_s), "ten refusals a second"


def drained(call: PeerCall) -> list:
    messages = []
    while not call.messages.empty():
        messages.append(call.messages.get_nowait())
    return messages


async def test_when_calls_are_acknowledged_there_is_room_again(sip: SipProcess, peer: UdpPeer) -> None:
    for _ in range(60):
        call = peer.invite()
        assert await call.final() == 200
        call.ack()
        await asyncio.sleep(0.05)
    assert len(await sip.wait_for(CallConfirmed, 60)) == 60


@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER", "SUBSCRIBE", "MESSAGE", "INVITE"])
async def test_requests_of_one_address(sip: SipProcess, peer: UdpPeer, method: str) -> None:
    """What is above its measure gets ten answers a second and then none; another address is served all the while."""
    friend = await UdpPeer.open(sip.port, ip=FRIEND)
    calls, begun_s = [], time.monotonic()
    for number in range(400):
        call = peer.call("flood")
        call.send_request(method, description(40000) if method == "INVITE" else "")
        calls.append(call)
        if number % 20 == 0:
            asked = friend.call("good")
            assert await asked.request("OPTIONS") == 200
    answered: set[str] = set()

    def count() -> int:
        answered.update(call.call_id for call in calls if any(message.code >= 200 for message in drained(call)))
        return len(answered)

    await sip.wait_until(lambda: count() >= 20)
    assert (await friend.exchange("OPTIONS")).code == 200  # it came behind them
    assert count() < 120 + 30 * (time.monotonic() - begun_s)


async def test_a_trusted_proxy_that_passes_a_flood_on() -> None:
    """sipp sends 300 INVITEs a second: what is above its measure is refused before there is a call, each once; another proxy is served."""
    limits = replace(STRANGERS, trusted=("127.0.0.2", "127.0.0.5"), trusted_requests_a_second=60, trusted_pending_calls=200)
    sip = await SipProcess.start(Listen("127.0.0.1", 0, limits=limits))
    before = resident_mb(sip.pid)
    flood = Sipp("call", sip.port, calls=900, rate=300, hold_ms=300, local_ip="127.0.0.5", trace=False)
    friend = await UdpPeer.open(sip.port, ip=FRIEND)
    begun_s = time.monotonic()
    flooding = asyncio.ensure_future(asyncio.to_thread(flood.wait))
    while not flooding.done():
        asked = friend.call("good")
        assert await asked.request("OPTIONS") == 200
        await asyncio.sleep(0.05)
    result = flooding.result()
    assert result.successful + result.failed == 900
    begun = len({offer.call for offer in sip.of(CallOffered)})
    measure = 120 + 60 * (time.monotonic() - begun_s)
    assert 120 <= result.successful <= begun <= measure + 60, "two seconds' worth at once, then 60 a second"
    # an INVITE that sipp sent again before it had read the refusal may have become a call that nobody waits for
    assert begun - result.successful <= result.retransmissions
    assert "503" in result.errors, "the others had their answer"
    assert resident_mb(sip.pid) - before < 60
    assert await (await good_call(sip)).bye() == 200
    assert await sip.stop() == 0


async def test_connections_that_say_nothing_are_closed(tmp_path: Path) -> None:
    """By TCP; and by TLS, where a handshake may be begun and never ended."""
    pem, tls_port = str(self_signed(tmp_path)), free_port()
    sip = await SipProcess.start(Listen("127.0.0.1", 0, tls_port=tls_port, tls_certificate=pem, tls_key=pem, limits=STRANGERS))
    friends = [await asyncio.open_connection("127.0.0.1", sip.port, local_addr=(FRIEND, 0)) for _ in range(20)]
    friends[0][1].write(b"OPTIONS sip:a")  # begun and never ended
    friends[1][1].write(b"\r\n\r\n")  # a keep-alive is no message
    secret = [await asyncio.open_connection("127.0.0.1", tls_port, local_addr=(FRIEND, 0)) for _ in range(5)]
    hello = client_hello()
    secret[0][1].write(hello)
    secret[1][1].write(hello[:40])
    trust = ssl.create_default_context(cafile=pem)
    silent = await asyncio.open_connection("127.0.0.1", tls_port, local_addr=(FRIEND, 0), ssl=trust)
    reads = asyncio.gather(*(reader.read() for reader, _ in (*friends, *secret, silent)), return_exceptions=True)
    ends = await asyncio.wait_for(reads, 60)
    assert len(ends) == 26 and not any(isinstance(end, bytes) and b"SIP/2.0" in end for end in ends)
    again = await asyncio.open_connection("127.0.0.1", tls_port, local_addr=(FRIEND, 0), ssl=trust)
    for _, writer in (*friends, *secret, silent, again):
        writer.close()
    assert await sip.stop() == 0


async def test_tls_handshakes_of_one_address(tmp_path: Path) -> None:
    """pjsip shows nobody before the handshake is over: the process looks itself. Who means it gets in meanwhile."""
    pem, tls_port = str(self_signed(tmp_path)), free_port()
    sip = await SipProcess.start(Listen("127.0.0.1", 0, tls_port=tls_port, tls_certificate=pem, tls_key=pem, limits=STRANGERS))
    trust = ssl.create_default_context(cafile=pem)
    mean_it = [await asyncio.open_connection("127.0.0.1", tls_port, ssl=trust) for _ in range(3)]
    held = [await asyncio.open_connection("127.0.0.1", tls_port) for _ in range(150)]
    friends = [await asyncio.open_connection("127.0.0.1", tls_port, local_addr=(FRIEND, 0)) for _ in range(10)]
    ends = asyncio.gather(*(reader.read() for reader, _ in held[:145]), return_exceptions=True)
    assert len(await asyncio.wait_for(ends, 40)) == 145
    mean_it.append(await asyncio.open_connection("127.0.0.1", tls_port, local_addr=(FRIEND, 0), ssl=trust))
    assert not any(reader.at_eof() for reader, _ in (*mean_it, *friends))
    assert "145 TLS handshakes were too many" in sip.log or sip.log.count("TLS handshakes were too many") > 1
    for _, writer in (*mean_it, *held, *friends):
        writer.close()
    assert await sip.stop() == 0


async def test_connections_of_one_address(sip: SipProcess) -> None:
    strangers = [await asyncio.open_connection("127.0.0.1", sip.port) for _ in range(12)]
    ends = [asyncio.ensure_future(reader.read()) for reader, _ in strangers]
    for closed in itertools.islice(asyncio.as_completed(ends, timeout=40), 7):
        await closed
    friends = [await asyncio.open_connection("127.0.0.1", sip.port, local_addr=(FRIEND, 0)) for _ in range(10)]
    assert [await served(*friend) for friend in friends] == [True] * 10 and sum(end.done() for end in ends) == 7
    for _, writer in (*strangers, *friends):
        writer.close()
    for _ in range(200):  # until it has seen them go
        reader, writer = await asyncio.open_connection("127.0.0.1", sip.port)
        there_is_room = await served(reader, writer)
        writer.close()
        if there_is_room:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("there is no room again")


async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether a connection is answered, and not ended."""
    port = writer.get_extra_info("sockname")[1]
    writer.write(
        f"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKserved{port};rport\r\nFrom: <sip:b@127.0.0.1>;tag=t\r\n"
        f"To: <sip:a@127.0.0.1>\r\nCall-ID: served{port}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode()
    )
    try:
        return (await asyncio.wait_for(reader.readline(), 40)).startswith(b"SIP/2.0 200")
    except ConnectionError:
        return False


async def test_memory_of_a_call_with_many_reinvites(sip: SipProcess) -> None:
    call = await good_call(sip)
    await sip.wait_for(MediaNegotiated)
    for _ in range(50):
        await call.reoffer("sendrecv")
    before = resident_mb(sip.pid)
    codes = Counter([await call.reoffer("sendonly" if number % 2 else "sendrecv") for number in range(3000)])
    grown_kb = (resident_mb(sip.pid) - before) * 1024
    assert grown_kb < 4000, f"{grown_kb:.0f} kB for {codes}"
    assert set(codes) == {200, 500}
    await asyncio.sleep(1.2)
    assert await call.reoffer("sendonly") == 200  # nobody who holds and resumes comes near it
    assert await call.bye() == 200


async def test_a_connection_that_was_reset_costs_no_turns(sip: SipProcess) -> None:
    """The transaction that holds it stays for 32 s; its descriptor stays readable. Here: nothing hangs and calls go on."""
    sip.on_offer = lambda offer: None
    reader, writer = await asyncio.open_connection("127.0.0.1", sip.port, local_addr=(FRIEND, 0))
    head = (
        f"INVITE sip:a@127.0.0.1:{sip.port};transport=tcp SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.2:9;branch=z9hG4bKreset;rport\r\n"
        "From: <sip:b@127.0.0.1>;tag=t\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: reset\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
        "Contact: <sip:b@127.0.0.2:9;transport=tcp>\r\nRequire: nothing-we-know\r\nContent-Length: 0\r\n\r\n"
    )
    writer.write(head.encode())
    assert b" 420 " in await reader.readuntil(b"\r\n")
    sock = writer.get_extra_info("socket")
    sock.setsockopt(1, 13, b"\x01\0\0\0\0\0\0\0")  # SO_LINGER with no time: close is a reset
    writer.transport.abort()
    await asyncio.sleep(0.5)
    before = switches(sip.pid)
    await asyncio.sleep(1)
    assert switches(sip.pid) - before < 1000
    sip.on_offer = sip.answer_all
    assert await (await good_call(sip)).bye() == 200


def switches(pid: int) -> int:
    """How often the process has given its processor away of its own accord, or been taken off it, or called the kernel to read."""
    status = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    reads = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines()) if os.geteuid() == 0 else {}
    return int(status["voluntary_ctxt_switches"]) + int(reads.get("syscr", 0))
