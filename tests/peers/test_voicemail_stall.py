# SPDX-License-Identifier: GPL-2.0-or-later
"""Many callers leave messages at once while the disk stands still for seconds: a real file system that is frozen. No message has a gap."""

from __future__ import annotations

import itertools
import os
import re
import resource
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from media.codecs import find
from tests.support import tones
from tests.support.mail_server import MailServerPeer
from tests.support.ports import free_ports
from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp
from tests.support.sizes import LONG
from tests.support.voicemail import PLUGINS, VOICEMAIL, configuration, sound_of, write_prompts

pytestmark = [
    pytest.mark.peers,
    pytest.mark.alone,
    pytest.mark.long,
    pytest.mark.skipif(
        not LONG or os.getuid() != 0, reason="takes a minute and both cores (CORDBOARD_LONG), and mounts a disk (root)"
    ),
]

CALLERS = int(os.environ.get("CORDBOARD_CALLERS", "500"))
RATE = 50
SPEAK_MS = 16_000
STALL_S = 5.0
TONE_HZ = 500.0
DISK_MB = 900
SECOND_BYTES = 16_000


class FreezingDisk:
    """An ext4 file system of its own, which `freeze` lets stand still: whoever writes hangs until `thaw`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "disk"
        self.folder.mkdir()
        image = folder / "disk.img"
        subprocess.run(["truncate", "-s", f"{DISK_MB}M", str(image)], check=True)
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(self.folder)], check=True)
        self._lock = threading.Lock()
        self.frozen = False

    def freeze(self) -> None:
        """From now on nothing is written."""
        with self._lock:
            subprocess.run(["fsfreeze", "-f", str(self.folder)], check=True)
            self.frozen = True

    def thaw(self) -> None:
        """It goes on."""
        with self._lock:
            if self.frozen:
                subprocess.run(["fsfreeze", "-u", str(self.folder)], check=True)
                self.frozen = False

    def close(self) -> None:
        """Give it back."""
        self.thaw()
        subprocess.run(["umount", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FreezingDisk]:
    made = FreezingDisk(tmp_path)
    yield made
    made.close()


def heard(sound: np.ndarray) -> tuple[int, int, int]:
    """How long the tone is in samples; how many of its frames are not the tone, and how many of them one after the other.

    A packet that comes too late on a busy machine is concealed and costs a frame, or two that it lies across; the server counts them. A block
    that the writer lost costs fifty and makes it shorter.
    """
    loud = np.flatnonzero(np.abs(sound.astype(int)) > 1000)
    if not len(loud):
        return 0, 0, 0
    wrong = [tones.level(sound[at : at + 160], TONE_HZ) < 5000 for at in range(loud[0] + 160, loud[-1] - 320, 160)]
    together = max((len(list(run)) for is_wrong, run in itertools.groupby(wrong) if is_wrong), default=0)
    return int(loud[-1] - loud[0]), sum(wrong), together


@pytest.mark.timeout(600)
def test_no_message_has_a_gap(tmp_path: Path, disk: FreezingDisk) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # sipp has some sockets a stream
    spoken = tmp_path / "tone.ulaw"
    codec = find("PCMU", 8000)
    assert codec is not None
    spoken.write_bytes(codec.encode(tones.tone(TONE_HZ, SPEAK_MS)).tobytes())
    voicemail = VOICEMAIL.replace("spool_dir=spool/disk/voicemail", f"spool_dir={disk.folder}/voicemail").replace(
        "max_record_time=20", "max_record_time=60"
    )
    voicemail = voicemail.replace("silence_end=0.6", "silence_end=0")
    with MailServerPeer(tmp_path) as mail_server:
        files = configuration(mail_server, voicemail)
        files["msg_storage.conf"] = f"storage_dir={disk.folder}/boxes\nmin_free_mb=0\n"
        low = free_ports(2 * CALLERS + 100)
        ports = f"loglevel=2\nrtp_low_port={low}\nrtp_high_port={low + 2 * CALLERS + 99}"
        server = Server(tmp_path / "server", files, ports, PLUGINS, start=False)
        write_prompts(server.etc)
        with server:
            server.start()
            hold_ms = SPEAK_MS + 2000
            replace = {"FILE": str(spoken), "WAIT": "1500"}
            with Sipp(
                "leaves_message",
                server.sip_port,
                calls=CALLERS,
                rate=RATE,
                user="u%d",
                hold_ms=hold_ms,
                replace=replace,
                trace=False,
                timeout_s=300,
            ) as callers:
                wait_until(lambda: callers.answered == CALLERS, "all callers are up", 60)
                time.sleep(2)
                disk.freeze()
                began = time.monotonic()
                time.sleep(STALL_S)  # this long is the stall, whatever the machine does meanwhile
                waiting = metric(server, "cordboard_media_recording_waiting_bytes")
                disk.thaw()
                stalled_s = time.monotonic() - began
                result = callers.wait()
            assert result.successful == CALLERS, result.errors
            late = metric(server, "cordboard_media_packets_late_total")
            boxes = disk.folder / "boxes" / "3"
            wait_until(lambda: len(list(boxes.glob("u*/*.wav"))) == CALLERS, f"{CALLERS} messages", 120)
            wait_until(lambda: server.xml.calls() == 0, "all calls are over", 60)
        sounds = [heard(sound_of(path.read_bytes())) for path in boxes.glob("u*/*.wav")]
        assert "Traceback" not in server.log and not re.search("ERROR: (call|recording)", server.log), server.log[-3000:]
    lengths, wrong, together = (sorted(values) for values in zip(*sounds, strict=True))
    print(f"{CALLERS} messages, {stalled_s:.1f} s of stall, {waiting >> 10} KiB waited for the disk; {SPEAK_MS} ms were said,")
    print(
        f"{lengths[0] / 8:.0f} to {lengths[-1] / 8:.0f} ms kept; frames without the tone: {sum(wrong)}, most {together[-1]} together; {late} packets "
        "came too late to be played"
    )
    assert waiting > CALLERS * SECOND_BYTES, "the disk did not stall: the test shows nothing"
    assert lengths[0] >= (SPEAK_MS - 60) * 8
    assert sum(wrong) <= 2 * late, "a frame is missing that no late packet explains"
    assert together[-1] <= 5 and sum(wrong) < 0.01 * CALLERS * SPEAK_MS / 20


def metric(server: Server, name: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.web_port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return int(sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name)))
