# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of several files here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from di.sip.records import Listen
from tests.support.border import Border
from tests.support.server import WITH_APPS, Server
from tests.support.sip_peer import UdpPeer
from tests.support.sip_process import FAST_CLOCK, SipProcess
from tests.support.sip_sides import FakeSide, RealSide, Side
from tests.support.switchboard import MAPPING, PLUGINS, Switchboard


@pytest.fixture(scope="module")
def desk_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A whole server with the application `desk`."""
    files = {"app_mapping.conf": MAPPING}
    with Server(tmp_path_factory.mktemp("server"), files, "log_sessions=yes", PLUGINS, program=WITH_APPS) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest.fixture(scope="module")
def server(desk_server: Server) -> Server:
    """The server of a file; one that needs another has a fixture of its own."""
    return desk_server


@pytest_asyncio.fixture
async def board(server: Server) -> AsyncIterator[Switchboard]:
    """Phones around that server; nothing of a test is left in it."""
    board = Switchboard(server)
    yield board
    await board.all_gone()
    board.close()


@pytest_asyncio.fixture
async def border(server: Server) -> AsyncIterator[Border]:
    """Phones around a server with the sbc, which a file has of its own."""
    border = Border(server)
    yield border
    await border.all_gone()
    border.close()


@pytest_asyncio.fixture
async def phone(server: Server) -> AsyncIterator[UdpPeer]:
    """A phone at that server."""
    opened = await UdpPeer.open(server.sip_port)
    yield opened
    opened.close()


@pytest_asyncio.fixture
async def far(server: Server) -> AsyncIterator[UdpPeer]:
    """Another one, which is called."""
    opened = await UdpPeer.open(server.sip_port)
    yield opened
    opened.close()


@pytest.fixture
def listen() -> Listen | None:
    """What the SIP process of a test is told first; a file with other wishes has a fixture of its own."""
    return None


@pytest_asyncio.fixture
async def sip(request: pytest.FixtureRequest, listen: Listen | None) -> AsyncIterator[SipProcess]:
    """A real SIP process that answers every call, with fast long timers where a test is marked so."""
    fast = request.node.get_closest_marker("fast_clock")
    process = await SipProcess.start(listen, program=FAST_CLOCK if fast else "")
    yield process
    assert await process.stop(0) == 0 and "Traceback" not in process.log, process.log


@pytest_asyncio.fixture
async def peer(sip: SipProcess) -> AsyncIterator[UdpPeer]:
    """A phone at it."""
    opened = await UdpPeer.open(sip.port)
    yield opened
    opened.close()


@pytest_asyncio.fixture(params=["fake", "real"])
async def side(request: pytest.FixtureRequest) -> AsyncIterator[Side]:
    """The fake SIP process, then a real one; here the test answers everything itself."""
    if request.param == "fake":
        yield FakeSide()
        return
    process = await SipProcess.start(program=FAST_CLOCK if request.node.get_closest_marker("fast_clock") else "")
    process.on_offer = lambda offer: None
    process.reply_code = 0
    peer = await UdpPeer.open(process.port)
    yield RealSide(process, peer)
    peer.close()
    assert await process.stop(0) == 0 and "Traceback" not in process.log, process.log
