# SPDX-License-Identifier: GPL-2.0-or-later
"""Voicemail of a whole server: real phones that say tones, a real mail server with TLS and log-in, the real message storage."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest

from tests.support import tones
from tests.support.mail_server import PASSWORD, USER, MailServerPeer, ReceivedMail
from tests.support.phone import Phone
from tests.support.rtp_peer import PeerGroup
from tests.support.server import Server, wait_until
from tests.support.voicemail import (
    BEEP_HZ,
    DE_HZ,
    DISK_BYTES,
    FULL_HZ,
    GREETING_HZ,
    NEW_GREETING_HZ,
    OWN_HZ,
    PLUGINS,
    QUOTA,
    RECORDER_HZ,
    SORRY_HZ,
    STORED_HZ,
    Caller,
    assert_is,
    configuration,
    melody,
    param,
    sound_of,
    write_prompts,
)

pytestmark = pytest.mark.peers


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
        caller.hung_up()
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
        two = Caller(server, group, param("both", snd="sip:both@there.example", uid="both"))
        two.hear_beep()
        two.peer.samples = np.concatenate((melody(25), np.zeros(8000, np.int16)))
        two.peer._position = 0
        one.say(melody())
        one.phone.bye()
        two.phone.bye()
        assert one.heard() == [OWN_HZ, BEEP_HZ] and two.heard() == [GREETING_HZ, BEEP_HZ]
    [[name, unread, size]] = wait_until(lambda: box(server, uid="own"), "the message is in the box")
    assert (unread, str(name).partition("+")[2]) == (1, "sip_box@there.example.wav") and int(str(size)) > 15_000
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
        silent.hung_up()
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
        caller.hung_up()
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
        phone.call("anna")
        assert (phone.code, phone.reason) == (500, reply)


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
        caller.hung_up()
        assert caller.heard() == [FULL_HZ]
    wait_until(lambda: "the box of crammed@3 takes no message" in server.log, "the log says which box")
    assert len(box(server, uid="crammed")) == QUOTA


def test_a_user_records_his_greeting_and_callers_hear_it(server: Server) -> None:
    r = RECORDER_HZ
    with PeerGroup() as group:
        owner = Caller(server, group, param(uid="ann", lng="en"), "recorder")
        owner.hear(r["to_record"])
        assert owner.heard() == [r["welcome"], r["your_prompt"], GREETING_HZ, r["to_record"]]
        owner.peer.press(5)
        owner.hear_beep()
        owner.peer.samples = tones.tone(NEW_GREETING_HZ, 1000)
        group.run_ms(600)
        owner.peer.samples = np.zeros(160, np.int16)
        group.run_ms(100)
        owner.peer.press(11)
        owner.hear(r["confirm"])
        assert owner.heard()[4:] == [BEEP_HZ, r["your_prompt"], NEW_GREETING_HZ, r["confirm"]]
        owner.peer.press(1)
        owner.hung_up()
        assert owner.heard()[8:] == [r["greeting_set"], r["bye"]]
        caller = Caller(server, group, param("ann", uid="ann"))
        caller.hung_up()
        other = Caller(server, group, param("ann", uid="somebody else"))
        other.hung_up()
        assert (caller.heard(), other.heard()) == ([NEW_GREETING_HZ], [GREETING_HZ])
    assert [message[0] for message in box(server, "3-prompts", "ann")] == ["vm.wav"]


def test_a_greeting_that_is_gone(server: Server) -> None:
    greeting = server.etc / "vm" / "greeting.wav"
    greeting.rename(greeting.with_suffix(".away"))
    try:
        with PeerGroup() as group, Phone(server.sip_port, group.peer()) as phone:
            phone.headers = param("box")
            phone.call("anna")
            assert (phone.code, phone.reason) == (500, "voicemail: no greeting file found")
    finally:
        greeting.with_suffix(".away").rename(greeting)
    wait_until(lambda: f"nor the default {greeting} exists" in server.log, "the log names the file")


def test_a_spool_that_is_gone_is_told_before_anybody_speaks(server: Server) -> None:
    spool = server.etc / "spool" / "disk" / "voicemail"
    spool.rename(spool.with_name("away"))
    try:
        with PeerGroup() as group:
            caller = Caller(server, group, param("box", uid="spool"))
            caller.hear(SORRY_HZ)
            caller.hung_up()
            assert caller.heard() == [SORRY_HZ]
    finally:
        spool.with_name("away").rename(spool)
    wait_until(
        lambda: f"no message can be taken: spool_dir {spool}: it cannot be written" in server.log, "the log says what to do"
    )


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
        caller.hung_up()
        assert STORED_HZ not in caller.heard()
        beside = Caller(server, group, param("box", uid="disk"))
        beside.phone.bye()
    wait_until(lambda: re.search("broke off: .*No space left on device", server.log), "the log says why")
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
        caller.hung_up()
    [[name, _, _]] = wait_until(lambda: box(server, uid="media"), "what the disk had by then is in the box")
    sound = stored_sound(server, name, uid="media")
    assert len(sound) >= 8000 and tones.level(sound[800:8000], 1250) > 5000
    wait_until(lambda: server.children().get("media"), "the media process is back")
