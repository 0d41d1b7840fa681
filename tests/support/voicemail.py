# SPDX-License-Identifier: GPL-2.0-or-later
"""Voicemail under test: a configuration with prompts that are tones, callers who hear them and say a melody behind the beep."""

from __future__ import annotations

import contextlib
import io
import itertools
from pathlib import Path

import numpy as np
import soundfile

from tests.support import tones
from tests.support.mail_server import PASSWORD, USER, MailServerPeer
from tests.support.phone import Phone
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.server import Server

PLUGINS = "monitoring;msg_storage;voicemail;annrecorder;xmlrpc2di;web"
GREETING_HZ, DE_HZ, OWN_HZ, BEEP_HZ, STORED_HZ, SORRY_HZ, FULL_HZ = 400.0, 500.0, 600.0, 1000.0, 700.0, 800.0, 900.0
RECORDER_HZ = {
    "welcome": 350.0, "your_prompt": 450.0, "to_record": 550.0, "confirm": 650.0, "greeting_set": 750.0, "not_set": 850.0, "bye": 950.0,
}  # fmt: skip
NEW_GREETING_HZ = 1150.0
HEARD = [GREETING_HZ, DE_HZ, OWN_HZ, BEEP_HZ, STORED_HZ, SORRY_HZ, FULL_HZ, NEW_GREETING_HZ, *RECORDER_HZ.values()]
MELODY = [1250.0, 1450.0, 1650.0, 1850.0]
"""What a caller says, `NOTE_MS` each."""
NOTE_MS = 300
STUMBLE_MS = 300
SILENCE_END_S = 2
"""So long a silence ends a recording."""
VOICEMAIL = f"""
default_vm_mode=0
announce_path=vm/
default_announce=greeting.wav
stored_announce=stored.wav
not_stored_announce=sorry.wav
full_announce=full.wav
email_template_path=mail/
spool_dir=spool/disk/voicemail
max_record_time=20
silence_end={SILENCE_END_S}
min_record_time=0.4
try_personal_greeting=yes
min_free_mb=0
"""
MAIL = """
queue_dir=spool/mail
smtp_server=127.0.0.1
smtp_port={port}
smtp_ca_file={ca}
smtp_user={user}
smtp_password={password}
retry_first=0.2
retry_most=0.5
"""
ANNRECORDER = (
    "announce_path=vm/\ndefault_announce=greeting.wav\n"
    + "".join(f"{name}=vm/annrecorder/{name}.wav\n" for name in RECORDER_HZ)
    + "beep=vm/beep.wav\n"
)
QUOTA = 3
DISK_BYTES = 2 << 20
"""A disk of its own for the spool, which a test fills."""
STORAGE = f"storage_dir=spool/boxes\nmin_free_mb=0\nquota_messages={QUOTA}\n"


def configuration(mail_server: MailServerPeer, voicemail: str = VOICEMAIL) -> dict[str, str]:
    mail = MAIL.format(port=mail_server.port, ca=mail_server.ca_file, user=USER, password=PASSWORD)
    return {
        "voicemail.conf": voicemail,
        "mail.conf": mail,
        "msg_storage.conf": STORAGE,
        "app_mapping.conf": "^sip:recorder=>annrecorder\n.=>voicemail\n",
        "annrecorder.conf": ANNRECORDER,
    }


def write_prompts(etc: Path) -> None:
    for name, frequency_hz in (
        ("greeting", GREETING_HZ), ("de/greeting", DE_HZ), ("3/own", OWN_HZ), ("stored", STORED_HZ), ("sorry", SORRY_HZ), ("full", FULL_HZ),
        *((f"annrecorder/{name}", frequency_hz) for name, frequency_hz in RECORDER_HZ.items()),
    ):  # fmt: skip
        path = etc / "vm" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        tones.write_wav(path, tones.tone(frequency_hz, 300))
    tones.write_wav(etc / "vm" / "beep.wav", tones.tone(BEEP_HZ, 200))


def param(mode: str = "", **more: str) -> tuple[str, ...]:
    """The header as the route of the presentation builds it."""
    values = {
        "mod": mode,
        "eml": "anna@shop.example",
        "usr": "anna",
        "snd": "sip:ben@there.example",
        "dom": "shop.example",
        "uid": "17",
        "did": "3",
    }
    return ("P-App-Param: " + ";".join(f"{name}={value}" for name, value in {**values, **more}.items()) + ";",)


class Caller:
    """A phone in a call that listens for tones of the prompts and says a melody behind the beep."""

    def __init__(self, server: Server, group: PeerGroup, headers: tuple[str, ...], user: str = "anna") -> None:
        self.peer: Peer = group.peer()
        self.group = group
        self.phone = Phone(server.sip_port, self.peer)
        self.phone.headers = headers
        self.phone.call(user)

    def hear(self, frequency_hz: float, ms: int = 20_000) -> None:
        """Listen until a tone is heard."""
        for _ in range(ms // 100):
            self.group.run_ms(100)
            if frequency_hz in self.notes():
                return
        raise AssertionError(f"{frequency_hz} Hz was not heard, but {self.notes()}")

    def hear_beep(self) -> None:
        """Listen until the beep is over."""
        self.hear(BEEP_HZ)
        while self.notes()[-1]:
            self.group.run_ms(100)

    def hung_up(self) -> None:
        """Listen until the server hangs up: of what nobody reads for five seconds the kernel keeps no more."""
        for _ in range(400):
            self.group.run_ms(100)
            with contextlib.suppress(AssertionError):  # not yet
                self.phone.hung_up(0.001)
                self.group.run_ms(20)
                return
        raise AssertionError(f"no BYE came; heard {self.heard()}")

    def notes(self) -> list[float]:
        """Tones heard so far, and 0 for silence."""
        return tones.loudest(self.peer.heard(), HEARD, 50)

    def say(self, samples: np.ndarray) -> None:
        """Say something once, from its first sample on."""
        self.peer.samples = samples
        self.peer._position = 0
        self.group.run_ms(len(samples) // 8)
        self.peer.samples = np.zeros(160, np.int16)
        self.group.run_ms(100)  # before a BYE overtakes it

    def heard(self) -> list[float]:
        """Tones so far; one that a busy machine broke in two is one."""
        return [note for note, _ in itertools.groupby(note for note in self.notes() if note)]


def melody(shift_hz: float = 0.0) -> np.ndarray:
    return tones.sequence([note + shift_hz for note in MELODY], NOTE_MS)


def sound_of(data: bytes) -> np.ndarray:
    samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate_hz == 8000
    return np.asarray(samples)


def assert_is(sound: np.ndarray, said: np.ndarray, shift_hz: float = 0.0) -> None:
    """The recording holds all that was said and nothing else: sample count and FFT.

    A caller that a busy machine kept from sending for a while (`STUMBLE_MS`) is heard so much later from there on: what was bridged is more,
    not less.
    """
    loud = np.flatnonzero(np.abs(sound.astype(int)) > 400)
    excess = int(loud[-1] - loud[0] + 1) - len(said)
    assert -160 <= excess <= 8 * STUMBLE_MS, f"{excess + len(said)} samples of {len(said)}"
    wanted = [note + shift_hz for note in MELODY]
    notes = [note for note, _ in itertools.groupby(note for note in tones.loudest(sound[loud[0] : loud[-1]], wanted, 50) if note)]
    assert notes == wanted, notes
    part = sound[loud[0] : loud[-1] + 1]
    for note in wanted:  # no frame of it is missing: one of 20 ms would take eight windows
        levels = np.array([tones.level(part[at : at + 160], note) for at in range(0, len(part) - 160, 40)])
        whole = int((levels > 0.9 * levels.max()).sum())
        assert levels.max() > 5000 and whole >= (NOTE_MS - 20) // 5 - 5, f"{note} Hz has a hole: {whole} whole windows"
