# SPDX-License-Identifier: GPL-2.0-or-later
"""SRTP with phones of other makers: baresip in each of its ways to ask for it, called and calling; sipp with crypto lines of its own.

Debian's baresip offers one suite only, and takes both; its sipp has no TLS and no SRTP, so its audio is a peer's of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tones
from tests.support.baresip import PCMU, Baresip
from tests.support.ports import free_port
from tests.support.rtp_peer import PeerGroup
from tests.support.sdp import audio_address
from tests.support.server import WITH_APPS, Server, wait_until
from tests.support.sipp import Sipp
from tests.support.srtp_phone import SecurePeer
from tests.support.srtp_reference import CM, GCM
from tests.support.tls import self_signed

pytestmark = pytest.mark.peers
TONE_HZ, OTHERS_HZ = 700.0, [900.0, 1300.0]
_ANSWER = re.compile(r"SIP/2\.0 200 OK(?:.*\r?\n)*?v=0\r?\n(?:[a-z]=.*\r?\n)+")


class SecureServer(Server):
    """With SIP over TLS and one suite."""

    def __init__(self, folder: Path, settings: str) -> None:
        self.certificate, self.tls_port = self_signed(folder), free_port()
        lines = f"tls_port={self.tls_port}\ntls_certificate={self.certificate}\ntls_key={self.certificate}\n{settings}\n"
        super().__init__(
            folder,
            {"app_mapping.conf": "^sips?:=>listener\n"},
            lines,
            "monitoring;listener;di_dial;xmlrpc2di;web",
            program=WITH_APPS,
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureServer]:
    with SecureServer(
        tmp_path_factory.mktemp("server"), "srtp=optional\nsrtp_dialled=mandatory\nsrtp_without_tls=yes"
    ) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest.mark.parametrize("way", ["srtp", "srtp-mandf"])
def test_baresip_hears_itself(server: SecureServer, tmp_path: Path, way: str) -> None:
    running, suite = server, CM
    with Baresip(tmp_path / "phone", PCMU, tones.tone(TONE_HZ, 30_000, 8000, 4000), encryption=way) as phone:
        phone.start()
        phone.command("dial", f"sip:{way}@127.0.0.1:{running.tls_port};transport=tls")
        phone.event("CALL_ESTABLISHED")
        wait_until(lambda: running.record_of(way).get("srtp") == suite, f"{suite} protects the call: {phone.log}", 40)
        wait_until(lambda: phone.rates()[1] > 5000, "it gets audio", 40)
        phone.command("hold")
        wait_until(lambda: running.record_of(way).get("offers") == "sendonly", "on hold", 40)
        phone.command("resume")
        wait_until(lambda: running.record_of(way).get("offers") == "sendonly,sendrecv", "resumed", 40)
        wait_until(lambda: phone.rates()[1] > 5000, "it gets audio again", 40)
        for key in "42":
            phone.command("sndcode", key)
        wait_until(lambda: running.record_of(way).get("keys") == "42", "keys are heard", 40)
        phone.command("hangup")
        phone.event("CALL_CLOSED")
        phone.quit()
        assert tones.heard(phone.heard()[8000:], [TONE_HZ, *OTHERS_HZ], 8000, 1000) == {TONE_HZ}


def test_baresip_is_called(server: SecureServer, tmp_path: Path) -> None:
    """It takes what stands first in our offer."""
    says = tones.tone(TONE_HZ, 30_000, 8000, 4000)
    with Baresip(tmp_path / "phone", PCMU, says, encryption="srtp-mand", certificate=server.certificate) as phone:
        phone.start()
        uri = f"sip:phone@127.0.0.1:{phone.sip_port + 1};transport=tls"
        id = server.json("core.dialout", "listener", "u", uri, "sip:me@here.example")
        phone.event("CALL_INCOMING")
        phone.command("accept")
        phone.event("CALL_ESTABLISHED")
        wait_until(lambda: server.xml.di("monitoring", "get", id)[0].get("srtp") == GCM, "it is protected", 40)
        wait_until(lambda: phone.rates()[1] > 5000, f"it gets audio: {phone.log}", 40)
        phone.command("hangup")
        phone.event("CALL_CLOSED")
        phone.quit()
        assert tones.heard(phone.heard()[8000:], [TONE_HZ, *OTHERS_HZ], 8000, 1000) == {TONE_HZ}


def test_sipp_offers_crypto_lines(server: SecureServer) -> None:
    """What sipp offers is answered with the suite that its own lines have; the audio of its call is protected with their key."""
    suite = GCM
    with PeerGroup() as group:
        peer = group.add(SecurePeer.saying(TONE_HZ, suite))
        lines = f"a=crypto:3 AES_256_CM_HMAC_SHA1_80 inline:{'A' * 62}\n{peer.line(4)}"
        with Sipp(
            "srtp", server.sip_port, replace={"CRYPTO": lines}, user="sipp", hold_ms=None, media_port_base=peer.port
        ) as sipp:
            answer = wait_until(lambda: _ANSWER.search(sipp.messages), "the answer", 40)[0]
            peer.hear_with(answer)
            peer.remote = audio_address(answer)
            group.hear({peer: {TONE_HZ}}, [TONE_HZ, *OTHERS_HZ])
            assert not peer.refused and f"a=crypto:4 {suite} " in answer and " RTP/SAVP 0" in answer
            sipp.hang_up()
            assert sipp.wait().successful == 1
