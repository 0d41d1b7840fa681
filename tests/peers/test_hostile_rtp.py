# SPDX-License-Identifier: GPL-2.0-or-later
"""Attackers at the real media process's sockets: RTP bleed, injection, mutated packets, packets for calls that are over
(anchors R1, R2, R5, R6). Full size with CORDBOARD_LONG=1.
"""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Iterator

import numpy as np
import pytest

from media.control.play_items import PlayEcho
from media.control.records import CloseLeg, ConnectLeg, Enqueue, LegOpened, OpenLeg
from tests.support import tones
from tests.support.media_server import MediaServer
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.server import wait_until
from tests.support.sizes import size
from tests.support.stalls import calm

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

SPRAY_MS = size(3000, 60_000)
MUTATED = size(5000)
CHURN = size(400, 1000)
PORTS = 400
OWN_HZ, FOREIGN_HZ = 600.0, 900.0
LOUD = bytes([0x80] * 160)


@pytest.fixture
def server() -> Iterator[MediaServer]:
    with MediaServer("--rest-ms", "2000", ports=PORTS) as running:
        yield running


def echo(server: MediaServer, leg: int, peer: Peer) -> LegOpened:
    """A leg that hears itself."""
    opened = server.connect(leg, peer)
    server.send(Enqueue(leg, (PlayEcho(),)))
    return opened


def spray(attacker: Peer, ports: list[int], packet: bytes) -> None:
    """The same packet to each of those ports."""
    for port in ports:
        attacker.socket.sendto(packet, ("127.0.0.1", port))
    attacker.read()


@pytest.mark.parametrize("numbering", ["constant", "random", "in sequence"])
def test_spray_over_the_whole_range_during_ten_calls_gets_nothing_back(server: MediaServer, numbering: str) -> None:
    """R1. Another machine and another port of the peers' own machine attack; half of the peers are silent at first."""
    with PeerGroup() as group:
        peers = [group.peer(OWN_HZ) for _ in range(10)]
        low = min(echo(server, leg, peer).port for leg, peer in enumerate(peers, 1))
        own = [peer.samples for peer in peers]
        for peer in peers[:5]:
            peer.samples = None
        attackers = [Peer(bind_ip=ip) for ip in ("127.0.0.66", "127.0.0.1")]
        group.peers += attackers
        chance = random.Random(1)
        taken = {
            peer.port for peer in group.peers
        }  # of this machine too: one may lie in the range and would hear the spray itself
        every = [port for port in range(low, low + PORTS) if port not in taken]
        rounds, after, locked_from = SPRAY_MS // 200, 0, list[int]()
        for number in itertools.count():
            if number >= rounds and (after >= rounds // 4 or number >= 4 * rounds):
                break
            if number == rounds // 2:
                for peer, samples in zip(peers, own, strict=True):
                    peer.samples = samples
            for attacker in attackers:
                sequence = {"constant": 7, "random": chance.getrandbits(16), "in sequence": number}[numbering]
                stamp = chance.getrandbits(32) if numbering == "random" else 160 * number
                packet = struct.pack(">BBHII", 0x80, 0, sequence & 0xFFFF, stamp & 0xFFFFFFFF, attacker.ssrc) + LOUD
                for first in range(0, PORTS, 40):
                    spray(attacker, every[first : first + 40], packet)
            group.run_ms(200)
            after += bool(locked_from)  # on a busy machine they lock later, and are sprayed for as long after that
            if number >= rounds // 2 and not locked_from and all(server.statistics(leg)["locked"] for leg in range(1, 11)):
                group.run_ms(100)  # what was on its way
                locked_from = [len(attacker.packets) for attacker in attackers]
        assert after >= rounds // 4, "not all calls have locked to their peers"
        assert [len(attacker.packets) for attacker in attackers] == locked_from, "something leaked after the lock"
        assert sum(len(attacker.packets) for attacker in attackers) <= 5
        counters = server.statistics()
        assert counters["packets_dropped_stranger"] + counters["packets_candidate"] >= 10 * rounds
        for peer in peers:
            assert tones.heard(peer.heard()[-3200:], [OWN_HZ]) == {OWN_HZ}
        for leg in range(1, 11):
            assert server.statistics(leg)["locked"] == 1


def test_injected_packets_are_not_heard_and_change_no_stream(server: MediaServer) -> None:
    """R2. Strangers who know everything (sequence, timestamp, SSRC) or start an SSRC of their own, before and behind the peer."""
    numbers = itertools.count(1)

    def measure() -> None:
        with PeerGroup() as group:
            peer, strangers = group.peer(OWN_HZ), [group.peer(FOREIGN_HZ) for _ in range(3)]
            leg = next(numbers)
            echo(server, leg, peer)
            dropped = server.statistics()["packets_dropped_stranger"]
            group.run_ms(400)

            def unread() -> float:
                return peer.sent - server.statistics(leg)["packets_received"]

            wait_until(lambda: unread() <= 1, "all are read")  # the first one may have come before the leg
            missed, before = unread(), server.statistics(leg)
            for stranger, ahead, own_ssrc in zip(strangers, (0, 1, 400), (False, True, True), strict=True):
                stranger.remote = peer.remote
                stranger.sequence, stranger.ts = peer.sequence + ahead, peer.ts + 160 * ahead
                stranger.ssrc = stranger.ssrc if own_ssrc is False else peer.ssrc
            peer.forget()
            group.run_ms(1600)
            wait_until(lambda: unread() <= missed, "all are read")
            after = server.statistics(leg)
            assert tones.heard(peer.heard()[:-800], [OWN_HZ, FOREIGN_HZ]) == {OWN_HZ}
            assert all(stranger.packets == [] for stranger in strangers)
            assert (after["resyncs"], after["packets_lost"]) == (before["resyncs"], 0)
            assert 0 <= peer.sent - after["packets_received"] <= missed
            injected = dropped + sum(stranger.sent for stranger in strangers)
            wait_until(lambda: server.statistics()["packets_dropped_stranger"] >= injected - 3, "theirs are dropped")

    calm(measure, 4)


def mutated(chance: random.Random, ssrc: int) -> bytes:
    """An RTP or RTCP packet with something wrong about it."""
    if chance.random() < 0.5:
        packet = bytearray(
            struct.pack(">BBHII", 0x80, chance.choice((0, 101)), chance.getrandbits(16), chance.getrandbits(32), ssrc)
        )
        packet += chance.randbytes(160)
    else:
        words = chance.randrange(1, 12)
        packet = bytearray(struct.pack(">BBHI", 0x81, chance.choice((200, 201, 202, 203, 204)), words, ssrc))
        packet += struct.pack(">I", ssrc) + chance.randbytes(
            4 * words - 4
        )  # as RTP it is no other stream, which would count anew
    kind = chance.randrange(6)
    if kind == 0:
        packet = packet[: chance.randrange(1, 13)]
    elif kind == 1:  # padding longer than the packet
        packet[0] |= 0x20
        packet[-1] = chance.choice((0, 255, len(packet), len(packet) - 11))
    elif kind == 2:
        packet[0] |= 0x0F
    elif kind == 3:  # extension longer than the packet
        packet[0] |= 0x10
        packet[12:16] = struct.pack(">HH", 0xBEDE, chance.choice((0, 1, 36, 40, 0xFFFF)))
    else:
        for _ in range(chance.randrange(1, 5)):
            packet[chance.choice([*range(min(8, len(packet))), *range(min(12, len(packet)), len(packet))])] = chance.getrandbits(
                8
            )
    return bytes(packet)


def test_mutated_packets_are_all_accounted_for_and_the_call_goes_on(server: MediaServer) -> None:
    """R5, over sockets, from the peer itself and from a stranger, to RTP and RTCP ports."""
    chance = random.Random(11)
    with PeerGroup() as group:
        peer, stranger = group.peer(OWN_HZ), group.peer()
        opened = echo(server, 1, peer)
        group.run_ms(200)
        before, before_leg, sent, reports = server.statistics(), server.statistics(1), 0, 0
        while sent < MUTATED:
            for _ in range(50):
                source, port = chance.choice((peer, stranger)), opened.port + chance.choice((0, 0, 0, 1))
                packet = mutated(chance, peer.ssrc)
                source.socket.sendto(packet, ("127.0.0.1", port))
                sent += 1
                reports += len(packet) >= 8 and packet[0] >> 6 == 2 and 192 <= packet[1] <= 223
            peer.read()
            server.statistics()  # a full turn of its loop: nothing is lost in a socket's queue
        wait_until(lambda: server.statistics()["rtcp_received"] - before["rtcp_received"] == reports, "all RTCP was read")
        after, leg = server.statistics(), server.statistics(1)
        taken = {name: int(after[name] - before[name]) for name in after if name in before}
        places = ("malformed", "stranger", "resting", "payload_type", "not_receiving")
        counted = sum(taken[f"packets_dropped_{place}"] for place in places) + taken["packets_duplicate"] + taken["rtcp_received"]
        counted += int(leg["packets_received"] - before_leg["packets_received"])
        assert 0 <= sent - counted <= sent // 200, taken  # comfort noise has no counter
        assert min(taken["packets_dropped_malformed"], taken["packets_dropped_stranger"]) > sent // 20
        peer.sequence, peer.ts = peer.sequence + 5000, peer.ts + 8_000_000
        peer.forget()
        group.run_ms(1600)
        assert tones.heard(peer.heard()[-4800:], [OWN_HZ]) == {OWN_HZ}
        assert server.process.poll() is None


def test_new_calls_never_hear_the_peers_of_old_ones() -> None:
    """R6. Short calls one after the other; the old peers go on talking to where they talked, loudly."""
    batch, leg = 20, 0
    with MediaServer("--rest-ms", "3000", ports=1000) as server, PeerGroup() as group:
        generations = [[group.peer(FOREIGN_HZ) for _ in range(batch)] for _ in range(3)]
        foreign, talking = generations[0][0].samples, 0
        for number in range(CHURN // batch):
            peers = generations[number % 3]
            legs = list(range(leg + 1, leg + batch + 1))
            leg += batch
            for peer in peers:
                peer.samples, peer.remote = None, None
                peer.read()
                peer.forget()
            server.send(*(OpenLeg(one, "127.0.0.1", peer.port) for one, peer in zip(legs, peers, strict=True)))
            for one, peer in zip(legs, peers, strict=True):
                opened = server.wait_for(LegOpened, leg=one)
                peer.remote = (opened.ip, opened.port)
                server.send(ConnectLeg(one, "127.0.0.1", peer.port, "PCMU", 8000, 0, 0), Enqueue(one, (PlayEcho(),)))
            for _ in range(100):
                group.run_ms(160)
                if all(peer.packets for peer in peers):
                    break
            for peer in peers:
                heard = peer.heard()
                assert len(heard) > 0, "a call got no audio at all"
                assert int(np.abs(heard.astype(int)).max()) < 300, f"call of batch {number} hears somebody else"
            for peer in peers[::2]:  # half of them speak before they hang up, the others only afterwards
                peer.samples = foreign
            group.run_ms(60)
            server.send(*(CloseLeg(one) for one in legs))
            for peer in peers:
                peer.samples = foreign
            talking += 1
        assert server.statistics()["packets_dropped_resting"] > 100
        assert server.statistics()["legs"] == 0
        assert talking * batch == CHURN
