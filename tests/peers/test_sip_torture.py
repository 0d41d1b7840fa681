# SPDX-License-Identifier: GPL-2.0-or-later
"""RFC 4475's 49 messages by UDP and by TCP to a whole server: each gets the reply that it should, and the server serves on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from interfaces.sip.message import Message
from tests.support import tones
from tests.support.phone import Phone
from tests.support.rtp_peer import PeerGroup
from tests.support.server import Server, wait_until
from tests.support.torture import Torture, outcome, read_all, torture

pytestmark = pytest.mark.peers
MESSAGES = read_all()
TONE_HZ = 700.0


@pytest.fixture(scope="module", params=["UDP", "TCP"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, transport: str) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), {"app_mapping.conf": "^sip:=>echo\n"}) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest.fixture(scope="module")
def replies(server: Server, transport: str) -> dict[str, list[Message]]:
    """What each message got, all sent within a moment."""
    return asyncio.run(torture(MESSAGES, transport, server.sip_port))


def test_there_are_all() -> None:
    assert len(MESSAGES) == 49


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_each_gets_its_reply(replies: dict[str, list[Message]], message: Torture) -> None:
    got = outcome(replies[message.name])
    assert got in message.expected, f"{message.title}: {[reply.start_line for reply in replies[message.name]]}"


def test_the_server_serves_on(server: Server, replies: dict[str, list[Message]]) -> None:
    before = server.children()
    with PeerGroup() as group:
        phone = Phone(server.sip_port, group.peer(TONE_HZ)).call("echo")
        for _ in range(20):
            phone.peer.forget()
            group.run_ms(800)
            heard = tones.heard(phone.peer.heard(200), [TONE_HZ, 900.0])
            if heard == {TONE_HZ}:
                break
        assert heard == {TONE_HZ}
        phone.bye()
    wait_until(lambda: server.xml.calls() == 0, "no call of the messages is left")
    assert server.children() == before and len(before) == 2
