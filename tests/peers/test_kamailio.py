# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole example: a real Kamailio with the very file of etc/kamailio in front, phones that call through it, a real mail server behind.

What each application is told stands in the route alone; the answer of each is heard by its tone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from di.apps.voicebox.walk import COUNTS, MENU
from tests.support import tones
from tests.support.kamailio_example import KamailioExample, ProxyPhone
from tests.support.mail_server import PASSWORD, USER, MailServerPeer
from tests.support.rtp_peer import PeerGroup
from tests.support.server import Server, wait_until

pytestmark = pytest.mark.peers

DOMAIN = "shop.example"
NEWS_HZ, UNKNOWN_HZ, GREETING_HZ, DE_HZ, BEEP_HZ, BOX_HZ, NEW_MSG_HZ = 350.0, 450.0, 550.0, 650.0, 750.0, 850.0, 950.0
SAID = [1250.0, 1450.0, 1650.0]
HEARD = [NEWS_HZ, UNKNOWN_HZ, GREETING_HZ, DE_HZ, BEEP_HZ, BOX_HZ, NEW_MSG_HZ, *SAID]
USERS = {
    f"anna@{DOMAIN}": {"uid": "17", "lang": "de", "mode": "both", "email": "anna@post.example", "password": "annas"},
    f"eve@{DOMAIN}": {"uid": "19", "lang": "en", "mode": "box", "email": "eve@post.example", "password": "eves"},
    f"ben@{DOMAIN}": {"uid": "18", "lang": "en", "mode": "box", "email": "ben@post.example", "password": "bens"},
}


@dataclass
class House:
    """Proxy, media server, mail server."""

    proxy: KamailioExample
    server: Server
    mails: MailServerPeer

    def phone(
        self, group: PeerGroup, user: str = "carl", domain: str = "there.example", password: str = "", hz: float = 0.0
    ) -> ProxyPhone:
        phone = ProxyPhone(self.proxy.port, group.peer(hz), user, domain, password)
        phone.dials = DOMAIN
        return phone

    def box(self, uid: str) -> list[list[object]]:
        code, messages = self.server.xml.di("msg_storage", "userdir_open", "3", uid)
        return list(messages) if code == 0 else []


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with MailServerPeer(tmp_path_factory.mktemp("smtp")) as mails:
        files = {
            "announcement.conf": "announce_path=sounds/\ndefault_announce=default.wav\n",
            "conference.conf": "audio_path=sounds/\ndefault_announce=nothing.wav\n",
            "voicemail.conf": "announce_path=sounds/\ndefault_announce=greeting.wav\nemail_template_path=mail/\nspool_dir=spool/vm\n"
            "min_free_mb=0\nmin_record_time=0.2\nsilence_end=1\n",
            "mail.conf": f"queue_dir=spool/mail\nsmtp_server=127.0.0.1\nsmtp_port={mails.port}\nsmtp_ca_file={mails.ca_file}\n"
            f"smtp_user={USER}\nsmtp_password={PASSWORD}\n",
            "msg_storage.conf": "storage_dir=spool/boxes\nmin_free_mb=0\n",
            "voicebox.conf": "prompt_base_path=sounds/\nlanguages=en(digits=right);de(digits=left)\ndefault_language=en\n",
        }
        plugins = "monitoring;announcement;conference;msg_storage;mwi;voicemail;voicebox;xmlrpc2di;web"
        server = Server(folder, files, "application=$(apphdr)", plugins, start=False)
        write_sounds(server.etc / "sounds")
        front = KamailioExample(server.sip_port, {DOMAIN: "3"}, USERS, ring_ms=600)
        (server.etc / "mwi.conf").write_text(f"presence_server=127.0.0.1:{front.port}\n")
        with server:
            server.start()
            with front:
                yield House(front, server, mails)
        assert "Traceback" not in server.log, server.log


def write_sounds(folder: Path) -> None:
    sounds = {
        f"{DOMAIN}/announce-news": (NEWS_HZ, 400), f"{DOMAIN}/user_not_found": (UNKNOWN_HZ, 400), "default": (NEWS_HZ, 100),
        "nothing": (0.0, 20), "greeting": (GREETING_HZ, 300), "de/greeting": (DE_HZ, 300), "beep": (BEEP_HZ, 200),
    }  # fmt: skip
    for language in ("en", "de"):
        sounds |= {f"{language}/{name}": (BOX_HZ, 120) for name in (*MENU, *COUNTS)}
    sounds["de/new_msgs"] = sounds["de/new_msg"] = (NEW_MSG_HZ, 120)
    for name, (hz, length_ms) in sounds.items():
        (folder / f"{name}.wav").parent.mkdir(parents=True, exist_ok=True)
        tones.write_wav(folder / f"{name}.wav", tones.tone(hz, length_ms, amplitude=8000.0 if hz else 0.0))


def notes(phone: ProxyPhone) -> list[float]:
    """One after the other; a packet that a busy machine lost makes no second note."""
    return [hz for hz, _ in groupby(hz for hz in tones.loudest(phone.peer.heard(), HEARD, 50) if hz)]


def hear(group: PeerGroup, phone: ProxyPhone, hz: float) -> None:
    for _ in range(200):
        if hz in notes(phone):
            return
        group.run_ms(100)
    raise AssertionError(f"{hz} Hz was not heard, but {notes(phone)}")


def leave_message(group: PeerGroup, phone: ProxyPhone) -> None:
    """Wait for the beep's end, say three notes, hang up."""
    hear(group, phone, BEEP_HZ)
    while tones.loudest(phone.peer.heard(), HEARD, 50)[-1]:
        group.run_ms(100)
    phone.peer.samples, phone.peer._position = tones.sequence(SAID, 300), 0
    group.run_ms(900)
    phone.peer.samples = tones.tone(1000, 20) * 0
    group.run_ms(100)
    phone.bye()


def test_a_conference_with_a_hold_and_both_ends_hanging_up_through_the_proxy(house: House) -> None:
    with PeerGroup() as group:
        one, other = house.phone(group, hz=SAID[0]), house.phone(group, "dora", hz=SAID[1])
        for phone in (one, other):
            phone.call("conf12")
            assert phone.code == 200
            assert [f"127.0.0.1:{house.proxy.port}" in line for line in phone.route] == [True], "it stays in the way"
        group.hear({one.peer: {SAID[1]}, other.peer: {SAID[0]}}, HEARD)
        assert list(house.server.json("rooms.list")) == ["conf12"]
        one.invite(("a=sendonly",))
        assert one.answered() == 200 and "a=recvonly" in one.answer
        group.run_until_silent(one.peer)
        one.invite()
        assert one.answered() == 200 and "a=recvonly" not in one.answer
        group.hear({one.peer: {SAID[1]}}, HEARD)
        one.bye()
        (member,) = wait_until(lambda: len(left := house.server.json("rooms.list")["conf12"]) == 1 and left, "one has left")
        house.server.json("core.hangup", member["call"])
        bye = other.hung_up()
        assert len([1 for name, _ in bye.headers if name == "Via"]) == 2, "the server's BYE comes by way of the proxy"


def test_announcements_and_who_is_unknown(house: House) -> None:
    with PeerGroup() as group:
        for user, hz in (("announce-news", NEWS_HZ), ("nobody", UNKNOWN_HZ)):
            phone = house.phone(group).call(user)
            assert phone.code == 200
            hear(group, phone, hz)
            phone.hung_up()
            assert set(notes(phone)) == {hz}


def test_a_message_for_who_is_not_there_as_a_mail_and_in_the_box_and_heard_by_its_owner_alone(house: House) -> None:
    with PeerGroup() as group:
        caller = house.phone(group).call("anna")
        leave_message(group, caller)
        assert set(notes(caller)) == {DE_HZ, BEEP_HZ}, "in her language"
    mail = wait_until(lambda: house.mails.mails, "the mail")[0]
    assert mail.recipients == ["anna@post.example"] and "sip:carl@there.example" in str(mail.message["Subject"])
    wait_until(lambda: len(house.box("17")) == 1, "the box has it too")
    with PeerGroup() as group:
        thief = house.phone(group, "anna", DOMAIN, "wrong").call("1000")
        assert thief.code == 407
        assert house.phone(group).call("1000").code == 403
        anna = house.phone(group, "anna", DOMAIN, "annas").call("1000")
        assert anna.code == 200
        hear(group, anna, SAID[2])
        heard = notes(anna)
        assert heard[0] == BOX_HZ and NEW_MSG_HZ in heard and heard[heard.index(SAID[0]) :][:3] == SAID
        anna.bye()


@pytest.mark.parametrize("declines", [True, False])
def test_a_phone_that_declines_or_is_not_answered(house: House, declines: bool) -> None:
    user, uid = ("ben", "18") if declines else ("eve", "19")
    with PeerGroup() as group:
        called = house.phone(group, user, DOMAIN, f"{user}s")
        assert called.register() == 200
        before = len(house.box(uid))
        caller = house.phone(group)
        caller.ring(user)
        invite = called.wait(lambda m: m.method == "INVITE")
        assert not [name for name, _ in invite.headers if name.startswith("P-App")], "only the media server is told"
        called.reply(invite, 180, "Ringing")
        if declines:
            called.reply(invite, 486, "Busy Here")
        else:
            called.reply(called.wait(lambda m: m.method == "CANCEL"), 200, "OK")
            called.reply(invite, 487, "Request Terminated")
        assert caller.answered() == 200
        leave_message(group, caller)
        assert set(notes(caller)) == {GREETING_HZ, BEEP_HZ}
        waiting = called.wait(lambda m: m.method == "NOTIFY")
        called.reply(waiting, 200, "OK")
        assert waiting.header("Event") == "message-summary" and b"Messages-Waiting: yes\r\n" in waiting.body
        assert f"Voice-Message: {before + 1}/0 ".encode() in waiting.body, "his phone shows it"
    wait_until(lambda: len(house.box(uid)) == before + 1, "one more in his box")


def test_what_strangers_say_to_the_media_server_is_taken_out_and_no_user_begins_a_parameter(house: House) -> None:
    with PeerGroup() as group:
        liar = house.phone(group)
        liar.headers = ("P-App-Name: voicebox", f"P-App-Param: usr=anna;dom={DOMAIN};uid=17;did=3")
        liar.call("announce-news")
        assert liar.code == 200
        hear(group, liar, NEWS_HZ)
        liar.hung_up()
        assert set(notes(liar)) == {NEWS_HZ}
        injector = house.phone(group, "x;mod=both").call("anna")
        assert injector.code == 400
        assert house.phone(group).call("anna;uid=18").code == 400
        elsewhere = house.phone(group)
        elsewhere.dials = "other.example"
        assert elsewhere.call("anna").code == 403, "not one of its domains"
        assert house.phone(group, "anna", DOMAIN, "bens").register() == 401
