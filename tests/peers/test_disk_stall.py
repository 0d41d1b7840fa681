# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that really stalls: recordings go into a named pipe whose reader pauses, so that the writing thread hangs in write(2)."""

from __future__ import annotations

import fcntl
import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from media import codecs
from media.control.play_items import PlayTone
from media.control.recording_records import RecordingStopped, StartRecording, StopRecording
from media.control.records import CloseLeg, Enqueue, QueryStatistics, Statistics
from media.files.audio_file import read_audio
from tests.support import tones
from tests.support.media_server import MediaServer
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.stalls import calm

pytestmark = [pytest.mark.peers, pytest.mark.alone]

PIPE_BYTES = 4096
SECOND_BYTES = 8000


class SlowDisk:
    """A named pipe that takes a page and then nothing until ``resume``; `data`: all that came through."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.data = b""
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self._reader, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(self._reader, True)
        self._thread = threading.Thread(target=self._drain, daemon=True)

    def _drain(self) -> None:
        while part := os.read(self._reader, 65536):
            self.data += part

    def resume(self) -> None:
        """Take everything from now on."""
        self._thread.start()

    def finish(self) -> bytes:
        """Wait for the writer to close the file; return what it wrote."""
        self._thread.join(20)
        assert not self._thread.is_alive(), "the recording was not closed"
        os.close(self._reader)
        return self.data


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SlowDisk]:
    yield SlowDisk(tmp_path / "stalls.ulaw")


def writer_hangs(server: MediaServer) -> bool:
    """Whether a thread of the process sits in write(2) to a pipe, as the kernel says."""
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        try:
            call = (task / "syscall").read_text().split()
            target = os.readlink(f"/proc/{server.process.pid}/fd/{int(call[1], 16)}") if call[0] == "1" else ""
        except (OSError, IndexError, ValueError):
            continue
        if "stalls" in target:
            return True
    return False


def no_gap(peer: Peer, tone_hz: float) -> bool:
    """What a peer heard is one tone without a hole, packet after packet."""
    sequence = np.diff(np.array([p.sequence for p in peer.packets], np.uint16))
    sound = peer.heard(400)
    levels = [tones.level(sound[i : i + 160], tone_hz) for i in range(0, len(sound) - 160, 160)]
    return set(sequence.tolist()) == {1} and min(levels) > 0.95 * max(levels) > 1000


def test_a_stalled_disk_delays_no_tick_and_loses_no_sample(disk: SlowDisk, tmp_path: Path) -> None:
    with MediaServer() as server, PeerGroup() as group:
        taped, beside, told = group.peer(500), group.peer(700), group.peer(900)
        for leg, peer in ((1, taped), (2, beside), (3, told)):
            server.connect(leg, peer)
        server.send(Enqueue(3, (PlayTone((900,)),)))
        server.send(StartRecording(1, str(disk.path)), StartRecording(2, str(tmp_path / "beside.wav")))
        group.run_until(lambda: writer_hangs(server), "the pipe stalls the writer: else the test shows nothing")
        group.run_ms(2000)
        numbers = itertools.count(1001)

        def measure() -> None:
            first, last = next(numbers), next(numbers)
            group.run_ms(40)
            told.forget()
            server.send(QueryStatistics(first))
            group.run_ms(4000)
            server.send(QueryStatistics(last))
            assert writer_hangs(server)
            assert no_gap(told, 900)
            before, now = (server.wait_for(Statistics, request=number).counters for number in (first, last))
            assert now["ticks_skipped"] == before["ticks_skipped"]
            assert abs((now["ticks"] - before["ticks"]) - len(told.packets)) <= 3, "a packet in each tick"
            assert now["recording_waiting_bytes"] >= 2 * 4 * SECOND_BYTES

        calm(measure)
        concealed = [int(server.statistics(leg)["frames_concealed"]) for leg in (1, 2)]
        server.send(StopRecording(1), StopRecording(2))
        server.collect(0.3)
        assert not [e for e in server.events if isinstance(e, RecordingStopped)], "not complete before the disk has it"
        disk.resume()
        stopped, other = (server.wait_for(RecordingStopped, leg=leg, seconds=20) for leg in (1, 2))
        data = disk.finish()
        assert server.statistics()["recording_waiting_bytes"] == 0
    assert (stopped.reason, other.reason) == ("asked", "asked")
    assert len(data) == stopped.length_ms * 8 >= 6000 * 8
    codec = codecs.find("PCMU", 8000)
    assert codec is not None
    holes = [
        missing(sound, tone_hz)
        for sound, tone_hz in ((codec.decode(np.frombuffer(data, np.uint8)), 500), (read_audio(other.path, 8000), 700))
    ]
    for mine, others, late in ((*holes, concealed[0]), (*holes[::-1], concealed[1])):
        # a pause of the busy sender is in both; of a packet that came too late to be played the server knows
        lost = [at for at in mine if not any(abs(at - where) <= 3 for where in others)]
        assert len(lost) <= late, f"no sample is lost: {holes}, concealed {concealed}"
    assert max(len(mine) for mine in holes) < 200, "the tone is there"


def missing(sound: np.ndarray, tone_hz: float) -> list[int]:
    """Places, in frames, of six seconds of speaking at which the tone is not there."""
    loud = np.flatnonzero(np.abs(sound.astype(int)) > 1000)
    assert loud[-1] - loud[0] >= 6000 * 8
    first = loud[0] // 160 + 1
    return [int(i) for i in range(first, first + 298) if tones.level(sound[160 * i : 160 * i + 160], tone_hz) < 6500]


def test_what_waits_is_bounded_and_giving_up_is_said_at_once(tmp_path: Path) -> None:
    folders = (tmp_path / f"attempt{number}" for number in itertools.count())

    def measure() -> None:
        folder = next(folders)
        folder.mkdir()
        give_up(SlowDisk(folder / "stalls.ulaw"), folder)

    calm(measure, 5)


def give_up(disk: SlowDisk, folder: Path) -> None:
    """Record to a disk that stands still until it is given up; a tone beside it has no gap."""
    with MediaServer("--recording-backlog-kb", "64") as server, PeerGroup() as group:
        taped, told = group.peer(500), group.peer(900)
        for leg, peer in ((1, taped), (3, told)):
            server.connect(leg, peer)
        server.send(Enqueue(3, (PlayTone((900,)),)), StartRecording(1, str(disk.path)))
        group.run_ms(6500)
        stopped = server.wait_for(RecordingStopped, leg=1)
        assert writer_hangs(server)
        assert "the disk is too slow" in stopped.reason and str(disk.path) in stopped.reason
        assert stopped.path == str(disk.path)
        assert server.statistics()["recording_waiting_bytes"] <= 64 << 10
        assert no_gap(told, 900)
        disk.resume()
        kept = disk.finish()
        assert len(kept) >= 3 * SECOND_BYTES and len(kept) % SECOND_BYTES == 0, "what had been taken over is written"
        server.send(StartRecording(1, str(folder / "again.wav")))
        group.run_ms(400)
        server.send(CloseLeg(1))
        assert server.wait_for(RecordingStopped, leg=1).reason == "closed"
        assert len(read_audio(str(folder / "again.wav"), 8000)) > 2400
