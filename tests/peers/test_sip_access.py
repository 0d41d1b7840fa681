# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may send us anything (sip_acl_allow, sip_acl_deny), and who may come by TLS (client certificates), on each of several addresses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from di.sip.outside_records import OutsideReplied, SendOutside
from di.sip.records import CallOffered, Limits, Listen, Listening
from tests.support.ports import free_port
from tests.support.sip_peer import UdpPeer
from tests.support.sip_process import SipProcess, connected
from tests.support.tls import self_signed

pytestmark = pytest.mark.peers

PLACES = ("127.0.0.1", "127.0.0.2")


@pytest_asyncio.fixture
async def fenced() -> AsyncIterator[SipProcess]:
    """Takes requests from 127.0.0.1 only."""
    limits = Limits(allowed=("127.0.0.0/8",), denied=("127.0.0.3",))
    process = await SipProcess.start(Listen("127.0.0.1", 0, limits=limits))
    yield process
    assert await process.stop(0) == 0 and "Traceback" not in process.log, process.log


async def test_outsiders_get_no_answer_and_calls_go_on(fenced: SipProcess) -> None:
    friend = await UdpPeer.open(fenced.port)
    outsider = await UdpPeer.open(fenced.port, ip="127.0.0.3")
    call = await connected(fenced, friend)
    calls = [outsider.invite(), outsider.call(), outsider.call(), outsider.call(), outsider.call()]
    for stranger, method in zip(calls[1:], ("OPTIONS", "REGISTER", "CANCEL", "BYE"), strict=True):
        stranger.send_request(method)
    outsider.send("garbage\r\n\r\n")
    tagged = outsider.call()
    tagged.remote += ";tag=guessed"
    tagged.send_request("BYE")
    # a BYE of the friend's call that comes by another way is heard: it has both tags
    assert (await friend.exchange("OPTIONS")).code == 200
    moved = outsider.call()
    moved.call_id, moved.local, moved.remote, moved.target, moved.cseq = (
        call.call_id,
        call.local,
        call.remote,
        call.target,
        call.cseq,
    )
    outsider.calls[moved.call_id] = moved
    assert await moved.bye() == 200
    assert all(stranger.messages.empty() for stranger in (*calls, tagged)) and len(fenced.of(CallOffered)) == 1
    with socket.socket() as connection:
        connection.bind(("127.0.0.3", 0))
        connection.settimeout(20)
        connection.connect(("127.0.0.1", fenced.port))
        connection.sendall(b"OPTIONS")
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""
    friend.close(), outsider.close()


def tls_listen(folder: Path, clients: str = "off", verify: bool = False) -> tuple[Listen, Path]:
    both = self_signed(folder)
    port = free_port()
    also = ((PLACES[1], 0, ""),)
    listen = Listen(
        PLACES[0], 0, tls_port=port, tls_certificate=str(both), tls_key=str(both), tls_authorities=str(folder / "cert.pem"),
        tls_clients=clients, tls_verify_servers=verify, also=also,
    )  # fmt: skip
    return listen, both


async def asked(ip: str, port: int, trusted: Path, own: Path | None) -> str:
    """What OPTIONS by TLS is answered; empty when we are not let in."""
    context = ssl.create_default_context(cafile=str(trusted))
    context.check_hostname = False
    if own is not None:
        context.load_cert_chain(str(own))
    text = (
        "OPTIONS sip:us SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:1;branch=z9hG4bKtls\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:us@b>\r\n"
        "Call-ID: tls\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 5\r\nContent-Length: 0\r\n\r\n"
    )
    try:
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(ip, port, ssl=context)
            writer.write(text.encode())
            answer = await reader.readline()
            writer.close()
            return answer.decode()
    except (OSError, ssl.SSLError):
        return ""


@pytest.mark.parametrize(
    ("clients", "heard"), [("off", (True, True, True)), ("ask", (True, True, False)), ("require", (False, True, False))]
)
async def test_client_certificates_on_each_address(tmp_path: Path, clients: str, heard: tuple[bool, ...]) -> None:
    """Without a certificate, with a good one, with one that nobody vouches for."""
    listen, both = tls_listen(tmp_path, clients)
    (tmp_path / "stranger").mkdir()
    bad = self_signed(tmp_path / "stranger")
    process = await SipProcess.start(listen)
    transports = process.of(Listening)[0].transports
    assert [ip for name, ip, _ in transports if name == "tls"] == list(PLACES)
    for ip in PLACES:
        answers = [await asked(ip, listen.tls_port, tmp_path / "cert.pem", own) for own in (None, both, bad)]
        assert [answer.startswith("SIP/2.0 200") for answer in answers] == list(heard), process.log
    assert await process.stop(0) == 0 and "Traceback" not in process.log, process.log


@pytest.mark.parametrize(("good", "code"), [(True, 200), (False, 503)])
async def test_servers_are_looked_at_when_that_is_wanted(tmp_path: Path, good: bool, code: int) -> None:
    ours, _ = tls_listen(tmp_path, verify=True)
    (tmp_path / "other").mkdir()
    theirs, _ = tls_listen(tmp_path if good else tmp_path / "other")
    us, them = await SipProcess.start(ours), await SipProcess.start(replace(theirs, tls_port=free_port()))
    port = next(port for name, _, port in them.of(Listening)[0].transports if name == "tls")
    target = f"sip:them@127.0.0.1:{port};transport=tls"
    us.send(SendOutside(1, "OPTIONS", target, "<sip:us@127.0.0.1>", f"<{target}>"))
    assert [reply.code for reply in await us.wait_for(OutsideReplied)] == [code]
    for process in (us, them):
        assert await process.stop(0) == 0 and "Traceback" not in process.log, process.log
