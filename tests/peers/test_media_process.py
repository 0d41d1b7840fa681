# SPDX-License-Identifier: GPL-2.0-or-later
"""The real media process over real sockets: announcements, rooms, echo, digits, hostile and foreign packets."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import socket
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from media.control.play_items import PlayBridge, PlayEcho, PlayFile, PlayRecord, PlayRoom, PlaySeparator, PlayTone
from media.control.recording_records import (
    RecordingStopped,
    RoomRecordingStopped,
    StartRecording,
    StartRoomRecording,
    StopRecording,
    StopRoomRecording,
)
from media.control.records import (
    CloseLeg,
    ConnectLeg,
    DigitPressed,
    Enqueue,
    FlushPlaylist,
    ItemFailed,
    LegFailed,
    LegOpened,
    LoadPrompt,
    MixIn,
    OpenLeg,
    PlaylistEmptied,
    PromptLoaded,
    RtpTimedOut,
    SendDigit,
    SeparatorReached,
    SetLegAudio,
    SetRtpTimeout,
    SetupMixIn,
    TeeRoom,
)
from media.files.audio_file import read_audio
from tests.support import tones
from tests.support.media_server import MediaServer
from tests.support.rtp_peer import PCMA, PCMU, Peer, PeerGroup, Received

ALL_HZ = [400.0, 600.0, 800.0, 500.0, 700.0, 900.0]


@pytest.fixture(scope="module")
def server() -> Iterator[MediaServer]:
    with MediaServer() as running:
        yield running


@pytest.fixture
def legs(server: MediaServer) -> Iterator[Iterator[int]]:
    """Numbers for new legs; the legs are closed afterwards."""
    used: list[int] = []

    def numbers() -> Iterator[int]:
        while True:
            used.append(random.getrandbits(30) + 1)
            yield used[-1]

    yield numbers()
    server.send(*(CloseLeg(leg) for leg in used))


def test_announcement_is_heard_in_order_and_then_reported_over(server: MediaServer, legs: Iterator[int], tmp_path: Path) -> None:
    path = str(tones.write_wav(tmp_path / "melody.wav", tones.sequence([500, 700, 900], 200, 22050), 22050))
    with PeerGroup() as group:
        peer, leg = group.peer(400, PCMA), next(legs)
        server.connect(leg, peer)
        server.send(Enqueue(leg, (PlayFile(path), PlaySeparator(7))))
        group.run_ms(800)
        assert server.wait_for(SeparatorReached, leg=leg).number == 7
        server.wait_for(PlaylistEmptied, leg=leg)
        group.run_ms(100)
        assert melody(peer, 100) == [500, 700, 900]


def melody(peer: Peer, each_ms: int) -> list[float]:
    """The notes heard; a packet that a busy machine lost makes no second note."""
    return [note for note, _ in groupby(note for note in tones.loudest(peer.heard(), ALL_HZ, each_ms) if note)]


def test_room_members_hear_each_other_and_nobody_else(server: MediaServer, legs: Iterator[int]) -> None:
    with PeerGroup() as group:
        peers = [group.peer(400, PCMU), group.peer(600, PCMA), group.peer(800, PCMU)]
        for peer, room in zip(peers, ("room1", "room1", "room2"), strict=True):
            leg = next(legs)
            server.connect(leg, peer)
            server.send(Enqueue(leg, (PlayRoom(room),)))
        group.hear(dict(zip(peers, [{600.0}, {400.0}, set[float]()], strict=True)), ALL_HZ)


def test_mute_and_deaf_change_who_hears_whom(server: MediaServer, legs: Iterator[int]) -> None:
    with PeerGroup() as group:
        peers, numbers = [group.peer(400), group.peer(600), group.peer(800)], [next(legs) for _ in range(3)]
        for peer, leg in zip(peers, numbers, strict=True):
            server.connect(leg, peer)
            server.send(Enqueue(leg, (PlayRoom("muting"),)))
        server.send(SetLegAudio(numbers[0], muted=True), SetLegAudio(numbers[1], deaf=True))
        group.hear(dict(zip(peers, [{600.0, 800.0}, set[float](), {600.0}], strict=True)), ALL_HZ)


def test_teed_leg_is_heard_in_two_rooms_and_hears_its_own(server: MediaServer, legs: Iterator[int]) -> None:
    with PeerGroup() as group:
        peers, numbers = [group.peer(400), group.peer(600, PCMA), group.peer(800)], [next(legs) for _ in range(3)]
        for peer, leg, room in zip(peers, numbers, ("own", "own", "teed"), strict=True):
            server.connect(leg, peer)
            server.send(Enqueue(leg, (PlayRoom(room),)))
        server.send(TeeRoom(numbers[0], "teed"))
        group.hear(dict(zip(peers, [{600.0}, {400.0}, {400.0}], strict=True)), ALL_HZ)
        server.send(TeeRoom(numbers[0], "teed", False))
        group.hear({peers[2]: set(), peers[1]: {400.0}}, ALL_HZ)


def test_mixed_in_file_has_its_share_and_ends(server: MediaServer, legs: Iterator[int], tmp_path: Path) -> None:
    path = str(tones.write_wav(tmp_path / "over.wav", tones.tone(700, 700, amplitude=8000)))
    with PeerGroup() as group:
        peer, other, leg, far = group.peer(), group.peer(600), next(legs), next(legs)
        server.connect(leg, peer)
        server.connect(far, other)
        server.send(*(Enqueue(number, (PlayRoom("mixed"),)) for number in (leg, far)))
        group.hear({peer: {600.0}}, ALL_HZ)
        (alone, _), *_ = levels(peer)
        server.send(SetupMixIn(leg, 0.25), MixIn(leg, (PlayFile(path),), replace=True))
        peer.forget()
        group.run_until(lambda: tones.heard(peer.heard()[-1600:], ALL_HZ) == {600, 700}, "the file")
        group.run_until(lambda: tones.heard(peer.heard()[-1600:], ALL_HZ) == {600}, "the file's end")
        assert tones.heard(other.heard(), ALL_HZ) == set()
    both = np.median([pair for pair in levels(peer) if pair[1] > 1000], axis=0)
    assert both[0] / alone == pytest.approx(0.75, abs=0.03)
    assert both[1] / 8000 == pytest.approx(0.25, abs=0.01)


def levels(peer: Peer) -> list[tuple[float, float]]:
    """Of 600 and of 700 Hz in each 20 ms heard, the median of all 600 Hz first."""
    sound = peer.heard()
    each = [
        (tones.level(part, 600), tones.level(part, 700))
        for part in np.split(sound, range(160, len(sound), 160))
        if len(part) == 160
    ]
    return [(float(np.median([one for one, _ in each])), 0.0), *each]


def test_echo_gives_back_the_own_voice(server: MediaServer, legs: Iterator[int]) -> None:
    with PeerGroup() as group:
        peer, leg = group.peer(600), next(legs)
        server.connect(leg, peer)
        server.send(Enqueue(leg, (PlayEcho(),)))
        group.hear({peer: {600.0}}, ALL_HZ)


def test_bridge_joins_two_legs_only(server: MediaServer, legs: Iterator[int]) -> None:
    with PeerGroup() as group:
        one, other, a, b = group.peer(400), group.peer(600, PCMA), next(legs), next(legs)
        server.connect(a, one)
        server.connect(b, other)
        server.send(Enqueue(a, (PlayBridge(b),)), Enqueue(b, (PlayBridge(a),)))
        group.hear({one: {600.0}, other: {400.0}}, ALL_HZ)


def test_front_item_interrupts_and_flush_says_nothing(server: MediaServer, legs: Iterator[int], tmp_path: Path) -> None:
    long = str(tones.write_wav(tmp_path / "long.wav", tones.sequence([500, 500, 500, 500, 900, 900, 900, 900, 900], 600)))
    short = str(tones.write_wav(tmp_path / "short.wav", tones.tone(700, 200)))
    with PeerGroup() as group:
        peer, leg = group.peer(), next(legs)
        server.connect(leg, peer)
        server.send(Enqueue(leg, (PlayFile(long),)))
        group.run_until(lambda: 500 in melody(peer, 40), "its first note")
        server.send(Enqueue(leg, (PlayFile(short),), front=True))
        group.run_until(lambda: 900 in melody(peer, 40), "the second note of the long one")
        heard = melody(peer, 40)
        server.send(FlushPlaylist(leg))
        group.hear({peer: set()}, ALL_HZ, 200)
        assert heard == [500, 700, 500, 900]
        assert not [e for e in server.events if isinstance(e, PlaylistEmptied) and e.leg == leg]


def test_digit_is_reported_once_with_and_without_its_end(server: MediaServer, legs: Iterator[int]) -> None:
    with PeerGroup() as group:
        peer, leg = group.peer(400), next(legs)
        server.connect(leg, peer)
        group.run_ms(100)
        for event, ends in ((5, 3), (5, 3), (11, 0), (15, 1)):
            peer.press(event, 100, ends=ends)
            group.run_ms(60)
        pressed = [server.wait_for(DigitPressed, leg=leg) for _ in range(4)]
        assert [(e.event, e.duration_ms) for e in pressed] == [(5, 100), (5, 100), (11, 100), (15, 100)]
        group.run_ms(400)
        server.collect(0.1)
        assert not [e for e in server.events if isinstance(e, DigitPressed) and e.leg == leg], "each is told once"


def test_unusual_source_is_latched_after_packets_in_sequence(server: MediaServer, legs: Iterator[int]) -> None:
    """A peer behind NAT: packets come from another address than its SDP names."""
    with PeerGroup() as group:
        real, leg = group.peer(600), next(legs)
        server.send(OpenLeg(leg, "10.255.1.7", 4000))
        opened = server.wait_for(LegOpened, leg=leg)
        real.remote = (opened.ip, opened.port)
        server.send(ConnectLeg(leg, "10.255.1.7", 4000, "PCMU", 8000, 0, 0, signalling=("127.0.0.1",)))
        server.send(Enqueue(leg, (PlayEcho(),)))
        group.hear({real: {600.0}}, ALL_HZ)
        assert server.statistics(leg)["locked"] == 1


def test_stranger_is_neither_heard_nor_sent_to_once_the_source_is_locked(server: MediaServer, legs: Iterator[int]) -> None:
    with PeerGroup() as group:
        peer, stranger, leg = group.peer(600), group.peer(900), next(legs)
        server.connect(leg, peer)
        server.send(Enqueue(leg, (PlayEcho(),)))
        group.run_until(lambda: server.statistics(leg)["locked"], "the source is locked")
        stranger.remote = peer.remote
        group.run_ms(800)
        assert stranger.packets == []
        group.hear({peer: {600.0}}, ALL_HZ)
        assert stranger.packets == []


def test_garbage_is_counted_and_changes_nothing(server: MediaServer, legs: Iterator[int]) -> None:
    random_bytes = random.Random(7)
    with PeerGroup() as group:
        peer, leg = group.peer(600), next(legs)
        server.connect(leg, peer)
        server.send(Enqueue(leg, (PlayEcho(),)))
        group.run_ms(100)
        before = server.statistics()
        for length in range(200):
            peer.send_raw(random_bytes.randbytes(length))

        def dropped() -> float:
            counted = server.statistics().items()
            return sum(v - before[k] for k, v in counted if k.startswith("packets_dropped") or k == "rtcp_received")

        group.run_until(lambda: dropped() >= 190, "they are counted")
        group.hear({peer: {600.0}}, ALL_HZ)


def test_missing_and_broken_files_are_named(server: MediaServer, legs: Iterator[int], tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF no sound")
    with PeerGroup() as group:
        peer, leg = group.peer(), next(legs)
        server.connect(leg, peer)
        server.send(Enqueue(leg, tuple(PlayFile(str(tmp_path / n)) for n in ("none.wav", "broken.wav"))))
        assert "No such file" in server.wait_for(ItemFailed, leg=leg, path=str(tmp_path / "none.wav")).reason
        assert "cannot be read" in server.wait_for(ItemFailed, leg=leg, path=str(tmp_path / "broken.wav")).reason
        server.wait_for(PlaylistEmptied, leg=leg)
    server.send(LoadPrompt(9, str(tmp_path / "none.wav")))
    assert server.wait_for(PromptLoaded, request=9).error


def test_silence_of_the_peer_is_reported(server: MediaServer, legs: Iterator[int]) -> None:
    with PeerGroup() as group:
        peer, leg = group.peer(), next(legs)
        server.connect(leg, peer)
        server.send(SetRtpTimeout(leg, 300))
        assert server.wait_for(RtpTimedOut, leg=leg).silent_ms >= 300


def test_failures_of_opening_say_what_is_wrong(server: MediaServer, legs: Iterator[int]) -> None:
    with PeerGroup() as group:
        peer, leg = group.peer(), next(legs)
        server.connect(leg, peer)
        server.send(OpenLeg(leg))
        assert "exists" in server.wait_for(LegFailed, leg=leg).reason
        other = next(legs)
        server.send(OpenLeg(other, "not-an-address", 4000))
        assert "not-an-address" in server.wait_for(LegFailed, leg=other).reason


def test_a_port_in_use_is_passed_over() -> None:
    """On a server of its own: ports that other tests' legs have left stay open, and which of them is free again is a matter of time."""
    with MediaServer(ports=40) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as squatter:
        server.send(OpenLeg(1))
        first = server.wait_for(LegOpened, leg=1).port
        squatter.bind(("127.0.0.1", first + 2))
        server.send(OpenLeg(2))
        assert server.wait_for(LegOpened, leg=2).port not in (first, first + 2)


def test_process_ends_when_the_hub_is_gone() -> None:
    with MediaServer("--grace-ms", "100") as running:
        running.link.shutdown(socket.SHUT_RDWR)
        assert running.process.wait(40) == 0


def test_leg_and_room_recordings_hold_what_was_said(server: MediaServer, legs: Iterator[int], tmp_path: Path) -> None:
    with PeerGroup() as group:
        one, other, a, b = group.peer(400), group.peer(600), next(legs), next(legs)
        server.connect(a, one)
        server.connect(b, other)
        room = str(tmp_path / "room.wav")
        server.send(StartRecording(a, str(tmp_path / "leg.wav")), StartRoomRecording("taped", room, "both"))
        server.send(*(Enqueue(leg, (PlayRoom("taped"),)) for leg in (a, b)))
        group.hear({one: {600.0}, other: {400.0}}, ALL_HZ)
        server.send(SetLegAudio(b, muted=True))
        group.hear({one: set(), other: {400.0}}, ALL_HZ)
        server.send(StopRecording(a), StopRoomRecording("taped"))
        stopped = server.wait_for(RecordingStopped, leg=a)
        taped = server.wait_for(RoomRecordingStopped, room="taped")
    assert (stopped.reason, stopped.size_bytes) == ("asked", Path(stopped.path).stat().st_size)
    said = read_audio(stopped.path, 8000)
    assert stopped.length_ms * 8 == len(said) > 8000
    assert tones.heard(said[3200:], ALL_HZ) == {400}
    assert {Path(p).name for p in taped.paths} == {"room.wav", f"room-{a}.wav", f"room-{b}.wav"}
    mix = read_audio(room, 8000)
    parts = [tones.heard(mix[i : i + 1600], ALL_HZ) for i in range(0, len(mix) - 1600, 1600)]
    assert parts.count({400, 600}) >= 2, "while both were heard"
    assert tones.heard(mix[-3200:], ALL_HZ) == {400}, "then one is muted"
    assert len(read_audio(str(tmp_path / f"room-{b}.wav"), 8000)) == len(mix) == taped.length_ms * 8
    about = json.loads(taped.about)
    assert (about["samples"], about["rate_hz"], about["mix"]) == (len(mix), 8000, "room.wav")
    story = about["events"]
    assert [(e["event"], e["leg"]) for e in story][:3] == [("joined", a), ("joined", b), ("muted", b)]


def test_recording_stops_by_itself_and_reports_what_cannot_be_written(
    server: MediaServer, legs: Iterator[int], tmp_path: Path
) -> None:
    with PeerGroup() as group:
        peer, a, b, c = group.peer(400), next(legs), next(legs), next(legs)
        server.connect(a, peer)
        server.connect(b, group.peer())
        server.connect(c, group.peer(400))
        server.send(Enqueue(a, (PlayRecord(path=str(tmp_path / "item.wav"), length_ms=300), PlaySeparator(4))))
        server.send(StartRecording(b, str(tmp_path / "quiet.wav"), silence_ms=200))
        server.send(StartRecording(c, str(tmp_path / "none" / "x.wav")))
        group.run_ms(600)
        assert server.wait_for(RecordingStopped, leg=a).reason == "length"
        server.wait_for(SeparatorReached, leg=a)
        assert server.wait_for(RecordingStopped, leg=b).reason == "silence"
        assert "cannot be written" in server.wait_for(RecordingStopped, leg=c).reason
    assert len(read_audio(str(tmp_path / "item.wav"), 8000)) == 2400


def test_sent_digit_is_a_key_press_on_the_wire(server: MediaServer, legs: Iterator[int]) -> None:
    with PeerGroup() as group:
        peer, leg = group.peer(400), next(legs)
        server.connect(leg, peer)
        server.send(SendDigit(leg, 11, 100))

        def key() -> list[Received]:
            return [p for p in peer.packets if p.payload_type == 101]

        group.run_until(lambda: len(key()) >= 7, "the key and its end")
        group.run_ms(200)
        events = key()
        assert len({p.ts for p in events}) == 1
        assert [p.payload[0] for p in events] == [11] * 7
        assert [p.payload[1] >> 7 for p in events] == [0] * 4 + [1] * 3


def test_ipv6_legs_are_served_beside_ipv4() -> None:
    with MediaServer(ips=("127.0.0.1", "::1")) as server, PeerGroup() as group:
        six, four = group.peer(400, bind_ip="::1"), group.peer(600)
        for leg, peer in ((1, six), (2, four)):
            server.connect(leg, peer)
            server.send(Enqueue(leg, (PlayRoom("both"),)))
        group.hear({six: {600.0}, four: {400.0}}, ALL_HZ)


def test_bytes_that_are_no_records_end_the_process_without_a_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with MediaServer("--grace-ms", "50") as running:
        running.link.sendall(random.Random(1).randbytes(5000))
        running.process.wait(40)
        assert running.process.returncode == 0
    assert "Traceback" not in capfd.readouterr().err


@dataclasses.dataclass(frozen=True, slots=True)
class Nonsense:
    """No record of the media process."""


def test_commands_with_senseless_fields_are_refused_and_the_rest_served(
    server: MediaServer, legs: Iterator[int], tmp_path: Path
) -> None:
    with PeerGroup() as group:
        peer, leg = group.peer(400), next(legs)
        server.connect(leg, peer)
        server.send(
            Enqueue(
                leg,
                (
                    Nonsense(),
                    PlayTone((-5, 10**9), on_ms=-1, off_ms=10**9, length_ms=40),
                ),
            ),
            SendDigit(leg, 99, -1),
            SetRtpTimeout(leg, -5),
            SetLegAudio(leg, gain_db=1e300),
            CloseLeg(2**40),
            Enqueue(2**40, (PlayEcho(),)),
            StartRoomRecording("r", str(tmp_path / "r.wav"), "sideways"),
            LoadPrompt(3, "a\0b"),
        )
        assert "Nonsense" in server.wait_for(ItemFailed, leg=leg).reason
        assert server.wait_for(PromptLoaded, request=3).error
        server.wait_for(PlaylistEmptied, leg=leg)
        assert server.statistics(leg)["packets_sent"] >= 1


def test_priority_counts_against_other_sessions_too(server: MediaServer) -> None:
    group, pid = Path(f"/proc/{server.process.pid}/autogroup"), server.process.pid
    if os.geteuid() != 0:
        pytest.skip("only root may ask for priority")
    assert os.getpriority(os.PRIO_PROCESS, pid) == -10
    assert not group.exists() or group.read_text().endswith("nice -10\n")
