# SPDX-License-Identifier: GPL-2.0-or-later
"""The real SIP process against sipp: incoming calls, the ways they end, what happens inside them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from di.sip.records import (
    Answer,
    CallConfirmed,
    CallEnded,
    CallIdentified,
    CallOffered,
    Hangup,
    Listen,
    ListenFailed,
    Listening,
    MediaNegotiated,
    Reinvite,
    RequestReceived,
    SetOptionsReply,
)
from tests.support.ports import free_port
from tests.support.server import wait_until
from tests.support.sip_peer import UdpPeer
from tests.support.sip_process import SipProcess
from tests.support.sipp import Sipp, SippResult, place_calls, run_sipp
from tests.support.stalls import calm

pytestmark = pytest.mark.peers


@pytest_asyncio.fixture
async def sip() -> AsyncIterator[SipProcess]:
    process = await SipProcess.start()
    yield process
    if not process.lost.is_set():
        assert await process.stop() == 0, process.log
    assert "Traceback" not in process.log, process.log


async def run(scenario: str, sip: SipProcess, **options: object) -> SippResult:
    result = await asyncio.to_thread(run_sipp, scenario, sip.port, **options)
    assert result.failed == 0 and result.returncode == 0, result.errors + "\n" + result.messages[-4000:] + sip.log
    return result


async def test_twenty_calls_at_once(sip: SipProcess) -> None:
    result = await asyncio.to_thread(place_calls, 20, "announce%d", sip.port, 500, rate=100)
    assert result.successful == 20 and result.failed == 0, result.errors
    offers = sip.of(CallOffered)
    assert sorted(o.request_uri.split("@")[0] for o in offers) == sorted(f"sip:announce{n}" for n in range(20))
    assert len({o.call for o in offers}) == 20 and all(o.call % 2 for o in offers)
    ended = await sip.wait_for(CallEnded, 20)
    assert {(e.code, e.by) for e in ended} == {(200, "remote")} and len(ended) == 20
    # each caller was told the port that the hub chose for its call, and the hub the port that the caller offered
    answered = {o.remote_media_port: 30000 + 2 * (index + 1) for index, o in enumerate(offers)}
    assert result.server_ports == answered
    media = sip.of(MediaNegotiated)
    assert sorted(m.remote_port for m in media) == sorted(result.server_ports) and {m.codec for m in media} == {"PCMU"}
    assert all((m.payload_type_send, m.dtmf_send, m.ptime_ms, m.send, m.receive) == (0, 101, 20, True, True) for m in media)


async def test_nobody_has_to_say_anything_twice(sip: SipProcess) -> None:
    def measure() -> None:
        result = place_calls(10, "announce%d", sip.port, 200, rate=20)
        assert result.successful == 10 and result.retransmissions == 0, result.errors

    await asyncio.to_thread(calm, measure)


async def test_order_of_events_and_identifiers(sip: SipProcess) -> None:
    result = await run("call", sip)
    await sip.wait_for(CallEnded)
    kinds = [type(e).__name__ for e in sip.events]
    assert kinds == ["Listening", "CallOffered", "CallIdentified", "MediaNegotiated", "CallConfirmed", "CallEnded"]
    offer, known = sip.of(CallOffered)[0], sip.of(CallIdentified)[0]
    assert (known.call_id, known.remote_tag) == (offer.call_id, offer.remote_tag) and offer.remote_tag
    assert f"tag={known.local_tag}" in result.messages
    assert offer.has_offer and offer.contact_uri.startswith("sip:caller@127.0.0.1") and offer.source_ip == "127.0.0.1"


async def test_delayed_offer(sip: SipProcess) -> None:
    result = await run("delayed_offer", sip)
    assert list(result.server_ports.values()) == [30002]
    assert not sip.of(CallOffered)[0].has_offer
    media = await sip.wait_for(MediaNegotiated)
    assert media[-1].codec == "PCMU" and media[-1].remote_port == 40000


async def test_unknown_codec_is_488_and_never_reaches_the_hub(sip: SipProcess) -> None:
    await run("unknown_codec", sip)
    assert sip.of(CallOffered) == []


@pytest.mark.parametrize(("code", "reason"), [(404, "Not Found"), (503, "Shut"), (302, "Moved")])
async def test_refused(sip: SipProcess, code: int, reason: str) -> None:
    """Contact is the hub's in redirections only (RFC 3261 §8.1.3.4)."""
    sip.on_offer = lambda offer: sip.send(Answer(offer.call, code, reason, ("X-Why: because", "Contact: <sip:else@127.0.0.1>")))
    result = await run("refused", sip, replace={"CODE": str(code)})
    assert f"SIP/2.0 {code} {reason}" in result.messages and "X-Why: because" in result.messages
    assert [(e.code, e.by) for e in await sip.wait_for(CallEnded)] == [(code, "local")]
    assert ("Contact: <sip:else@127.0.0.1>" in result.messages) is (code == 302) and not sip.of(CallConfirmed)


async def test_cancel(sip: SipProcess) -> None:
    sip.on_offer = lambda offer: sip.send(Answer(offer.call, 180, "Ringing"))
    result = await run("cancel", sip)
    assert "application/sdp" not in result.messages.split("180 Ringing")[1].split("CANCEL")[0]
    assert [(e.code, e.by) for e in await sip.wait_for(CallEnded)] == [(487, "cancel")]


async def test_early_media_then_answer(sip: SipProcess) -> None:
    def progress(offer: CallOffered) -> None:
        sip.send(Answer(offer.call, 183, "Session Progress", ("X-Early: 1",), "127.0.0.1", 33000))
        sip.send(Answer(offer.call, 200, "OK", (), "127.0.0.1", 33000))

    sip.on_offer = progress
    result = await run("call", sip)
    assert list(result.server_ports.values()) == [33000] and "m=audio 33000" in result.messages.split("183 Session")[1][:1500]
    await sip.wait_for(CallEnded)
    assert len(sip.of(CallConfirmed)) == 1 and sip.of(MediaNegotiated)


async def test_bye_from_the_hub(sip: SipProcess) -> None:
    with Sipp("called_off", sip.port) as caller:
        call = (await sip.wait_for(CallConfirmed))[0].call
        sip.send(Hangup(call, headers=("X-Bye: now",)))
        result = await asyncio.to_thread(caller.wait)
    assert result.successful == 1 and "X-Bye: now" in result.messages, result.errors
    assert [(e.code, e.by) for e in await sip.wait_for(CallEnded)] == [(200, "local")]


async def test_dtmf_by_info(sip: SipProcess) -> None:
    await run("dtmf_info", sip, replace={"CODE": "200"})
    request = sip.of(RequestReceived)[0]
    assert (request.method, request.content_type) == ("INFO", "application/dtmf-relay")
    assert request.body.split() == [b"Signal=5", b"Duration=160"]


@pytest.mark.parametrize(("method", "code"), [("MESSAGE", 202), ("REFER", 603), ("NOTIFY", 489), ("INFO", 415), ("OPTIONS", 200)])
async def test_requests_inside_a_call_are_the_hubs_to_answer(sip: SipProcess, method: str, code: int) -> None:
    sip.reply_code = code
    await run("request_inside", sip, replace={"METHOD": method, "CODE": str(code)})
    assert [r.method for r in sip.of(RequestReceived)] == [method]


async def test_an_unanswered_request_is_refused_at_the_calls_end(sip: SipProcess) -> None:
    sip.reply_code = 0
    with Sipp("request_inside", sip.port, replace={"METHOD": "INFO", "CODE": "487"}) as caller:
        request = (await sip.wait_for(RequestReceived))[0]
        sip.send(Hangup(request.call))
        await sip.wait_for(CallEnded)
        await asyncio.to_thread(wait_until, lambda: "SIP/2.0 487" in caller.messages, "487")


async def test_hold_and_resume(sip: SipProcess) -> None:
    await run("hold", sip)
    await sip.wait_for(CallEnded)
    directions = [(m.send, m.receive) for m in sip.of(MediaNegotiated)]
    assert directions == [(True, True), (False, True), (True, True)]


async def test_update_to_inactive(sip: SipProcess) -> None:
    await run("update_hold", sip)
    await sip.wait_for(CallEnded)
    assert [(m.send, m.receive) for m in sip.of(MediaNegotiated)] == [(True, True), (False, False)]


async def test_hub_holds_the_call(sip: SipProcess) -> None:
    with Sipp("reinvited", sip.port) as caller:
        call = (await sip.wait_for(CallConfirmed))[0].call
        sip.send(Reinvite(call, "sendonly", media_ip="127.0.0.1", media_port=35000))
        await sip.wait_for(MediaNegotiated, 2)
        sip.send(Hangup(call))
        result = await asyncio.to_thread(caller.wait)
    assert result.successful == 1 and "m=audio 35000" in result.messages, result.errors
    assert [(m.send, m.receive) for m in sip.of(MediaNegotiated)] == [(True, True), (True, False)]


@pytest.mark.parametrize(
    ("method", "code"),
    [("REGISTER", 501), ("MESSAGE", 501), ("REFER", 488), ("BYE", 481), ("SUBSCRIBE", 501), ("PRACK", 481), ("UPDATE", 481)],
)
async def test_requests_outside_a_dialog(sip: SipProcess, method: str, code: int) -> None:
    await run("outside", sip, replace={"METHOD": method, "CODE": str(code)})


@pytest.mark.parametrize("method", ["INFO", "BYE", "UPDATE", "MESSAGE"])
async def test_requests_of_unknown_dialogs(sip: SipProcess, method: str) -> None:
    await run("stray", sip, replace={"METHOD": method, "CODE": "481"})


async def test_options(sip: SipProcess, peer: UdpPeer) -> None:
    result = await run("outside", sip, replace={"METHOD": "OPTIONS", "CODE": "200"})
    for line in ("Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, PRACK, UPDATE", "Accept: application/sdp", "Supported: 100rel"):
        assert line in result.messages
    sip.send(SetOptionsReply(503, "Server shutting down"))
    while (await peer.exchange("OPTIONS")).code != 503:  # commands and packets come by different ways
        pass
    result = await run("outside", sip, replace={"METHOD": "OPTIONS", "CODE": "503"})
    assert "503 Server shutting down" in result.messages and "Allow: INVITE" in result.messages


async def test_calls_over_the_cap_get_503_with_retry_after() -> None:
    sip = await SipProcess.start(Listen("127.0.0.1", 0, max_calls=2))
    with Sipp("call", sip.port, calls=2, rate=100, hold_ms=60_000):
        await sip.wait_for(CallConfirmed, 2)
        result = await run("refused", sip, replace={"CODE": "503"})
        assert "Retry-After: " in result.messages and len(sip.of(CallOffered)) == 2
    assert await sip.stop() == 0


@pytest.mark.parametrize("how", ["stop", "term", "hub lost"])
async def test_the_end_says_bye(sip: SipProcess, how: str) -> None:
    with Sipp("called_off", sip.port, calls=3, rate=100) as caller:
        await sip.wait_for(CallConfirmed, 3)
        if how == "term":
            sip.signal(signal.SIGTERM)
        elif how == "hub lost":
            sip.hang_up_link()
        status = await (sip.stop() if how == "stop" else sip.exited())
        result = await asyncio.to_thread(caller.wait)
    assert status == 0 and result.successful == 3, result.errors + sip.log


async def test_a_port_in_use_is_named() -> None:
    first = await SipProcess.start()
    second = await SipProcess.start(Listen("127.0.0.1", first.port))
    assert second.of(Listening) == []
    failed = second.of(ListenFailed)[0]
    assert failed.key == "sip_port"
    assert failed.reason == f"SIP UDP 127.0.0.1:{first.port} is in use by another program: stop it or take a free port"
    assert await second.exited() == 1 and await first.stop() == 0


@pytest.mark.parametrize(
    ("listen", "key", "named"),
    [
        (Listen("192.0.2.1", 0), "sip_ip", "192.0.2.1 is no address of this machine: name one that is"),
        (Listen("127.0.0.1", 0, also=(("192.0.2.1", 0, ""),)), "further_sip", "192.0.2.1 is no address of this machine"),
        (Listen("127.0.0.1", 0, max_calls=1000000), "max_calls", "max_calls"),
        (Listen("127.0.0.1", 0, codecs=("NONE/8000",)), "exclude_payloads", "NONE/8000"),
        (Listen("127.0.0.1", 0, reliable_provisional="maybe"), "100rel", "maybe"),
    ],
)
async def test_impossible_settings_are_named(listen: Listen, key: str, named: str) -> None:
    """With the key of sems.conf: the hub says its file and line."""
    sip = await SipProcess.start(listen)
    failed = sip.of(ListenFailed)[0]
    assert failed.key == key and named in failed.reason and await sip.exited() == 1


async def test_all_addresses_with_a_public_one() -> None:
    sip = await SipProcess.start(Listen("0.0.0.0", free_port(), public_ip="192.0.2.7"))
    result = await _busy(sip)
    assert "Contact: <sip:192.0.2.7" in result.messages
    assert await sip.stop() == 0


async def _busy(sip: SipProcess) -> SippResult:
    def ring_then_refuse(offer: CallOffered) -> None:
        sip.send(Answer(offer.call, 180, "Ringing"))
        sip.send(Answer(offer.call, 486, "Busy Here"))

    sip.on_offer = ring_then_refuse
    return await run("refused", sip, replace={"CODE": "486"})


async def test_tcp(sip: SipProcess) -> None:
    result = await run("call", sip, transport="t1", calls=3)
    assert result.successful == 3 and len(result.server_ports) == 3
