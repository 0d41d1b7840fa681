# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults that users of such servers have reported, of the kinds that no other test shows through a whole server. All are in docs/interop.md."""

from __future__ import annotations

import http.client
import json
import re
import socket
import struct
import xmlrpc.client
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from interfaces.sip.message import Message, parse, text_of
from media.control.audio_formats import FORMATS
from tests.support import tones
from tests.support.phone import Phone
from tests.support.rtp_peer import PeerGroup
from tests.support.server import Server, wait_until
from tests.support.sip_peer import description
from tests.support.stalls import calm

pytestmark = [pytest.mark.peers, pytest.mark.timeout(180)]
TONE_HZ, OTHERS_HZ = 700.0, [450.0, 950.0, 1300.0]
MARK = "\ufeff"
PLUGINS = "monitoring;echo;dsm;xmlrpc2di;web"
KEEP = """import(mod_monitoring);
initial state A;
transition "up" A - sessionStart / { sets($file="@FOLDER@/call.@user"); monitoring.log(up, yes); } -> UP;
state UP;
transition "says" UP - event(#do == record) / recordFile($file) -> UP;
transition "hears" UP - event(#do == play) / { stopRecord(); playFile($file); } -> UP;
transition "pressed" UP - key / { append($keys, #key); append($keys, "/"); append($keys, #duration); monitoring.log(keys, $keys); } -> UP;
transition "presses" UP - event(#do == press) / sendDTMF(6, 250) -> UP;
transition "cannot" UP - exception / monitoring.log(failed, #text) -> UP;
transition "over" UP - hangup / stop(false) -> END;
state END;
"""
WHO = """import(mod_dlg);
initial state A;
transition "in" A - invite / { sets($said="user @user"); dlg.reply(480, $said); stop(false); } -> B;
state B;
"""
FILES = {
    "app_mapping.conf": f"{MARK}^sip:echo=>echo\n^(tel:|sip:who)=>who\n^sip:=>keep\n",
    "dsm.conf": f"{MARK}diag_path=dsm/\nload_diags=keep,who\nregister_apps=keep,who\n",
    "dsm/who.dsm": MARK + WHO,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Every file begins with a byte order mark, as Windows editors write it."""
    folder: Path = tmp_path_factory.mktemp("server")
    files = {**FILES, "dsm/keep.dsm": MARK + KEEP.replace("@FOLDER@", str(folder))}
    with Server(folder, files, "dead_rtp_time=2", PLUGINS, start=False) as running:
        settings = running.etc / "sems.conf"
        settings.write_text(MARK + settings.read_text())
        running.start()
        yield running
    assert "Traceback" not in running.log, running.log


def posted(port: int, path: str, body: bytes, kind: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
    connection.request("POST", path, body, {"Content-Type": kind})
    answer = connection.getresponse().read()
    connection.close()
    return answer


# ------------------------------------------------------------------------------------------------------------- outside bytes
def test_a_byte_order_mark_is_read_over_at_the_gateways_too(server: Server) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "core.calls", "params": []}
    answer = json.loads(posted(server.web_port, "/jsonrpc", (MARK + json.dumps(asked)).encode(), "application/json"))
    assert answer["result"] == [0]
    body = (MARK + xmlrpc.client.dumps((), "calls")).encode()
    assert xmlrpc.client.loads(posted(server.xml_port, "/", body, "text/xml"))[0] == (0,)


@pytest.mark.parametrize("number", [4312345678, 1764370000123, -(2**31) - 1, 2**63 - 1])
def test_a_number_that_json_brings_is_the_same_by_xml(server: Server, number: int) -> None:
    server.json("monitoring.log", "numbers", "phone", number)
    assert server.json("monitoring.get", "numbers") == [{"phone": number}]
    assert server.xml.di("monitoring", "get", "numbers") == [{"phone": number}]


def test_a_number_that_no_type_holds_is_refused(server: Server) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "monitoring.log", "params": ["numbers", "huge", 2**64]}
    answer = json.loads(posted(server.web_port, "/jsonrpc", json.dumps(asked).encode(), "application/json"))
    assert answer["error"]["code"] and "huge" not in json.dumps(server.json("monitoring.get", "numbers"))


class RawCall:
    """A dialog of which every byte is the test's: `who` may hold any."""

    def __init__(self, server: Server, uri: str, who: bytes, call_id: str) -> None:
        self.server, self.uri, self.who, self.call_id = server, uri, who, call_id
        self.to = f"<{uri}>"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(20)

    def send(self, method: str, cseq: int, body: str = "") -> None:
        port = self.socket.getsockname()[1]
        head = (
            f"{method} {self.uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{self.call_id}{cseq}\r\nFrom: @WHO@;tag=n\r\n"
            f"To: {self.to}\r\nCall-ID: {self.call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:a@127.0.0.1:{port}>\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
        self.socket.sendto(head.encode().replace(b"@WHO@", self.who), ("127.0.0.1", self.server.sip_port))

    def invite(self, body: str = "") -> Message:
        """The final reply, which is acknowledged."""
        self.send("INVITE", 1, body)
        while True:
            reply = parse(text_of(self.socket.recv(65536)))
            if reply.code >= 200:
                self.to = reply.header("To")
                self.send("ACK", 1)
                return reply


@pytest.mark.parametrize("name", [b"J\xfcrgen", b"\xff\xfe\x01", b"a\x0b<&>", "Jürgen 😀".encode()])
def test_any_name_can_be_read_at_every_gateway(server: Server, name: bytes) -> None:
    with PeerGroup() as group:
        call = RawCall(server, "sip:echo@127.0.0.1", b'"' + name + b'" <sip:a@127.0.0.1>', f"name-{name.hex()}")
        assert call.invite(description(group.peer().port)).code == 200
        found = wait_until(lambda: server.json("monitoring.listByFilter", ["callid", call.call_id]), "its record")
        document = posted(server.xml_port, "/", xmlrpc.client.dumps(("monitoring", "get", *found), "di").encode(), "text/xml")
        ElementTree.fromstring(document.decode())
        asked = {"jsonrpc": "2.0", "id": 1, "method": "monitoring.get", "params": found}
        answer = posted(server.web_port, "/jsonrpc", json.dumps(asked).encode(), "application/json").decode()
        assert "sip:a@127.0.0.1" in json.loads(answer)["result"][0]["from"]
        call.send("BYE", 2)
        call.socket.close()


# --------------------------------------------------------------------------------------------------------------------- calls
@pytest.mark.parametrize("uri", ["tel:+4930123456", "tel:+4930123456;phone-context=+49", "sip:who@127.0.0.1"])
def test_a_tel_uri_has_a_user(server: Server, uri: str) -> None:
    call = RawCall(server, uri, b"<sip:a@127.0.0.1>", f"tel{len(uri)}")
    reply = call.invite(description(40000))
    assert (reply.code, reply.reason) == (480, f"user {'who' if uri.startswith('sip') else '+4930123456'}")
    call.socket.close()


def keepers(server: Server, *more: list[str]) -> list[str]:
    """The calls of `keep` that are connected."""
    active = set(server.xml.listActive())
    return [id for id in server.xml.listByFilter(["app", "keep"], ["up", "yes"], *more) if id in active]


def test_every_suffix_is_recorded_and_played(server: Server) -> None:
    """One list for both: each call records the phone's tone and plays it to it."""
    suffixes = [suffix.removeprefix(".") for suffix in FORMATS]
    with PeerGroup() as group:
        phones = []
        for suffix in suffixes:
            phones.append(Phone(server.sip_port, group.peer(TONE_HZ)).call(suffix))
            group.run_ms(40)  # who says nothing for as long as many calls take is given up (dead_rtp_time)
        group.run_until(lambda: len(keepers(server)) == len(phones), "all are connected: earlier nobody would record")
        calls = keepers(server)
        try:
            for step, length_ms in (("record", 1000), ("play", 600)):
                for id in calls:
                    server.xml.postDSMEvent(id, [["do", step]])
                    group.run_ms(20)
                group.run_ms(length_ms)
            with suppress(AssertionError):  # which suffix it is stands below
                group.run_until(lambda: all(heard_tone(phone) for phone in phones), "all of them", 20)
            heard = {suffix: heard_tone(phone) for suffix, phone in zip(suffixes, phones, strict=True)}
            failed = {suffix: server.record_of(suffix).get("failed") for suffix in suffixes}
        finally:
            for phone in phones:
                phone.bye()
    assert heard == {suffix: {TONE_HZ} for suffix in suffixes}, failed


def test_a_file_that_is_recorded_anew_is_heard_anew(server: Server) -> None:
    """At once, though it was read a moment ago."""
    with PeerGroup() as group, Phone(server.sip_port, group.peer(TONE_HZ)) as phone:
        phone.call("flac")
        (id,) = wait_until(lambda: keepers(server, ["callid", phone.call_id]), "it is connected: earlier nobody would record")
        for tone_hz in (TONE_HZ, OTHERS_HZ[1]):
            phone.peer.samples = tones.tone(tone_hz, 1000)
            server.xml.postDSMEvent(id, [["do", "record"]])
            group.run_ms(1000)
            phone.peer.forget()
            server.xml.postDSMEvent(id, [["do", "play"]])
            group.run_until(lambda: heard_tone(phone), "what was recorded")
            assert heard_tone(phone) == {tone_hz}
        phone.bye()


def heard_tone(phone: Phone) -> set[float]:
    sound = phone.peer.heard()
    loud = np.flatnonzero(np.abs(sound) > 1000)
    return tones.heard(sound[loud[0] + 800 : loud[0] + 4800], [TONE_HZ, *OTHERS_HZ]) if len(loud) > 4000 else set()


@pytest.mark.parametrize(("codec", "clock_hz"), [("PCMU/8000", 8000), ("L16/16000", 16000), ("opus/48000/2", 48000)])
def test_keys_last_as_long_as_they_are_pressed_both_ways(server: Server, codec: str, clock_hz: int) -> None:
    """By the clock that was agreed on (RFC 4733 §2.1)."""
    user, maps = f"keys{clock_hz}", (f"111 {codec}", f"110 telephone-event/{clock_hz}")
    with PeerGroup() as group, Phone(server.sip_port, group.peer(), "111 110", maps) as phone:
        phone.call(user)
        wait_until(lambda: server.record_of(user).get("up"), "the leg is connected, for what comes before is nobody's")
        group.run_ms(100)
        for step in (1, 2, 3, 4, 5, 5, 5, 5):
            end = 128 if step == 5 else 0
            phone.peer.send_raw(phone.peer.packet(struct.pack(">BBH", 5, 10 | end, clock_hz // 50 * step), 110, step == 1))
            phone.peer.sequence += 1
        wait_until(lambda: server.record_of(user).get("keys") == "5/100", "a key of 100 ms")
        (id,) = keepers(server, ["callid", phone.call_id])
        server.xml.postDSMEvent(id, [["do", "press"]])

        def pressed() -> list[tuple[int, int, int]]:
            return [struct.unpack(">BBH", packet.payload) for packet in phone.peer.packets if packet.payload_type == 110]

        group.run_until(lambda: sum(flags >> 7 for _, flags, _ in pressed()) >= 3, "the key and its end, three times")
        told = pressed()
        phone.bye()
    assert {event for event, _, _ in told} == {6} and [flags >> 7 for _, flags, _ in told][-3:] == [1, 1, 1]
    durations = [ticks * 1000 // clock_hz for _, _, ticks in told]
    assert durations == sorted(durations) and 250 <= durations[-1] <= 270, "whole packets"
    assert {packet.ts for packet in phone.peer.packets if packet.payload_type == 110} == {
        next(packet.ts for packet in phone.peer.packets if packet.marker and packet.payload_type == 110)
    }, "one key has one timestamp"


def test_a_key_at_a_clock_that_no_audio_has_costs_nobody_a_call(server: Server) -> None:
    """Its duration fits into no packet (RFC 4733 §2.3.5): the media process had ended with all its calls."""
    media = server.children()["media"]
    with PeerGroup() as group, Phone(server.sip_port, group.peer(), "0 110", ("110 telephone-event/2147483647",)) as phone:
        phone.call("odd")
        wait_until(lambda: server.record_of("odd").get("up"), "the leg is connected")
        (id,) = keepers(server, ["callid", phone.call_id])
        server.xml.postDSMEvent(id, [["do", "press"]])
        phone.peer.forget()
        group.run_until(lambda: len(phone.peer.packets) > 20, "it is sent packets still")
        phone.bye()
    assert server.children()["media"] == media


@pytest.mark.parametrize("ptime_ms", [30, 50])
def test_packets_that_are_no_multiple_of_a_tick_come_evenly(server: Server, ptime_ms: int) -> None:
    """Of 30 ms it was 20 and 40 in turn: the median says so where the machine is calm."""

    def measure() -> None:
        with PeerGroup() as group, Phone(server.sip_port, group.peer(TONE_HZ)) as phone:
            phone.call("echo", (f"a=ptime:{ptime_ms}",))
            group.run_ms(1500)
            came = np.array([packet.arrived_s for packet in phone.peer.packets[2:]])
            phone.bye()
        gaps_ms = np.diff(came) * 1000
        assert len(gaps_ms) > 20 and abs(float(np.median(gaps_ms)) - ptime_ms) < 5, gaps_ms

    calm(measure)


def test_a_silent_phone_is_given_up_but_not_while_it_holds(server: Server) -> None:
    """`dead_rtp_time` counts from when something is awaited of it again."""
    with PeerGroup() as group, Phone(server.sip_port, group.peer()) as holds, Phone(server.sip_port, group.peer()) as silent:
        holds.call("echo")
        holds.invite(("a=sendonly",))
        assert holds.answered() == 200
        silent.call("echo")
        silent.hung_up()
        holds.invite(("a=sendrecv",))
        assert holds.answered() == 200
        assert not [message for message in holds.messages if message.method == "BYE"], "what came before the answer has been read"
        holds.hung_up()
    wait_until(lambda: len(re.findall(r"no RTP for 2 s", server.log)) >= 2, "why they were ended")
