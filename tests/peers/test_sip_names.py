# SPDX-License-Identifier: GPL-2.0-or-later
"""Host names in URIs at the real SIP process, with a resolver that is slow, or knows nothing: nobody else waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from di.sip.records import CallConfirmed, CallEnded, Dial, Hangup
from tests.support.sip_peer import UdpPeer
from tests.support.sip_process import SipProcess

pytestmark = pytest.mark.peers

PROGRAM = """
import os, socket, time
from interfaces.sip import process
plain = socket.getaddrinfo
def resolved(host, *more, **options):
    if host in ("slow.example", "silent.example"):
        while host == "silent.example" or not os.path.exists({known!r}):
            time.sleep(0.02)
    if host in ("slow.example", "phone.example"):
        host = "127.0.0.1"
    if host.endswith(".example"):
        raise socket.gaierror(socket.EAI_NONAME, "not known")
    return plain(host, *more, **options)
socket.getaddrinfo = resolved
os._exit(process.main())  # as the process itself ends
"""


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """Of names that take long the address is known when there is this file."""
    return tmp_path / "known"


@pytest_asyncio.fixture
async def sip(known: Path) -> AsyncIterator[SipProcess]:
    process = await SipProcess.start(program=PROGRAM.format(known=str(known)))
    yield process
    assert await process.stop(0) == 0 and "Traceback" not in process.log, process.log


def dial(host: str, port: int) -> Dial:
    target = f"sip:them@{host}:{port}"
    return Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000)


async def test_a_contact_whose_name_takes_long_holds_nobody_up(sip: SipProcess, peer: UdpPeer, known: Path) -> None:
    plain = peer.send
    peer.send = lambda text: plain(text.replace("Contact: <sip:peer@127.0.0.1:", "Contact: <sip:peer@slow.example:"))  # type: ignore[method-assign]
    call = peer.invite()
    assert await call.final() == 200
    call.ack()
    await sip.wait_for(CallConfirmed)
    sip.send(Hangup(1, 200, "", ()))
    await sip.wait_for(CallEnded)
    for _ in range(10):
        assert (await peer.exchange("OPTIONS")).code == 200
    assert call.messages.empty(), "the name has not been resolved yet"
    await asyncio.to_thread(known.touch)
    await call.taken_off()


async def test_calls_go_out_to_names(sip: SipProcess, peer: UdpPeer) -> None:
    sip.send(dial("phone.example", peer.port))
    call = await peer.take_invite()
    await call.accept()
    await sip.wait_for(CallConfirmed)
    sip.send(Hangup(2, 200, "", ()))
    await call.taken_off()


async def test_a_name_that_nobody_knows_ends_the_call_and_says_so(sip: SipProcess, peer: UdpPeer) -> None:
    sip.send(dial("nowhere.example", peer.port))
    (ended,) = await sip.wait_for(CallEnded)
    assert ended.code in (502, 503)
    await sip.wait_until(lambda: "host name nowhere.example cannot be resolved" in sip.log)


async def test_a_silent_name_server_does_not_hold_the_process_at_its_end(sip: SipProcess, peer: UdpPeer) -> None:
    """What ends each test is less patient than that server."""
    sip.send(dial("silent.example", peer.port))
    assert (await peer.exchange("OPTIONS")).code == 200


async def test_a_reply_goes_to_nobody_else(sip: SipProcess, peer: UdpPeer) -> None:
    """Not to whom `maddr` names: that would be a flood for him, by way of us."""
    other = await UdpPeer.open(sip.port, ip="127.0.0.9")
    for maddr in ("127.0.0.9", "slow.example", "224.0.1.75", "127.0.0.1"):
        plain = peer.send
        peer.send = lambda text, maddr=maddr, plain=plain: plain(text.replace(";branch=", f";maddr={maddr};branch=", 1))  # type: ignore[misc,method-assign]
        assert (await peer.exchange("OPTIONS")).code == 200, maddr
        peer.send = plain  # type: ignore[method-assign]
    assert peer.call_ids and not peer.call_ids & other.call_ids
    other.close()
