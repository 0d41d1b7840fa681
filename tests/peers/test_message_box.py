# SPDX-License-Identifier: GPL-2.0-or-later
"""A message is kept, its owner's phone told of it through Kamailio; he hears it by keys with the very tones, keeps and deletes it."""

from __future__ import annotations

import os
import re
import signal
import xmlrpc.client
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from di.apps.voicebox.walk import COUNTS, MENU
from tests.support import tones
from tests.support.kamailio import Kamailio
from tests.support.mail_server import PASSWORD, USER, MailServerPeer
from tests.support.mwi_peer import MwiPeer
from tests.support.phone import Phone
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.server import ROOT, Server, wait_until

pytestmark = pytest.mark.peers

ASK_FOR_CREDENTIALS = """
if (is_method("REGISTER")) { save("location"); exit; }
if (is_method("NOTIFY")) {
    if ($au == $null || !pv_auth_check("127.0.0.1", "$sht(users=>$au)", "0", "0")) { proxy_challenge("127.0.0.1", "1"); exit; }
    consume_credentials();
}
"""
DOMAIN = "shop.example"
PROMPT_MS, NOTE_MS = 100, 120
HZ = {name: 300.0 + 50 * place for place, name in enumerate((*MENU, "new_msg", "2"))}
"""Each prompt that is heard here has a tone of its own; the others share one."""
SAID = [1850.0, 2250.0, 2650.0, 2050.0, 2450.0]
"""What the caller said, so long each."""
SAID_TOO = [2850.0, 2950.0, 3050.0]
GREETING_HZ, BEEP_HZ = 1300.0, 1400.0
CANDIDATES = [GREETING_HZ, BEEP_HZ, *HZ.values(), *SAID, *SAID_TOO]


@dataclass
class Desk:
    """The server with everything around it."""

    server: Server
    phones: MwiPeer
    mails: MailServerPeer
    boxes: Path

    def leave(self, user: str, name: str, notes: list[float]) -> bytes:
        """Put a message into a box by DI."""
        data = tones.write_wav(self.boxes.parent / "m.wav", tones.sequence(notes, NOTE_MS)).read_bytes()
        assert self.server.xml.di("msg_storage", "msg_new", DOMAIN, user, name, xmlrpc.client.Binary(data)) == [0]
        return data

    def listed(self, user: str) -> list[tuple[str, int]]:
        code, messages = self.server.xml.di("msg_storage", "userdir_open", DOMAIN, user)
        assert code == 0
        return [(name, new) for name, new, _ in messages]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    boxes = folder / "boxes"
    routes = ASK_FOR_CREDENTIALS + documented_route().replace("CORDBOARD", "127.0.0.1")
    with (
        MwiPeer() as phones,
        Kamailio({"mwi": "secret"}, routes=routes) as proxy,
        MailServerPeer(tmp_path_factory.mktemp("smtp")) as mails,
    ):
        for user in ("ann", "ben", "cleo", "dora", "eva", "fay"):
            phones.register(user, proxy.port)
        files = {
            "app_mapping.conf": "^sip:vm@=>voicemail\n^sip:=>voicebox\n",
            "voicemail.conf": "announce_path=tones/\ndefault_announce=greeting.wav\nspool_dir=spool/vm\nmin_free_mb=0\nmin_record_time=0.2\n",
            "mail.conf": f"queue_dir=spool/mail\nsmtp_server=127.0.0.1\nsmtp_port={mails.port}\nsmtp_ca_file={mails.ca_file}\n"
            f"smtp_user={USER}\nsmtp_password={PASSWORD}\n",
            "msg_storage.conf": f"storage_dir={boxes}\nmin_free_mb=0\n",
            "mwi.conf": f"presence_server=127.0.0.1:{proxy.port}\nauth_user=mwi\nauth_password=secret\ngather_ms=20\nretry_s=1\n",
            "voicebox.conf": "prompt_base_path=tones/\nlanguages=en(digits=right)\ndefault_language=en\n",
        }
        server = Server(folder, files, plugins="monitoring;msg_storage;mwi;voicebox;voicemail;xmlrpc2di;web", start=False)
        prompts = server.etc / "tones" / "en"
        prompts.mkdir(parents=True)
        for name in (*MENU, *COUNTS):
            tones.write_wav(prompts / f"{name}.wav", tones.tone(HZ.get(name, 1500.0), PROMPT_MS))
        for name, hz in (("greeting", GREETING_HZ), ("beep", BEEP_HZ)):
            tones.write_wav(prompts.parent / f"{name}.wav", tones.tone(hz, PROMPT_MS))
        with server:
            server.start()
            yield Desk(server, phones, mails, boxes)
        assert "Traceback" not in server.log, server.log


def documented_route() -> str:
    """The part of the proxy's configuration that docs/mwi.md has."""
    found = re.search(r"```\n(if \(is_method\(\"NOTIFY\"\).*?)```", (ROOT / "docs" / "mwi.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def notes(peer: Peer) -> list[float]:
    """What was heard since the last `forget`, note by note; a packet that a busy machine lost makes no second note."""
    return [hz for hz, _ in groupby(hz for hz in tones.loudest(peer.heard(), CANDIDATES, 40) if hz)]


def hear(group: PeerGroup, peer: Peer, until: float) -> list[float]:
    """Listen until a note has been heard to its end, or for long enough; all notes."""
    for _ in range(300):
        group.run_ms(100)
        if until in notes(peer) and not tones.heard(peer.heard()[-800:], CANDIDATES):
            break
    heard = notes(peer)
    peer.forget()
    return heard


def test_a_message_is_heard_kept_and_deleted(desk: Desk) -> None:
    data = desk.leave("ann", "1700000001+bob.wav", SAID)
    desk.phones.wait(f"ann@{DOMAIN}", "1/0")
    desk.leave("ann", "1700000002+eve.wav", SAID_TOO)
    desk.phones.wait(f"ann@{DOMAIN}", "2/0")
    assert desk.server.xml.di("msg_storage", "msg_data", DOMAIN, "ann", "1700000001+bob.wav")[1].data == data
    with PeerGroup() as group, Phone(desk.server.sip_port, group.peer()) as phone:
        phone.headers = (f"P-App-Param: uid=ann;did={DOMAIN};pin=42",)
        peer = phone.call("box").peer
        assert hear(group, peer, HZ["pin_prompt"]) == [HZ["pin_prompt"]]
        peer.press(4)
        peer.press(2)
        first = [HZ[name] for name in ("you_have", "2", "new_msgs", "first_new_msg")]
        assert hear(group, peer, HZ["msg_menu"]) == [*first, *SAID_TOO, HZ["msg_menu"]]
        desk.phones.wait(f"ann@{DOMAIN}", "1/1")
        peer.press(1)
        assert hear(group, peer, HZ["msg_menu"]) == [*SAID_TOO, HZ["msg_menu"]]
        peer.press(2)
        assert hear(group, peer, HZ["msg_end_menu"]) == [HZ["msg_saved"], HZ["next_new_msg"], *SAID, HZ["msg_end_menu"]]
        desk.phones.wait(f"ann@{DOMAIN}", "0/2")
        assert desk.listed("ann") == [("1700000002+eve.wav", 0), ("1700000001+bob.wav", 0)]
        peer.press(3)
        assert hear(group, peer, HZ["no_more_msg"]) == [HZ["msg_deleted"], HZ["no_more_msg"]]
        desk.phones.wait(f"ann@{DOMAIN}", "0/1")
        peer.press(4)
        assert hear(group, peer, HZ["msg_end_menu"]) == [HZ["first_saved_msg"], *SAID_TOO, HZ["msg_end_menu"]]
        peer.press(3)
        phone.hung_up()
        peer.read()
        assert notes(peer) == [HZ["msg_deleted"], HZ["no_msg"]]
    desk.phones.wait(f"ann@{DOMAIN}", "0/0")
    assert desk.listed("ann") == [] and list((desk.boxes / DOMAIN / "ann").iterdir()) == []


def test_from_the_caller_to_the_owner(desk: Desk) -> None:
    """A caller speaks; the mail and the box have it, the owner is told, hears the very tones, keeps it, hears it again, deletes it."""
    with PeerGroup() as group:
        with Phone(desk.server.sip_port, group.peer()) as caller:
            caller.headers = (
                f"P-App-Param: mod=both;eml=eva@{DOMAIN};usr=eva;dom={DOMAIN};uid=eva;did={DOMAIN};snd=sip:bob@there",
            )
            peer = caller.call("vm").peer
            assert hear(group, peer, BEEP_HZ) == [GREETING_HZ, BEEP_HZ]
            peer.samples = tones.sequence(SAID, NOTE_MS)
            group.run_ms(NOTE_MS * len(SAID))
            peer.samples = None
            group.run_ms(100)
            caller.bye()
        desk.phones.wait(f"eva@{DOMAIN}", "1/0")
        wait_until(lambda: desk.mails.mails, "the mail")
        ((name, new),) = desk.listed("eva")
        assert new == 1
        kept = desk.server.xml.di("msg_storage", "msg_data", DOMAIN, "eva", name)[1].data
        assert desk.mails.mails[0].attachment() == kept, "the mail holds the same sound"
        with Phone(desk.server.sip_port, group.peer()) as owner:
            owner.headers = (f"P-App-Param: uid=eva;did={DOMAIN}",)
            peer = owner.call("box").peer
            before = [HZ[prompt] for prompt in ("you_have", "new_msg", "first_new_msg")]
            assert hear(group, peer, HZ["msg_end_menu"]) == [*before, *SAID, HZ["msg_end_menu"]]
            desk.phones.wait(f"eva@{DOMAIN}", "0/1")
            peer.press(2)
            assert hear(group, peer, HZ["no_more_msg"]) == [HZ["msg_saved"], HZ["no_more_msg"]]
            peer.press(4)
            assert hear(group, peer, HZ["msg_end_menu"]) == [HZ["first_saved_msg"], *SAID, HZ["msg_end_menu"]]
            peer.press(3)
            owner.hung_up()
    desk.phones.wait(f"eva@{DOMAIN}", "0/0")
    assert desk.listed("eva") == []


def test_the_notify_is_that_of_the_rfc(desk: Desk) -> None:
    desk.phones.codes = [480]
    desk.leave("ben", "1.wav", SAID)
    desk.phones.wait(f"ben@{DOMAIN}", "1/0")
    mine = [m for m in desk.phones.messages if "sip:ben@" in m.request_uri]
    last = mine[-1]
    assert len(mine) >= 2, "one that was not taken, and one that was"
    assert last.method == "NOTIFY" and last.header("Event") == "message-summary"
    assert last.header("Subscription-State") == "active" and last.header("Content-Type") == "application/simple-message-summary"
    # the stack leaves the port out: From has none (RFC 3261 §19.1.1)
    assert re.fullmatch(r"<sip:mwi-publisher@127\.0\.0\.1>;tag=\w+", last.header("From"))
    assert last.header("Route") == "" and "tag=" not in last.header("To")
    assert last.header("Proxy-Authorization") == "", "the proxy has asked, and is content"
    assert last.body.decode() == (f"Messages-Waiting: yes\r\nMessage-Account: sip:ben@{DOMAIN}\r\nVoice-Message: 1/0 (1/0)\r\n")
    assert desk.server.log.count("the NOTIFY for ben@shop.example is sent again later") >= 1


def test_publish_and_an_unknown_user(desk: Desk) -> None:
    desk.leave("cleo", "1.wav", SAID)
    desk.phones.wait(f"cleo@{DOMAIN}", "1/0")
    before = len(desk.phones.of(f"cleo@{DOMAIN}"))
    assert desk.server.xml.di("mwi", "publish", DOMAIN, "cleo") == [0]
    wait_until(lambda: len(desk.phones.of(f"cleo@{DOMAIN}")) > before, "another NOTIFY")
    with pytest.raises(xmlrpc.client.Fault):
        desk.server.xml.di("mwi", "publish", DOMAIN, "nobody")


def test_by_rpc_nothing_leads_out(desk: Desk) -> None:
    (desk.boxes.parent / "secret").write_bytes(b"secret")
    di = desk.server.xml.di
    assert di("msg_storage", "msg_get", "..", "..", "secret") == [3]
    assert di("msg_storage", "msg_data", DOMAIN, "ann", "../../../secret")[0] == 3
    assert di("msg_storage", "msg_new", DOMAIN, "..", "x", xmlrpc.client.Binary(b"x")) == [2]
    assert di("msg_storage", "msg_delete", DOMAIN, "ann", "../../../secret") == [3]
    assert di("msg_storage", "userdir_open", ".", ".spool")[0] == 2
    assert (desk.boxes.parent / "secret").read_bytes() == b"secret"


def test_hanging_up_while_a_message_plays_costs_nothing(desk: Desk) -> None:
    desk.leave("dora", "1.wav", SAID)
    with PeerGroup() as group, Phone(desk.server.sip_port, group.peer()) as phone:
        phone.headers = (f"P-App-Param: uid=dora;did={DOMAIN}",)
        peer = phone.call("box").peer
        for _ in range(300):
            group.run_ms(100)
            if SAID[1] in tones.loudest(peer.heard(), CANDIDATES, 40):
                break
        phone.bye()
    desk.phones.wait(f"dora@{DOMAIN}", "0/1")
    assert desk.listed("dora") == [("1.wav", 0)]
    wait_until(lambda: desk.server.xml.calls() == 0, "no call")


def test_after_a_kill_the_phones_are_told_what_is_true(desk: Desk) -> None:
    """Last, for it starts the server anew."""
    desk.leave("fay", "1.wav", SAID)
    assert desk.server.xml.di("msg_storage", "msg_markread", DOMAIN, "fay", "1.wav") == [0]
    desk.leave("fay", "2.wav", SAID)
    desk.phones.wait(f"fay@{DOMAIN}", "1/1")
    before = len(desk.phones.of(f"fay@{DOMAIN}"))
    os.kill(desk.server.pid, signal.SIGKILL)
    desk.server.wait_status()
    desk.server.start()
    wait_until(lambda: len(desk.phones.of(f"fay@{DOMAIN}")) > before, "a NOTIFY of the new server")
    desk.phones.wait(f"fay@{DOMAIN}", "1/1")
    assert "is sent again later" not in desk.server.log.rpartition("cordboard is up")[2]
