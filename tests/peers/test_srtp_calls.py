# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls with SRTP (RFC 4568) from end to end, with phones that do SRTP by themselves: heard by tones, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tones
from tests.support.ports import free_port
from tests.support.rtp_peer import PeerGroup
from tests.support.server import Server
from tests.support.srtp_phone import SUITES, SecurePeer, SecurePhone
from tests.support.tls import self_signed

pytestmark = pytest.mark.peers
LOW_HZ, HIGH_HZ = 440.0, 900.0


class Site:
    """A server with SIP over TLS."""

    def __init__(self, folder: Path, settings: str) -> None:
        self.certificate = self_signed(folder)
        self.tls_port = free_port()
        lines = f"tls_port={self.tls_port}\ntls_certificate={self.certificate}\ntls_key={self.certificate}\n{settings}"
        self.server = Server(folder, {"app_mapping.conf": "^sips?:echo=>echo\n^sips?:room=>conference\n"}, lines)

    def phone(self, peer: SecurePeer, profile: str = "RTP/SAVP", lines: tuple[str, ...] | None = None) -> SecurePhone:
        return SecurePhone(self.tls_port, peer, self.folder_certificate, profile, lines)

    @property
    def folder_certificate(self) -> Path:
        return self.certificate


@pytest.fixture(scope="module")
def optional(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("optional"), "srtp=optional")
    with site.server:
        yield site
    assert "Traceback" not in site.server.log, site.server.log


@pytest.mark.parametrize("suite", SUITES)
def test_echo(optional: Site, suite: str) -> None:
    with PeerGroup() as group:
        peer = group.add(SecurePeer.saying(LOW_HZ, suite))
        with optional.phone(peer) as phone:
            phone.call("echo")
            assert phone.code == 200, phone.reason
            print(phone.answer)
            group.run_ms(1500)
            assert tones.heard(peer.heard(500), [LOW_HZ, HIGH_HZ]) == {LOW_HZ} and not peer.refused
            phone.bye()
