# SPDX-License-Identifier: GPL-2.0-or-later
"""Voicemail of a whole server: real phones that say tones, a real mail server with TLS and log-in, the real message storage."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support import tones
from tests.support.mail_server import PASSWORD, USER, MailServerPeer, ReceivedMail
from tests.support.phone import Phone
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.server import Server, wait_until

pytestmark = pytest.mark.peers

PLUGINS = "monitoring;msg_storage;voicemail;xmlrpc2di;web"
GREETING_HZ, DE_HZ, OWN_HZ, BEEP_HZ, STORED_HZ, SORRY_HZ, FULL_HZ = 400.0, 500.0, 600.0, 1000.0, 700.0, 800.0, 900.0
HEARD = [GREETING_HZ, DE_HZ, OWN_HZ, BEEP_HZ, STORED_HZ, SORRY_HZ, FULL_HZ]
MELODY = [1250.0, 1450.0, 1650.0, 1850.0]
"""What a caller says, half a second each."""
VOICEMAIL = """
default_vm_mode=0
announce_path=vm/
default_announce=greeting.wav
stored_announce=stored.wav
not_stored_announce=sorry.wav
full_announce=full.wav
email_template_path=mail/
spool_dir=spool/disk/voicemail
max_record_time=20
silence_end=1
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
QUOTA = 3
DISK_BYTES = 2 << 20
"""A disk of its own for the spool, which a test fills."""
STORAGE = f"storage_dir=spool/boxes\nmin_free_mb=0\nquota_messages={QUOTA}\n"


def configuration(mail_server: MailServerPeer, voicemail: str = VOICEMAIL) -> dict[str, str]:
    mail = MAIL.format(port=mail_server.port, ca=mail_server.ca_file, user=USER, password=PASSWORD)
    return {"voicemail.conf": voicemail, "mail.conf": mail, "msg_storage.conf": STORAGE, "app_mapping.conf": ".=>voicemail\n"}


def write_prompts(etc: Path) -> None:
    for name, frequency_hz in (
        ("greeting", GREETING_HZ), ("de/greeting", DE_HZ), ("3/own", OWN_HZ), ("stored", STORED_HZ), ("sorry", SORRY_HZ), ("full", FULL_HZ),
    ):  # fmt: skip
        path = etc / "vm" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        tones.write_wav(path, tones.tone(frequency_hz, 300))
    tones.write_wav(etc / "vm" / "beep.wav", tones.tone(BEEP_HZ, 200))


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServerPeer]:
    with MailServerPeer(tmp_path_factory.mktemp("smtp")) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mail_server: MailServerPeer) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server"), configuration(mail_server), "loglevel=2", PLUGINS, start=False)
    write_prompts(running.etc)
    disk = running.etc / "spool" / "disk"
    disk.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)]
    mounted = not subprocess.run(mount, check=False, capture_output=True).returncode
    try:
        with running:
            running.start()
            yield running
    finally:
        if mounted:
            subprocess.run(["umount", str(disk)], check=True)
    assert "Traceback" not in running.log, running.log
    assert PASSWORD not in running.log


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
        return [note for note in self.notes() if note]


def melody(shift_hz: float = 0.0) -> np.ndarray:
    return tones.sequence([note + shift_hz for note in MELODY], 500)


def sound_of(data: bytes) -> np.ndarray:
    samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate_hz == 8000
    return np.asarray(samples)


def assert_is(sound: np.ndarray, said: np.ndarray, shift_hz: float = 0.0) -> None:
    """The recording holds all that was said and nothing else: sample count and FFT."""
    loud = np.flatnonzero(np.abs(sound.astype(int)) > 400)
    assert abs((loud[-1] - loud[0] + 1) - len(said)) <= 160, f"{loud[-1] - loud[0] + 1} samples of {len(said)}"
    wanted = [note + shift_hz for note in MELODY]
    notes = [note for note in tones.loudest(sound[loud[0] : loud[-1]], wanted, 50) if note]
    assert notes == wanted
    for number, note in enumerate(wanted):  # no frame of it is missing
        part = sound[loud[0] + 4000 * number + 160 : loud[0] + 4000 * (number + 1) - 160]
        levels = [tones.level(part[at : at + 160], note) for at in range(0, len(part) - 160, 160)]
        assert min(levels) > 0.9 * max(levels) > 5000, f"{note} Hz has a hole"


def arrived(mail_server: MailServerPeer, text: str) -> ReceivedMail:
    """The mail of a caller."""

    def find() -> ReceivedMail | None:
        return next((mail for mail in mail_server.mails if text in str(mail.message["Subject"])), None)

    found = wait_until(find, f"a mail about {text}")
    assert isinstance(found, ReceivedMail)
    return found


def box(server: Server, did: str = "3", uid: str = "17") -> list[list[object]]:
    code, messages = server.xml.di("msg_storage", "userdir_open", did, uid)
    return list(messages) if code == 0 else []


def stored_sound(server: Server, name: object, did: str = "3", uid: str = "17") -> np.ndarray:
    return sound_of((server.etc / "spool" / "boxes" / did / uid / str(name)).read_bytes())


def test_a_message_arrives_as_a_mail_with_the_same_sound(server: Server, mail_server: MailServerPeer) -> None:
    with PeerGroup() as group:
        caller = Caller(server, group, param("voicemail", snd="sip:mail@there.example", lng="de"))
        caller.hear_beep()
        caller.say(melody())
        caller.hear(STORED_HZ)  # by silence: it is kept, and said so
        caller.phone.hung_up()
        assert caller.heard() == [DE_HZ, BEEP_HZ, STORED_HZ]
    mail = arrived(mail_server, "sip:mail@there.example")
    assert mail.encrypted and mail.user == USER and mail.recipients == ["anna@shop.example"]
    body = mail.message.get_body()
    assert body is not None and "anna@shop.example" in body.get_content() and "Sprachnachricht" in str(mail.message["Subject"])
    assert_is(sound_of(mail.attachment()), melody())
    assert box(server) == []


def test_box_and_both_and_a_hang_up_in_the_middle(server: Server, mail_server: MailServerPeer) -> None:
    with PeerGroup() as group:
        one = Caller(server, group, param("box", snd="sip:box@there.example", uid="own"))
        one.hear_beep()
        one.say(melody())
        one.phone.bye()
        assert one.heard() == [OWN_HZ, BEEP_HZ]
        two = Caller(server, group, param("both", snd="sip:both@there.example", uid="both"))
        two.hear_beep()
        two.say(melody(25))
        two.phone.bye()
    [[name, unread, size]] = wait_until(lambda: box(server, uid="own"), "the message is in the box")
    assert (unread, str(name).partition("+")[2]) == (1, "sip_box@there.example.wav") and int(str(size)) > 30_000
    assert_is(stored_sound(server, name, uid="own"), melody())
    [[name, _, _]] = wait_until(lambda: box(server, uid="both"), "the message is in the box")
    for sound in (stored_sound(server, name, uid="both"), sound_of(arrived(mail_server, "sip:both@there.example").attachment())):
        assert_is(sound, melody(25), 25)
    assert not any("sip:box@" in str(mail.message["Subject"]) for mail in mail_server.mails)


def test_a_caller_who_says_nothing_leaves_an_empty_message(server: Server, mail_server: MailServerPeer) -> None:
    with PeerGroup() as group:
        in_greeting, too_short, silent = (
            Caller(server, group, param("both", snd=f"sip:{name}@there.example", uid=name))
            for name in ("greeting", "short", "silent")
        )
        in_greeting.hear(GREETING_HZ)
        in_greeting.phone.bye()
        too_short.hear_beep()
        too_short.phone.bye()
        silent.peer.samples = np.zeros(160, np.int16)
        silent.phone.hung_up()
    for uid in ("greeting", "short", "silent"):
        [[_, unread, size]] = wait_until(lambda uid=uid: box(server, uid=uid), f"an empty message of {uid}")
        assert (unread, size) == (1, 0)
    wait_until(
        lambda: not [path for path in (server.etc / "spool" / "disk" / "voicemail").iterdir() if path.suffix == ".wav"],
        "nothing is left",
    )
    assert not any(
        word in str(mail.message["Subject"]) for mail in mail_server.mails for word in ("greeting@", "short@", "silent@")
    )


def test_the_announcement_alone(server: Server) -> None:
    with PeerGroup() as group:
        caller = Caller(server, group, param("ann", uid="own"))
        caller.phone.hung_up()
        group.run_ms(20)
        assert caller.heard() == [OWN_HZ]


@pytest.mark.parametrize(
    ("headers", "reply"),
    [
        ((), "voicemail: parameters not found"),
        (param("voicemail", eml="anna"), "voicemail: no email address"),
        (param("voicemail", eml="anna@shop.example ben@shop.example"), "voicemail: no email address"),
    ],
)  # fmt: skip
def test_what_a_proxy_writes_wrong_is_answered(server: Server, headers: tuple[str, ...], reply: str) -> None:
    with PeerGroup() as group, Phone(server.sip_port, group.peer()) as phone:
        phone.headers = headers
        assert phone.call("anna").code == 500
    wait_until(lambda: f"voicemail refuses with 500 {reply}" in server.log, "the log says why")


def test_a_dead_mail_server_and_back(server: Server, mail_server: MailServerPeer) -> None:
    mail_server.stop()
    try:
        with PeerGroup() as group:
            caller = Caller(server, group, param("voicemail", snd="sip:dead@there.example"))
            caller.hear_beep()
            caller.say(melody())
            caller.hear(STORED_HZ)  # it is kept, whatever the mail server does
            caller.phone.bye()
        wait_until(lambda: "takes nothing: " in server.log, "the log says that the mail server is dead")
        [waiting] = server.xml.di("mail", "list")
        assert (
            waiting["to"] == ["anna@shop.example"] and waiting["state"] in ("waiting", "claimed") and waiting["attachments"] == 1
        )
        assert server.xml.di("mail", "status")["trouble"]
    finally:
        mail_server.start()
    assert_is(sound_of(arrived(mail_server, "sip:dead@there.example").attachment()), melody())
    wait_until(lambda: "takes mails again" in server.log and server.xml.di("mail", "status")["waiting"] == 0, "all is well again")


def test_the_box_is_full(server: Server) -> None:
    folder = server.etc / "spool" / "boxes" / "3" / "crammed"
    folder.mkdir(parents=True)
    for number in range(QUOTA):
        tones.write_wav(folder / f"{number}+x.wav", tones.tone(300, 100))
    with PeerGroup() as group:
        caller = Caller(server, group, param("box", uid="crammed"))
        caller.hear(FULL_HZ)
        caller.phone.hung_up()
        assert caller.heard() == [FULL_HZ]
    assert "the box of crammed@3 takes no message" in server.log
    assert len(box(server, uid="crammed")) == QUOTA


def test_a_greeting_that_is_gone(server: Server) -> None:
    greeting = server.etc / "vm" / "greeting.wav"
    greeting.rename(greeting.with_suffix(".away"))
    try:
        with PeerGroup() as group, Phone(server.sip_port, group.peer()) as phone:
            phone.headers = param("box")
            assert phone.call("anna").code == 500
    finally:
        greeting.with_suffix(".away").rename(greeting)
    assert "refuses with 500 voicemail: no greeting file found" in server.log
    assert f"nor the default {greeting} exists" in server.log


def test_a_spool_that_is_gone_is_told_before_anybody_speaks(server: Server) -> None:
    spool = server.etc / "spool" / "disk" / "voicemail"
    spool.rename(spool.with_name("away"))
    try:
        with PeerGroup() as group:
            caller = Caller(server, group, param("box", uid="spool"))
            caller.hear(SORRY_HZ)
            caller.phone.hung_up()
            assert caller.heard() == [SORRY_HZ]
    finally:
        spool.with_name("away").rename(spool)
    assert f"no message can be taken: spool_dir {spool}: it cannot be written" in server.log


def test_a_disk_that_gets_full_while_somebody_speaks(server: Server) -> None:
    spool = server.etc / "spool" / "disk" / "voicemail"
    if not spool.parent.is_mount():
        pytest.skip("this user may not mount a disk")
    filler = spool / "filler"
    with PeerGroup() as group:
        caller = Caller(server, group, param("box", uid="disk", snd="sip:disk@there.example"))
        caller.hear_beep()
        caller.peer.samples = tones.tone(1250, 1000)
        group.run_ms(1500)
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(4096))
        caller.hear(SORRY_HZ)  # not kept, and said so
        caller.phone.hung_up()
        assert STORED_HZ not in caller.heard()
        beside = Caller(server, group, param("box", uid="disk"))
        beside.phone.bye()
    assert "No space left on device" in server.log and "broke off" in server.log
    filler.unlink()
    [[name, _, _]] = wait_until(
        lambda: [m for m in box(server, uid="disk") if m[2]], "what was said until then is not thrown away"
    )
    sound = stored_sound(server, name, uid="disk")
    assert len(sound) >= 4000 and tones.level(sound[800:4000], 1250) > 5000


def test_a_media_process_that_is_killed_in_a_recording(server: Server) -> None:
    with PeerGroup() as group:
        caller = Caller(server, group, param("box", uid="media", snd="sip:media@there.example"))
        caller.hear_beep()
        caller.peer.samples = tones.tone(1250, 1000)
        group.run_ms(2600)
        os.kill(server.children()["media"], signal.SIGKILL)
        caller.phone.hung_up()
    [[name, _, _]] = wait_until(lambda: box(server, uid="media"), "what the disk had by then is in the box")
    sound = stored_sound(server, name, uid="media")
    assert len(sound) >= 8000 and tones.level(sound[800:8000], 1250) > 5000
    wait_until(lambda: server.children().get("media"), "the media process is back")
