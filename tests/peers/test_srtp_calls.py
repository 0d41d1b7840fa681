# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls with SRTP (RFC 4568) from end to end, with phones that do SRTP by themselves: heard by tones, both ways.

The packets' own tests are in `unit/media/engine/test_secure.py`, other makes of phones in test_interop_srtp.py.
"""

from __future__ import annotations

import base64
import random
import re
import secrets
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import soundfile

from tests.support import tones
from tests.support.phone import Phone
from tests.support.ports import free_port
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.server import PLUGINS, WITH_APPS, Server, wait_until
from tests.support.srtp_phone import SecurePeer, SecurePhone
from tests.support.srtp_reference import CM, GCM, KEY_BYTES
from tests.support.tls import self_signed

pytestmark = pytest.mark.peers
LOW_HZ, HIGH_HZ = 440.0, 900.0
BOTH = [LOW_HZ, HIGH_HZ]
SUITES = (CM, GCM)
_INLINE = re.compile(r"inline:([A-Za-z0-9+/=]+)")


class Site:
    """A server with SIP over TLS. `keys`: those of all its calls, as descriptions have them."""

    def __init__(self, folder: Path, settings: str) -> None:
        self.certificate = self_signed(folder)
        self.tls_port = free_port()
        self.folder = folder
        self.keys: set[str] = set()
        lines = f"tls_port={self.tls_port}\ntls_certificate={self.certificate}\ntls_key={self.certificate}\n{settings}"
        files = {
            "app_mapping.conf": "^sips?:echo=>echo\n^sips?:conf=>conference\n^sips?:desk=>desk\n.=>listener\n",
            "conference.conf": "audio_path=prompts/\ndefault_announce=nothing.wav\n",
            "recordings.conf": f"folder={folder / 'kept'}\nmin_free_mb=0\nquota_mb=0\n",
        }
        self.server = Server(folder, files, lines, f"{PLUGINS};listener;desk;recordings", start=False, program=WITH_APPS)
        tones.write_wav(self.server.etc / "prompts" / "nothing.wav", tones.tone(0, 20))

    def phone(self, peer: SecurePeer, profile: str = "RTP/SAVP", lines: tuple[str, ...] | None = None) -> SecurePhone:
        return SecurePhone(self.tls_port, peer, self.certificate, profile, lines)

    def note(self, *phones: SecurePhone) -> None:
        """Remember the keys of calls that are up."""
        for phone in phones:
            self.keys |= {base64.b64encode(phone.peer.key).decode(), *_INLINE.findall(phone.answer)}

    def dropped(self, why: str) -> int:
        """How many packets the media process has dropped."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.web_port}/metrics", timeout=40) as page:
            text = page.read().decode()
        found = re.search(rf"^cordboard_media_packets_dropped_{why}_total\S* (\S+)$", text, re.MULTILINE)
        return int(float(found[1])) if found is not None else 0


def running(site: Site) -> Iterator[Site]:
    with site.server:
        site.server.start()
        yield site
    log = site.server.log
    assert "Traceback" not in log, log
    assert not [key for key in site.keys if key in log or key[:20] in log]


@pytest.fixture(scope="module")
def optional(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from running(Site(tmp_path_factory.mktemp("optional"), "srtp=optional"))


@pytest.fixture(scope="module")
def mandatory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from running(Site(tmp_path_factory.mktemp("mandatory"), "srtp=mandatory"))


def hears_itself(group: PeerGroup, peer: SecurePeer) -> bool:
    """Whether a peer that is echoed hears its own tone and no other."""
    return hear(group, {peer: {LOW_HZ}})


def hear(group: PeerGroup, wanted: Mapping[Peer, set[float]]) -> bool:
    """Let everybody talk until each hears just that: a busy machine is late with what came before."""
    for _ in range(20):
        for peer in wanted:
            peer.forget()
        group.run_ms(700)
        found = [tones.heard(peer.heard(300), BOTH) for peer in wanted]
        if found == list(wanted.values()):
            return True
    raise AssertionError(f"heard {found}, wanted {list(wanted.values())}")


@pytest.mark.parametrize(("suite", "profile"), [(CM, "RTP/SAVP"), (GCM, "RTP/SAVP"), (GCM, "RTP/SAVPF"), (CM, "RTP/AVP")])
def test_each_suite_and_profile_is_heard(optional: Site, suite: str, profile: str) -> None:
    """With the profile of plain RTP keys are an offer that may be declined (RFC 8643)."""
    with PeerGroup() as group:
        peer = group.add(SecurePeer.saying(LOW_HZ, suite))
        with optional.phone(peer, profile) as phone:
            phone.call("me")
            optional.note(phone)
            assert phone.code == 200 and f" {profile} 0 101" in phone.answer and f"a=crypto:1 {suite} " in phone.answer
            assert hears_itself(group, peer) and not peer.refused
            record = optional.server.record_of("me")
            assert record["srtp"] == suite
            shown = repr((record, optional.server.json("core.calls"), optional.server.json("monitoring.list")))
            assert not [key for key in optional.keys if key[:20] in shown]
            phone.bye()
            wait_until(lambda: optional.server.xml.calls() == 0, "it is over")


def test_an_mki_and_a_lifetime(optional: Site) -> None:
    with PeerGroup() as group:
        peer = group.add(SecurePeer.saying(LOW_HZ, CM, mki=b"\0\0\0\1"))
        line = peer.line().replace("|1:4", "|2^31|1:4") + " WSH=128 -X_FUTURE"
        others = (
            "a=crypto:5 AES_256_CM_HMAC_SHA1_80 inline:" + "A" * 62,
            peer.line(6, " UNENCRYPTED_SRTCP"),
            "a=crypto:nonsense",
        )
        with optional.phone(peer, lines=(*others, line)) as phone:
            phone.call("echo")
            assert f"a=crypto:1 {CM} " in phone.answer and hears_itself(group, peer)
            phone.bye()


def test_plain_calls_stay_plain(optional: Site) -> None:
    with PeerGroup() as group:
        peer = group.add(SecurePeer.saying(LOW_HZ, plain=True))
        with optional.phone(peer, "RTP/AVP", ()) as phone:
            phone.call("me")
            assert "crypto" not in phone.answer and " RTP/AVP " in phone.answer
            assert hears_itself(group, peer) and not optional.server.record_of("me").get("srtp")
            phone.bye()


def test_of_two_streams_the_protected_one_is_taken(optional: Site) -> None:
    with PeerGroup() as group:
        peer = group.add(SecurePeer.saying(LOW_HZ))
        with optional.phone(peer) as phone:
            plain = f"m=audio {peer.port} RTP/AVP 0\r\n"
            phone.edit = lambda text: text.replace(
                "m=audio", f"{plain}m=audio", 1).replace(f"{plain}m=audio {peer.port} RTP/AVP", f"{plain}m=audio {peer.port} RTP/SAVP"
            ) + f"{peer.line()}\r\n"  # fmt: skip
            phone.call("echo")
            assert "m=audio 0 RTP/AVP 0\r\n" in phone.answer
            assert re.search(r"m=audio [1-9]\d* RTP/SAVP ", phone.answer) and hears_itself(group, peer)
            phone.bye()


def test_garbage_replays_and_plain_rtp_are_not_heard_and_end_no_call(optional: Site) -> None:
    with PeerGroup() as group:
        secure, plain = group.add(SecurePeer.saying(LOW_HZ, GCM)), group.peer(0)
        with optional.phone(secure) as one, Phone(optional.server.sip_port, plain) as two:
            one.call("conf-a"), two.call("conf-a")
            assert hear(group, {plain: {LOW_HZ}})
            rng, before = random.Random(1), (optional.dropped("not_authentic"), optional.dropped("replayed"))
            for size in (0, 1, 11, 12, 13, 28, 172, 1400, 2000):
                secure.throw(rng.randbytes(size))
                secure.throw(b"\x80\x00" + rng.randbytes(size))
                secure.throw(b"\x80\xc8" + rng.randbytes(size))
            for packet in secure.protected[-20:]:
                secure.throw(packet)
            secure.plain, secure.samples = True, tones.tone(HIGH_HZ, 1000)
            assert hear(group, {plain: set()})
            wait_until(lambda: optional.dropped("replayed") >= before[1] + 20, "replays are counted")
            for _ in range(20):
                if optional.dropped("not_authentic") >= before[0] + 60:
                    break
                group.run_ms(500)  # plain RTP goes on
            assert optional.dropped("not_authentic") >= before[0] + 60
            secure.plain, secure.samples = False, tones.tone(LOW_HZ, 1000)
            assert hear(group, {plain: {LOW_HZ}})
            one.bye(), two.bye()


def test_a_room_of_secure_and_plain_legs(optional: Site) -> None:
    with PeerGroup() as group:
        peers = [group.add(SecurePeer.saying(LOW_HZ, CM)), group.peer(HIGH_HZ)]
        with optional.phone(peers[0]) as one, Phone(optional.server.sip_port, peers[1]) as two:
            one.call("conf-b"), two.call("conf-b")
            assert hear(group, {peers[0]: {HIGH_HZ}, peers[1]: {LOW_HZ}})
            one.bye(), two.bye()


def test_hold_keys_refresh_and_a_new_key(optional: Site) -> None:
    with PeerGroup() as group:
        peer = group.add(SecurePeer.saying(LOW_HZ, CM))
        with optional.phone(peer) as phone:
            phone.call("call")
            ours = _INLINE.findall(phone.answer)
            phone.invite(("a=sendonly",))
            assert phone.answered() == 200 and "a=recvonly" in phone.answer and _INLINE.findall(phone.answer) == ours
            phone.invite()  # back again, and as a session refresh does
            phone.answered()
            assert _INLINE.findall(phone.answer) == ours and not peer.refused
            assert hears_itself(group, peer)
            peer.press(4), peer.press(2)
            wait_until(lambda: optional.server.record_of("call").get("keys") == "42", "keys are heard")
            before = peer.sends
            peer.take_key(secrets.token_bytes(KEY_BYTES[CM]))
            new, peer.sends = peer.sends, before
            phone.invite()
            assert phone.answered() == 200 and _INLINE.findall(phone.answer) == ours
            optional.note(phone)
            group.run_ms(300)  # what is on its way goes under the old key
            peer.sends = new
            assert hears_itself(group, peer) and not peer.refused
            phone.bye()


def test_a_call_is_recorded_in_the_clear(optional: Site) -> None:
    with PeerGroup() as group:
        peer = group.add(SecurePeer.saying(LOW_HZ, GCM))
        with optional.phone(peer) as phone:
            phone.call("taken")
            (id,) = optional.server.xml.listByFilter(["callid", phone.call_id])
            begun: list[str] = []
            wait_until(
                lambda: (
                    (started := optional.server.json("recordings.startCall", id))[0] == 200 and begun.append(started[2]) is None
                ),
                "it is recorded",
            )
            (name,) = begun
            group.run_ms(1500)
            phone.bye()
        wait_until(lambda: optional.server.json("recordings.info", name)[2]["state"] == "complete", "it is whole")
        (path,) = (optional.folder / "kept").rglob(f"{name}*.wav")
        samples, rate_hz = soundfile.read(str(path), dtype="int16", always_2d=True)
        assert tones.heard(np.ascontiguousarray(samples[:, 0]), BOTH, rate_hz) == {LOW_HZ}


@pytest.mark.parametrize("suite", SUITES)
def test_a_dialled_call_is_protected(optional: Site, suite: str) -> None:
    """Our offer has keys for both suites under plain RTP's profile; who answers with one has SRTP."""
    with PeerGroup() as group:
        peer = group.add(SecurePeer.saying(LOW_HZ, suite))
        with optional.phone(peer, "RTP/AVP") as phone:
            dial = Thread(target=lambda: optional.server.json("core.dialout", "echo", "u", phone.uri, "sip:me@here.example"))
            dial.start()
            took = accept(phone, suite)
            dial.join()
            assert took.count("a=crypto:") == 2 and " RTP/AVP " in took
            assert hears_itself(group, peer) and not peer.refused
            phone.bye()


def accept(phone: SecurePhone, suite: str) -> str:
    """Take the server's call with the line of a suite; its offer."""
    offers: list[str] = []
    whole = phone.edit

    def answer(text: str) -> str:
        offer = phone.offer
        tag = re.search(rf"a=crypto:(\d+) {suite} inline:(\S+)", offer)
        assert tag is not None and whole is not None
        offers.append(offer)
        phone.peer.hear_with(tag[0])
        phone.lines = (phone.peer.line(int(tag[1])),)
        return whole(text)

    phone.edit = answer
    phone.called()
    return offers[0]


def test_a_second_leg_opens_and_protects(optional: Site) -> None:
    """A call with SRTP connected with one without, undecoded: each side hears the other."""
    with PeerGroup() as group:
        peers = [group.add(SecurePeer.saying(LOW_HZ, GCM)), group.peer(HIGH_HZ)]
        with optional.phone(peers[0]) as one, Phone(optional.server.sip_port, peers[1]) as two:
            one.headers = (f"X-Target: {two.uri}",)
            one.call("desk")
            two.called()
            assert hear(group, {peers[0]: {HIGH_HZ}, peers[1]: {LOW_HZ}})
            one.bye()
            two.hung_up()


def test_without_tls_there_is_none(optional: Site) -> None:
    with PeerGroup() as group:
        peer = SecurePeer.saying(LOW_HZ)
        group.add(peer)
        with Phone(optional.server.sip_port, peer) as phone:
            phone.edit = lambda text: text.replace("RTP/AVP", "RTP/SAVP") + f"{peer.line()}\r\n"
            phone.call("echo")
            assert (phone.code, phone.warning) == (488, '302 cordboard "SRTP needs SIP over TLS here"')
        with Phone(optional.server.sip_port, peer) as phone:  # with plain RTP's profile the keys are passed over
            phone.edit = lambda text: text + f"{peer.line()}\r\n"
            phone.call("echo")
            assert phone.code == 200 and "crypto" not in phone.answer
            phone.bye()


@pytest.mark.parametrize(
    ("profile", "lines", "warning"),
    [
        ("RTP/AVP", (), "SRTP is required here"),
        ("RTP/SAVP", ("a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:" + "A" * 40,), "SRTP is required here"),
    ],
)
def test_plain_rtp_is_refused_where_srtp_is_required(mandatory: Site, profile: str, lines: tuple[str, ...], warning: str) -> None:
    with PeerGroup() as group, mandatory.phone(group.add(SecurePeer.saying(LOW_HZ)), profile, lines) as phone:
        phone.call("echo")
        assert (phone.code, phone.warning) == (488, f'302 cordboard "{warning}"')
    wait_until(lambda: mandatory.server.xml.calls() == 0, "nothing is left")


def test_a_call_that_must_be_protected_stays_so(mandatory: Site) -> None:
    """A later offer without keys is refused, and the call goes on as it was; by UDP and to a phone that is reached by UDP there is none."""
    with PeerGroup() as group:
        peer = group.add(SecurePeer.saying(LOW_HZ, GCM))
        with mandatory.phone(peer) as phone, Phone(mandatory.server.sip_port, group.peer(0)) as other:
            phone.call("echo")
            mandatory.note(phone)
            assert hears_itself(group, peer)
            phone.lines = ()
            phone.invite()
            assert phone.answered() == 488
            assert hears_itself(group, peer)
            other.call("echo")
            assert (other.code, other.warning) == (488, '302 cordboard "SRTP needs SIP over TLS here"')
            answer = mandatory.server.json("di_dial.dial", "echo", "u", "sip:me@here.example", other.uri)
            wait_until(lambda: mandatory.server.xml.calls() == 1, f"the call out has ended: {answer}")
            assert other.request("OPTIONS").code >= 200  # what was sent to it before has been read with that
            assert not [message for message in other.messages if message.method == "INVITE"]
            phone.bye()


@pytest.mark.parametrize("answers", ["plain", "wrong"])
def test_an_answer_without_a_key_ends_the_call(mandatory: Site, answers: str) -> None:
    with PeerGroup() as group:
        peer = group.add(SecurePeer.saying(LOW_HZ, CM))
        lines = () if answers == "plain" else (peer.line(77),)
        with mandatory.phone(peer, "RTP/SAVP", lines) as phone:
            dial = Thread(target=lambda: mandatory.server.json("core.dialout", "echo", "u", phone.uri, "sip:me@here.example"))
            dial.start()
            phone.called()
            assert phone.offer.count("a=crypto:") == 2 and " RTP/SAVP " in phone.offer
            phone.hung_up()
            dial.join()
        wait_until(lambda: mandatory.server.xml.calls() == 0, "it is over")


def odd_offers_are_answered(site: Site, peer: SecurePeer) -> None:
    """Crypto lines of any kind cost at most their own call, and are answered."""
    rng = random.Random(7)
    words = [
        "1",
        CM,
        GCM,
        "inline:",
        peer.line()[-40:],
        "|",
        "2^20",
        "1:4",
        ";",
        " ",
        "WSH=",
        "a=crypto:",
        "\t",
        "=",
        "é",
        "\x01",
        "-1",
        "9" * 300,
    ]
    codes = set()
    for number in range(25):
        text = "".join(rng.choices(words, k=rng.randint(0, 12)))
        lines = f"a=crypto:{text}\r\n" + (f"{peer.line(number)}\r\n" if number % 3 == 0 else "")
        with Phone(site.server.sip_port, peer) as phone:
            phone.edit = lambda text, lines=lines: text.replace("RTP/AVP", "RTP/SAVP") + lines  # type: ignore[misc]
            phone.call("echo")
            codes.add(phone.code)
            if phone.code == 200:
                phone.bye()
    assert codes == {200, 488}


def test_keys_without_tls_where_that_is_allowed(tmp_path: Path) -> None:
    site = Site(tmp_path, "srtp=optional\nsrtp_without_tls=yes\nsrtp_suites=AES_CM_128_HMAC_SHA1_80")
    for started in running(site):
        assert "keys of SRTP go in the clear" in started.server.log
        with PeerGroup() as group:
            peer = group.add(SecurePeer.saying(LOW_HZ, CM))
            with Phone(started.server.sip_port, peer) as phone:
                lines = f"{SecurePeer.saying(HIGH_HZ, GCM).line(1)}\r\n{peer.line(2)}\r\n"
                phone.edit = lambda text, lines=lines: text.replace("RTP/AVP", "RTP/SAVP") + lines  # type: ignore[misc]
                phone.call("echo")
                assert f"a=crypto:2 {CM} " in phone.answer
                peer.hear_with(phone.answer)
                assert hears_itself(group, peer)
                phone.bye()
            odd_offers_are_answered(started, group.add(SecurePeer.saying(LOW_HZ, CM)))
