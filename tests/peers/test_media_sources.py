# SPDX-License-Identifier: GPL-2.0-or-later
"""Whom a call's media goes to: nobody who has not asked for it, no stranger, the phone behind NAT although it is silent for long."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from di.spoken.tones import write
from interfaces.sip.message import Message
from tests.support import tones
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.sdp import audio_address
from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer, description

pytestmark = [pytest.mark.peers, pytest.mark.timeout(180)]

ANNOUNCED_HZ, PHONE_HZ, STRANGER_HZ = 1000.0, 600.0, 900.0
EVERY_HZ = [ANNOUNCED_HZ, PHONE_HZ, STRANGER_HZ]
EARLY = """import(mod_dlg);
initial state A;
transition "i" A - invite / { set($connect_session=0); dlg.reply(183, Early, true); playFile(long.wav) } -> B;
state B;
"""
FILES = {
    "app_mapping.conf": "^sip:echo=>echo\n^sip:early=>early\n^sip:=>announcement\n",
    "dsm.conf": "diag_path=dsm/\nload_diags=early\nregister_apps=early\n",
    "dsm/early.dsm": EARLY,
}
HEARD_SAMPLES = 4800
TRUSTED, VOUCHING = "127.0.0.77", "127.0.0.8"
BEHIND_NAT = "10.255.1.7"
"""What a phone calls itself; nothing is there."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("server")
    write(folder / "long.wav", ((int(ANNOUNCED_HZ), 30_000),))
    files = {
        **FILES,
        "dsm/early.dsm": EARLY.replace("long.wav", str(folder / "long.wav")),
        "announcement.conf": f"announce_path={folder}/\ndefault_announce=long.wav\n",
    }
    settings = f"trusted_peers={TRUSTED}\nearly_media_peers={VOUCHING}"
    with Server(folder, files, settings, "monitoring;announcement;echo;dsm;xmlrpc2di;web") as running:
        yield running
    assert "Traceback" not in running.log, running.log


def invite(phone: UdpPeer, user: str, ip: str, port: int, headers: str = "") -> PeerCall:
    """A call whose description names any address."""
    call = PeerCall(phone, f"{user}-{ip}-{port}@sources", user)
    phone.calls[call.call_id] = call
    call.send_request("INVITE", description(port).replace("IP4 127.0.0.1", f"IP4 {ip}"), headers=headers)
    return call


async def answered(call: PeerCall) -> tuple[str, int]:
    """200 came and is acknowledged; where the server takes media."""
    reply = await call.next(200)
    call.ack()
    return media_of(reply)


def media_of(reply: Message) -> tuple[str, int]:
    found = audio_address(reply.body.decode())
    assert found is not None
    return found


async def run(group: PeerGroup, length_ms: int) -> None:
    await asyncio.to_thread(group.run_ms, length_ms)


async def hear(group: PeerGroup, peer: Peer, tone_hz: float) -> None:
    """Until it has heard just that for a while; what others have got stays known."""

    def does() -> bool:
        sound = peer.heard()[-HEARD_SAMPLES:]
        return len(sound) == HEARD_SAMPLES and tones.heard(sound, EVERY_HZ) == {tone_hz}

    await asyncio.to_thread(group.run_until, does, f"it hears {tone_hz:.0f} Hz alone")


@pytest.mark.parametrize("user", ["echo", "announce"])
async def test_an_invite_that_nobody_acknowledges_floods_no_third_party(phone: UdpPeer, user: str) -> None:
    with PeerGroup() as group:
        victim = group.peer(bind_ip="127.0.0.9")
        call = invite(phone, user, "127.0.0.9", victim.port)
        await call.next(200)
        await run(group, 4000)
        assert 0 < len(victim.packets) <= 5 and len(victim.others) <= 1
        call.ack()
        await asyncio.to_thread(group.run_until, lambda: len(victim.packets) > 40, "an acknowledged call has its media")
        assert await call.bye() == 200
        await asyncio.to_thread(group.run_until_silent, victim)


@pytest.mark.parametrize("proof", ["nothing", "PRACK", "RTP", "trusted, there", "trusted, elsewhere", "vouched for"])
async def test_early_media_goes_to_who_has_shown_that_he_is_there(server: Server, proof: str) -> None:
    """By a sign of his own, or because of whom his signalling comes from; else one line says why he hears nothing."""
    source = TRUSTED if proof.startswith("trusted") else VOUCHING if proof == "vouched for" else "127.0.0.1"
    phone = await UdpPeer.open(server.sip_port, ip=source)
    with PeerGroup() as group:
        peer = group.peer(bind_ip=TRUSTED if proof == "trusted, there" else "127.0.0.1")
        at = peer.socket.getsockname()[0]
        call = invite(phone, "early", at, peer.port, "Supported: 100rel\r\n" if proof == "PRACK" else "")
        early = await call.next(183)
        if proof == "PRACK":
            assert await call.request("PRACK", headers=f"RAck: {early.header('RSeq')} 1 INVITE\r\n") == 200
        elif proof == "RTP":
            peer.samples, peer.remote = tones.tone(PHONE_HZ, 1000), media_of(early)
        await run(group, 1500)
        said = f"its audio waits after 5 packets: nothing has come from {at}:{peer.port}"
        if proof in ("nothing", "trusted, elsewhere"):
            assert 0 < len(peer.packets) <= 5
            await asyncio.to_thread(wait_until, lambda: said in server.log, "the cause")
            await run(group, 500)
            assert server.log.count(said) == 1
        else:
            await hear(group, peer, ANNOUNCED_HZ)
            # between its first packets and the sign of a phone that the machine keeps waiting there may be a second
            assert proof in ("PRACK", "RTP") or said not in server.log
        call.send_request("CANCEL", cseq=1, branch=call.branch)
        await call.next(487)
    phone.close()


@pytest.mark.parametrize("stranger_ip", ["127.0.0.66", "127.0.0.1"])
@pytest.mark.parametrize("speaks", [False, True])
async def test_a_stranger_who_sprays_in_sequence_gets_nothing(phone: UdpPeer, stranger_ip: str, speaks: bool) -> None:
    """From before the call on, to every port near it; the phone listens to an announcement, or speaks half a second later."""
    with PeerGroup() as group:
        peer = group.peer()
        stranger = Peer(tones.tone(STRANGER_HZ, 1000), bind_ip=stranger_ip)
        group.peers.append(stranger)
        call = invite(phone, "announce", "127.0.0.1", peer.port)
        reply = await call.next(200)
        stranger.remote = media_of(reply)
        await run(group, 200)
        call.ack()
        await run(group, 500)
        if speaks:
            peer.samples, peer.remote = tones.tone(PHONE_HZ, 1000), media_of(reply)
        peer.forget()
        await run(group, 2000)
        await asyncio.to_thread(group.run_until, lambda: len(peer.packets) > 90, "its audio goes on")
        assert len(stranger.packets) <= 5
        assert tones.heard(peer.heard(200), EVERY_HZ) == {ANNOUNCED_HZ}
        assert await call.bye() == 200


@pytest.mark.parametrize("silent_ms", [0, 12_000])
async def test_a_phone_behind_nat_is_heard_and_hears_however_long_it_is_silent(phone: UdpPeer, silent_ms: int) -> None:
    with PeerGroup() as group:
        peer = group.peer()
        stranger = Peer(tones.tone(STRANGER_HZ, 1000), bind_ip="127.0.0.66")
        group.peers.append(stranger)
        call = invite(phone, "echo", BEHIND_NAT, 4000)
        stranger.remote = await answered(call)
        await run(group, 80 + silent_ms)
        peer.samples, peer.remote = tones.tone(PHONE_HZ, 1000), stranger.remote
        await hear(group, peer, PHONE_HZ)
        assert stranger.packets == []
        assert await call.bye() == 200


async def test_a_listening_phone_behind_nat_hears_from_its_first_keepalive(phone: UdpPeer) -> None:
    with PeerGroup() as group:
        peer = group.peer()
        call = invite(phone, "announce", BEHIND_NAT, 4000)
        peer.remote = await answered(call)
        await run(group, 300)
        assert peer.packets == []
        peer.send_raw(b"")
        await hear(group, peer, ANNOUNCED_HZ)
        assert await call.bye() == 200


async def reinvited(call: PeerCall, body: str) -> None:
    call.send_request("INVITE", body)
    assert await call.final() == 200
    call.ack()


@pytest.mark.parametrize("hold", ["0.0.0.0", "inactive"])
async def test_a_phone_whose_nat_gives_each_destination_a_port_of_its_own(phone: UdpPeer, hold: str) -> None:
    """Its description names the port that a STUN server saw, where nothing gets through; it holds the call and comes back."""
    with PeerGroup() as group:
        seen_by_stun, phone_side = group.peer(), group.peer(PHONE_HZ)
        offer = description(seen_by_stun.port)
        call = invite(phone, "echo", "127.0.0.1", seen_by_stun.port)
        phone_side.remote = await answered(call)
        await hear(group, phone_side, PHONE_HZ)
        await reinvited(call, offer.replace("127.0.0.1", hold) if hold == "0.0.0.0" else offer.replace("sendrecv", hold))
        await asyncio.to_thread(group.run_until_silent, phone_side)
        await reinvited(call, offer)
        await hear(group, phone_side, PHONE_HZ)
        assert await call.bye() == 200


@pytest.mark.parametrize("proof", ["speaks", "reports"])
async def test_a_stranger_behind_the_same_address_gets_nothing_once_the_phone_is_heard_of(phone: UdpPeer, proof: str) -> None:
    with PeerGroup() as group:
        peer, stranger = group.peer(), group.peer(STRANGER_HZ)
        call = invite(phone, "announce", "127.0.0.1", peer.port)
        stranger.remote = peer.remote = await answered(call)
        await run(group, 400)
        if proof == "speaks":
            peer.samples = tones.tone(PHONE_HZ, 1000)
        else:
            peer.send_raw(struct.pack(">BBHI", 0x80, 201, 1, peer.ssrc))
        await run(group, 1000)
        await hear(group, peer, ANNOUNCED_HZ)
        assert stranger.packets == []
        assert await call.bye() == 200
