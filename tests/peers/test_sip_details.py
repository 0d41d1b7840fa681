# SPDX-License-Identifier: GPL-2.0-or-later
"""Details of the real SIP process that need a peer which takes every step by hand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from di.sip.records import (
    Answer,
    CallConfirmed,
    CallEnded,
    CallIdentified,
    CallOffered,
    Dial,
    Hangup,
    Listen,
    ListenFailed,
    Listening,
    MediaNegotiated,
    RequestReceived,
    SendReply,
    SendRequest,
    SessionTimedOut,
)
from interfaces.sip.message import parse
from tests.support.ports import free_port
from tests.support.sip_peer import PeerCall, UdpPeer, description
from tests.support.sip_process import FAST_CLOCK, ROOT, SipProcess
from tests.support.stalls import calm

pytestmark = pytest.mark.peers


@pytest_asyncio.fixture
async def peer_of_fast() -> AsyncIterator[tuple[SipProcess, UdpPeer]]:
    """A SIP process whose long timers run fast, and its peer."""
    process = await SipProcess.start(program=FAST_CLOCK)
    opened = await UdpPeer.open(process.port)
    yield process, opened
    opened.close()
    assert await process.stop(0) == 0 and "Traceback" not in process.log, process.log


@pytest.mark.parametrize(
    "end",
    [
        Answer(1, 200, "OK", ("X-Last: 3",), "127.0.0.1", 30000),
        Answer(1, 486, "Busy Here", ("X-Last: 3",)),
        Hangup(1, 486, "Busy Here", ("X-Last: 3",)),
    ],
)
async def test_headers_of_an_answer_are_in_that_one_only(sip: SipProcess, peer: UdpPeer, end: Answer | Hangup) -> None:
    sip.on_offer = lambda offer: None
    call = peer.invite(headers="Supported: timer\r\nSession-Expires: 1800\r\n")
    await sip.wait_for(CallOffered)
    for answer in (
        Answer(1, 180, "Ringing", ("X-One: 1", "X-Both: 1")),
        Answer(1, 183, "Session Progress", ("X-Both: 2", "x-two: 2"), "127.0.0.1", 30000),
        end,
    ):
        sip.send(answer)
        reply = await call.next(answer.code)
        theirs = [(name.lower(), value) for name, value in reply.headers if name.lower().startswith("x-")]
        assert theirs == [(name.lower(), value) for name, value in (line.split(": ") for line in answer.headers)]
        assert reply.code != 200 or (reply.header("Allow") and reply.header("Session-Expires"))
    call.ack()


async def test_reliable_provisional_reply(sip: SipProcess, peer: UdpPeer) -> None:
    """RFC 3262: a caller that asks for it gets RSeq and its PRACK is answered, then the 200."""
    sip.on_offer = lambda offer: sip.send(Answer(offer.call, 183, "Session Progress", (), "127.0.0.1", 30000))
    call = peer.invite(headers="Require: 100rel\r\nSupported: 100rel\r\n")
    early = await call.next(183)
    assert early.header("RSeq") and "100rel" in early.header("Require")
    call.remote = early.header("To")
    call.send_request("PRACK", headers=f"RAck: {early.header('RSeq')} 1 INVITE\r\n")
    assert (await call.next(200)).header("CSeq").endswith("PRACK")
    sip.send(Answer(1, 200, "OK", (), "127.0.0.1", 30000))
    final = await call.next(200)
    assert final.header("CSeq").endswith("INVITE")
    call.send_request("ACK", cseq=1)
    await sip.wait_for(CallConfirmed)


async def test_session_timer_is_accepted(sip: SipProcess, peer: UdpPeer) -> None:
    call = peer.invite(headers="Supported: timer\r\nSession-Expires: 120;refresher=uac\r\n")
    final = await call.next(200)
    assert final.header("Session-Expires").replace(" ", "").lower().startswith("120;refresher=uac")


async def test_answered_without_ringing(sip: SipProcess, peer: UdpPeer) -> None:
    """The 2xx is the first and only reply: its tag and its headers are known with CallConfirmed."""
    target = f"sip:them@127.0.0.1:{peer.port}"
    sip.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000))
    call = await peer.take_invite()
    assert call.invite_message is not None
    call.reply(call.invite_message, 200, description(40000), "X-Said: at once\r\n")
    await call.next("ACK")
    (confirmed,) = await sip.wait_for(CallConfirmed)
    assert dict(confirmed.headers)["X-Said"] == "at once"
    known = sip.of(CallIdentified)[-1]
    assert f"tag={known.remote_tag}" in call.local and sip.events.index(known) < sip.events.index(confirmed)
    assert await call.bye() == 200


async def test_session_timer_of_a_callee(peer_of_fast: tuple[SipProcess, UdpPeer]) -> None:
    """A callee that promises to refresh (refresher=uas): each UPDATE of its begins the interval anew, its silence is told."""
    sip, peer = peer_of_fast
    target = f"sip:them@127.0.0.1:{peer.port}"
    sip.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000))
    call = await peer.take_invite()
    assert call.invite_message is not None and "timer" in call.invite_message.header("Supported")
    call.reply(call.invite_message, 200, description(40000), "Require: timer\r\nSession-Expires: 900;refresher=uas\r\n")
    await call.next("ACK")
    await sip.wait_for(CallConfirmed)
    call.send_request("UPDATE", headers="Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n")
    final = await call.next(200)
    assert final.header("Session-Expires").replace(" ", "").lower() == "90;refresher=uac"
    assert await sip.wait_for(SessionTimedOut) == [SessionTimedOut(2)]
    call.send_request("UPDATE", headers="Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n")
    await call.next(200)
    await sip.wait_for(SessionTimedOut, 2)
    assert not sip.of(CallEnded)
    assert await call.bye() == 200


async def test_session_that_we_refresh_is_not_given_up(peer_of_fast: tuple[SipProcess, UdpPeer]) -> None:
    sip, peer = peer_of_fast
    ours = peer.invite(headers="Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n")
    theirs = peer.invite(interval_s=90)
    for call in (ours, theirs):
        assert await call.final() == 200
        call.ack()
    await sip.wait_for(SessionTimedOut)
    assert sip.of(SessionTimedOut) == [SessionTimedOut(3)]
    await theirs.bye()
    await ours.bye()


async def test_session_interval_too_small(sip: SipProcess, peer: UdpPeer) -> None:
    call = peer.invite(headers="Supported: timer\r\nSession-Expires: 10\r\nMin-SE: 10\r\n")
    final = await call.next(422)
    assert final.header("Min-SE") == "90"
    assert await peer.invite().final() == 200
    assert len(await sip.wait_for(CallOffered)) == 1
    assert not sip.of(CallEnded)


async def test_slots_are_used_again_at_once(sip: SipProcess, peer: UdpPeer) -> None:
    """Calls that follow each other in the same packet burst take the slot of the one before: none may be cut off by its end."""
    for number in range(30):
        call = peer.invite()
        assert await call.final() == 200
        call.ack()
        call.send_request("BYE")
        following = peer.invite()
        assert await following.final() == 200
        following.ack()
        assert await following.bye() == 200, number
    ended = await sip.wait_for(CallEnded, 60)
    assert {e.by for e in ended} == {"remote"} and len(ended) == 60


async def test_a_stack_with_lower_limits_says_what_that_means() -> None:
    """A pjproject of the system's was built for a phone: calls work, and the log says at start what will not."""
    program = (
        "from interfaces.sip import native, process\n"
        "built = {'PJSIP_MAX_PKT_LEN': 4000, 'PJMEDIA_MAX_SDP_FMT': 32}\n"
        "class Phone:\n"
        "    def __getattr__(self, name): return getattr(real, name)\n"
        "    def shim_limit(self, name): return built.get(name.decode(), 1 << 20)\n"
        "    def shim_compiled_for(self): return native.ffi.new('char[]', b'2.99')\n"
        "real, native.lib = native.lib, Phone()\n"
        "raise SystemExit(process.main())"
    )
    sip = await SipProcess.start(program=program)
    peer = await UdpPeer.open(sip.port)
    assert "was built with PJSIP_MAX_PKT_LEN=4000: messages of more bytes are not answered" in sip.log
    assert "was built with PJMEDIA_MAX_SDP_FMT=32: further formats" in sip.log and sip.log.count("was built with") == 2
    assert "headers of 2.99 were compiled with: run make setup" in sip.log
    call = peer.invite()
    assert await call.final() == 200
    call.ack()
    assert await call.bye() == 200
    peer.close()
    assert await sip.stop() == 0 and "Traceback" not in sip.log, sip.log


async def test_what_setup_builds_has_all_limits(sip: SipProcess) -> None:
    assert "was built with" not in sip.log and "make setup" not in sip.log


async def test_without_its_compiled_part_the_process_says_what_to_do() -> None:
    """And nothing else: a traceback would hide it."""
    program = (
        "import sys\nsys.modules['_cordboard_pjsip'] = None\nfrom interfaces.sip import process\nraise SystemExit(process.main())"
    )
    command = [sys.executable, "-c", program, "--fd", "0"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1 and done.stderr.startswith("the SIP process cannot start: what set-up compiles"), done.stderr
    assert done.stderr.rstrip().endswith("run make setup") and "Traceback" not in done.stderr


async def test_requests_that_come_while_it_starts() -> None:
    """Whoever knocks before the process listens is heard when he knocks again."""
    port = free_port()
    starting = asyncio.create_task(SipProcess.start(Listen("127.0.0.1", port)))
    peer = await UdpPeer.open(port)
    call = peer.invite()
    for _ in range(600):
        await asyncio.sleep(0.05)
        call.send_request("INVITE", description(40000), cseq=1, branch=call.branch)
        if not call.messages.empty():
            break
    sip = await starting
    assert await call.final() == 200
    call.ack()
    assert await call.bye() == 200
    peer.close()
    assert await sip.stop() == 0


async def test_one_slot_only() -> None:
    sip = await SipProcess.start(Listen("127.0.0.1", 0, max_calls=1))
    peer = await UdpPeer.open(sip.port)
    for _ in range(5):
        call = peer.invite()
        assert await call.final() == 200
        call.ack()
        refused = await peer.invite().next(503)
        assert refused.header("Retry-After").isdigit()
        assert await call.bye() == 200
    peer.close()
    assert await sip.stop() == 0


async def test_a_retransmitted_request_gets_the_same_reply_and_the_hub_sees_it_once(sip: SipProcess, peer: UdpPeer) -> None:
    sip.reply_code = 0
    call = peer.invite()
    assert await call.final() == 200
    call.ack()
    for _ in range(3):
        call.send_request("INFO", "x", "text/plain", cseq=7, branch="z9hG4bKsame")
    request = (await sip.wait_for(RequestReceived))[0]
    sip.send(SendReply(request.call, request.token, 415, "No", ("X-Once: 1",), "text/plain", b"why"))
    first = await call.next(415)
    call.send_request("INFO", "x", "text/plain", cseq=7, branch="z9hG4bKsame")
    second = await call.next(415)
    assert first.header("X-Once") == second.header("X-Once") == "1" and first.body == second.body == b"why"
    assert len(sip.of(RequestReceived)) == 1


async def test_too_many_open_requests_are_refused(sip: SipProcess, peer: UdpPeer) -> None:
    sip.reply_code = 0
    call = peer.invite()
    assert await call.final() == 200
    call.ack()
    for number in range(40):
        call.send_request("INFO", f"{number}", "text/plain")
    await call.next(503)
    assert len(await sip.wait_for(RequestReceived, 32)) == 32


async def test_renegotiation_moves_the_peers_address(sip: SipProcess, peer: UdpPeer) -> None:
    call = peer.invite()
    assert await call.final() == 200
    call.ack()
    call.send_request("INVITE", description(45678))
    assert await call.final() == 200
    call.ack()
    media = await sip.wait_for(MediaNegotiated, 2)
    assert [m.remote_port for m in media] == [40000, 45678]


async def test_reinvite_without_offer(sip: SipProcess, peer: UdpPeer) -> None:
    """RFC 3261 §14.2: we offer in the 200, with our own media address."""
    call = peer.invite()
    assert await call.final() == 200
    call.ack()
    call.send_request("INVITE")
    reply = await call.next(200)
    assert b"m=audio 30002 " in reply.body
    call.ack(description(45000))
    assert (await sip.wait_for(MediaNegotiated, 2))[-1].remote_port == 45000


async def test_reinvite_with_an_unknown_codec_keeps_the_call(sip: SipProcess, peer: UdpPeer) -> None:
    call = peer.invite()
    assert await call.final() == 200
    call.ack()
    call.send_request("INVITE", description(40000, codec="X-NOTHING/8000", payload_type=97))
    refused = await call.next(488)
    assert refused.header("CSeq") == "2 INVITE"
    call.send_request("ACK", cseq=2, branch=call.branch)
    assert await call.bye() == 200
    await sip.wait_for(CallEnded)
    assert len(sip.of(MediaNegotiated)) == 1


async def test_pcma_only_caller(sip: SipProcess, peer: UdpPeer) -> None:
    call = PeerCall(peer, "pcma@peer", "test")
    peer.calls[call.call_id] = call
    call.send_request("INVITE", description(40000, codec="PCMA/8000", payload_type=8))
    assert await call.final() == 200
    assert (await sip.wait_for(MediaNegotiated))[0].codec == "PCMA"


async def test_codecs_that_are_not_wanted_are_refused() -> None:
    sip = await SipProcess.start(Listen("127.0.0.1", 0, codecs=("PCMA/8000",)))
    peer = await UdpPeer.open(sip.port)
    assert await peer.invite().final() == 488
    peer.close()
    assert await sip.stop() == 0


async def test_hanging_up_before_the_ack(sip: SipProcess, peer: UdpPeer) -> None:
    """RFC 3261 §15: no BYE before the ACK has come; once it has, the BYE follows."""
    call = peer.invite()
    assert await call.final() == 200
    sip.send(Hangup(1))
    await sip.wait_for(CallEnded)
    call.ack()
    await call.taken_off()


async def test_broken_header_lines_of_the_hub_are_left_out(sip: SipProcess, peer: UdpPeer) -> None:
    headers = ("X-Good: 1", "X-Bad: 1\r\nVia: evil", "nonsense", "X-\0: 1")
    sip.on_offer = lambda offer: sip.send(Answer(offer.call, 200, "OK", headers, "127.0.0.1", 30000))
    reply = await peer.invite().next(200)
    assert reply.header("X-Good") == "1" and "evil" not in str(reply.headers) and not reply.header("X-Bad")
    assert sip.log.count("was left out") == 3


@pytest.mark.parametrize(
    ("method", "kind", "body"),
    [("BAD METHOD\r\nX: y", "", b""), ("", "", b""), ("INFO", "nonsense", b"\0\xff"), ("INFO", "a/b\r\nX: y", b"x")],
)
async def test_odd_commands_do_not_end_the_process(sip: SipProcess, peer: UdpPeer, method: str, kind: str, body: bytes) -> None:
    call = peer.invite()
    assert await call.final() == 200
    call.ack()
    await sip.wait_for(CallConfirmed)
    sip.send(SendRequest(1, method, 5, (), kind, body))
    assert await call.bye() == 200


async def test_port_is_free_again_after_a_kill_with_open_connections() -> None:
    first = await SipProcess.start()
    port = first.port
    with socket.create_connection(("127.0.0.1", port)):
        first.signal(signal.SIGKILL)
        await first.exited()
        second = await SipProcess.start(Listen("127.0.0.1", port))
        assert second.of(Listening) and await second.stop() == 0, second.events


async def test_tls(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: no certificate can be made")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]
    await asyncio.to_thread(subprocess.run, [*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    port = free_port()
    sip = await SipProcess.start(Listen("127.0.0.1", 0, tls_port=port, tls_certificate=str(certificate), tls_key=str(key)))
    assert ("tls", "127.0.0.1", port) in sip.of(Listening)[0].transports, sip.events
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    for version, taken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        older = ssl.create_default_context(cafile=str(certificate))
        older.check_hostname = False
        older.set_ciphers("ALL:@SECLEVEL=0")
        older.minimum_version = ssl.TLSVersion.TLSv1
        older.maximum_version = version
        with contextlib.nullcontext() if taken else pytest.raises((ssl.SSLError, ConnectionError)):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=older)
            assert writer.get_extra_info("ssl_object").version() == "TLSv1.2"
            writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    request = (
        f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bKtls;rport\r\n"
        "From: <sip:a@b>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: tls\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n"
        "Content-Length: 0\r\n\r\n"
    )
    writer.write(request.encode())
    async with asyncio.timeout(30):
        reply = parse((await reader.readuntil(b"\r\n\r\n")).decode())
    assert reply.code == 200 and "INVITE" in reply.header("Allow")
    writer.close()
    assert await sip.stop() == 0


async def test_tls_without_a_certificate_is_refused_with_its_key() -> None:
    listen = Listen("127.0.0.1", 0, tls_port=free_port(), tls_certificate="/nowhere/cert.pem", tls_key="/nowhere/key.pem")
    sip = await SipProcess.start(listen)
    assert "/nowhere/cert.pem" in sip.of(ListenFailed)[0].reason and await sip.exited() == 1


@pytest.mark.parametrize(
    "bad", ["c=IN IP4 999.1.1.1", "a=fmtp\r\na=rtpmap\r\na=ptime:-20", "m=audio 0 RTP/AVP 0", "c=IN IP6 ::::"]
)
async def test_an_offer_that_cannot_be_used_gets_a_final_reply(sip: SipProcess, peer: UdpPeer, bad: str) -> None:
    """The hub accepts, pjsip cannot build the answer: the caller must not be left waiting."""
    call = PeerCall(peer, "bad@peer", "test")
    peer.calls[call.call_id] = call
    good = description(40000)
    call.send_request(
        "INVITE", good.replace("c=IN IP4 127.0.0.1", bad) if bad[0] == "c" else good.rpartition("m=audio")[0] + bad + "\r\n"
    )
    assert 400 <= await call.final() < 600
    if sip.of(CallOffered):
        assert len(await sip.wait_for(CallEnded)) == 1


CYCLES = """
import gc, itertools, os
from interfaces.sip import call, process
plain = call.SipCall.__init__
def with_cycle(self, *arguments):
    plain(self, *arguments)
    self.myself = [self, {"again": self}]
    if next(count) % 100 == 0:
        gc.collect()  # now, inside the callback, with slots in use that dead objects had before
call.SipCall.__init__ = with_cycle
count = itertools.count(1)
gc.freeze = lambda: None
os._exit(process.main())
"""


async def test_reference_cycles_collected_late_cut_no_call_off() -> None:
    """pjproject#3856: a call object kept by a cycle, deleted later, must not hang up the call that has its slot by then."""
    sip = await SipProcess.start(Listen("127.0.0.1", 0, max_calls=4), CYCLES)
    peer = await UdpPeer.open(sip.port)
    standing = peer.invite()
    assert await standing.final() == 200
    standing.ack()
    for _ in range(210):
        call = peer.invite()
        assert await call.final() == 200
        call.ack()
        assert await call.bye() == 200
    assert await standing.bye() == 200
    ended = await sip.wait_for(CallEnded, 211)
    assert {e.by for e in ended} == {"remote"}
    peer.close()
    assert await sip.stop() == 0 and "Traceback" not in sip.log


@pytest.mark.long
@pytest.mark.skipif(not os.environ.get("CORDBOARD_LONG"), reason="64·T1 = 32 s: set CORDBOARD_LONG=1")
async def test_a_caller_that_never_acknowledges(sip: SipProcess, peer: UdpPeer) -> None:
    """RFC 3261 §13.3.1.4: 200 again and again, then BYE; the hub hears it as a timeout at that moment, once."""
    call = peer.invite()
    assert await call.final() == 200
    await call.next("BYE", patience_s=60)
    assert [(e.code, e.by) for e in await sip.wait_for(CallEnded)] == [(408, "timeout")]
    assert sum(message.code == 200 for message in call.repeats) > 4
    following = peer.invite()
    assert await following.final() == 200


@pytest.mark.parametrize(("reliable", "prack"), [("supported", True), ("off", False)])
async def test_methods_and_extensions_are_the_same_everywhere(reliable: str, prack: bool) -> None:
    """In calls, both ways, and in the answer to OPTIONS; pjsua's own lists name what the hub does not do."""
    sip = await SipProcess.start(Listen("127.0.0.1", 0, reliable_provisional=reliable))
    peer = await UdpPeer.open(sip.port)
    call = peer.invite()
    answer = await call.next(200)
    call.ack()
    target = f"sip:them@127.0.0.1:{peer.port}"
    sip.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000))
    invite = (await peer.take_invite()).invite_message
    assert invite is not None
    for message in (answer, invite, await peer.exchange("OPTIONS")):
        allow = message.header("Allow").replace(" ", "").split(",")
        assert (
            ("PRACK" in allow) is prack
            and {"INVITE", "INFO", "UPDATE"} < set(allow)
            and not {"SUBSCRIBE", "REFER", "NOTIFY", "MESSAGE"} & set(allow)
        )
        assert ("100rel" in message.header("Supported")) is prack and "norefersub" not in message.header("Supported")
    peer.close()
    assert await sip.stop(0) == 0


async def test_trying_is_said_where_no_answer_leaves_within_200_ms(sip: SipProcess, peer: UdpPeer) -> None:
    """RFC 3261 §17.2.1, by UDP: a hub that answers at once spares it, one that thinks does not."""
    sip.on_offer = lambda offer: sip.send(Answer(offer.call, 200, "OK", (), "127.0.0.1", 30000))

    async def quick() -> None:
        call = peer.invite()
        await call.next(200)
        call.ack()
        assert await call.bye() == 200
        codes = [one.code for one in call.seen if one.header("CSeq").endswith("INVITE")]
        assert codes == [200], f"{codes}; the SIP shim may be an old one: make setup builds it"

    loop = asyncio.get_running_loop()
    for _ in range(5):  # beside the loop, for `calm` waits
        await asyncio.to_thread(calm, lambda: asyncio.run_coroutine_threadsafe(quick(), loop).result())
    before = len(sip.of(CallOffered))
    sip.on_offer = lambda offer: None
    slow = peer.invite()
    await slow.next(100)
    offers = await sip.wait_for(CallOffered, before + 1)
    sip.send(Answer(offers[-1].call, 200, "OK", (), "127.0.0.1", 30000))
    await slow.next(200)
    slow.ack()
    assert await slow.bye() == 200
    assert [one.code for one in slow.seen if one.header("CSeq").endswith("INVITE")] == [100, 200], "said once"
