# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls to precoded_announce: the phone gets the file's bytes in a codec of the definition, a BYE at the end, or no call at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.phone import Phone
from tests.support.rtp_peer import PCMA, PeerGroup
from tests.support.server import Server, wait_until

pytestmark = pytest.mark.peers

DEFINITION = "# what there is\n9;G722;8000;1;;20;160;a.g722\n8;PCMA;8000;1;;20;160;a.pcma\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    files = {"app_mapping.conf": "^sip:=>precoded_announce\n", "precoded_announce.conf": "announcement_file=prompts/x.predef\n"}
    running = Server(tmp_path_factory.mktemp("server"), files, plugins="monitoring;precoded_announce;xmlrpc2di;web")
    (running.etc / "prompts" / "x.predef").write_text(DEFINITION)
    for number, name in enumerate(("a.g722", "a.pcma")):
        data = np.random.default_rng(number).integers(0, 256, 40 * 160).astype(np.uint8)
        (running.etc / "prompts" / name).write_bytes(data.tobytes())
    with running:
        yield running


def in_folder(server: Server, name: str) -> Path:
    return server.etc / "prompts" / name


@pytest.mark.parametrize(
    ("formats", "maps", "kind", "file"),
    [("0 8 101", ("0 PCMU/8000", "8 PCMA/8000"), 8, "a.pcma"), ("0 9 101", ("0 PCMU/8000", "9 G722/8000"), 9, "a.g722")],
)
def test_the_file_of_a_listed_codec_is_sent_as_it_is_and_the_call_ends_with_it(
    server: Server, formats: str, maps: tuple[str, ...], kind: int, file: str
) -> None:
    with PeerGroup() as group, Phone(server.sip_port, group.peer(0, PCMA), formats, (*maps, "101 telephone-event/8000")) as phone:
        assert phone.call("anything").code == 200
        assert "PCMU" not in phone.answer
        phone.hung_up()
        group.run_ms(20)
        audio = [p for p in phone.peer.packets if p.payload_type == kind]
        whole = b"".join(p.payload for p in audio)
        data = in_folder(server, file).read_bytes()
        assert data in whole
        assert set(np.diff(np.array([p.ts for p in audio], np.uint32)).tolist()) == {160}
    wait_until(lambda: server.xml.calls() == 0, "the call is over")


def test_a_phone_without_a_listed_codec_is_refused(server: Server) -> None:
    with (
        PeerGroup() as group,
        Phone(server.sip_port, group.peer(), "0 101", ("0 PCMU/8000", "101 telephone-event/8000")) as phone,
    ):
        assert phone.call("anything").code == 488
    wait_until(lambda: server.xml.calls() == 0, "nothing is left of it")


def test_a_file_that_has_gone_ends_the_call(server: Server) -> None:
    file = in_folder(server, "a.pcma")
    data = file.read_bytes()
    file.unlink()
    try:
        with PeerGroup() as group, Phone(server.sip_port, group.peer(0, PCMA)) as phone:
            assert phone.call("anything").code == 200
            phone.hung_up()
    finally:
        file.write_bytes(data)
    wait_until(lambda: "a.pcma: No such file" in server.log, "the log says why")
