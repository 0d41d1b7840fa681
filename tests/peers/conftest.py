# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of several files here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.server import WITH_APPS, Server
from tests.support.switchboard import MAPPING, PLUGINS, Switchboard


@pytest.fixture(scope="module")
def desk_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A whole server with the application `desk`."""
    files = {"app_mapping.conf": MAPPING}
    with Server(tmp_path_factory.mktemp("server"), files, "log_sessions=yes", PLUGINS, program=WITH_APPS) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest_asyncio.fixture
async def board(desk_server: Server) -> AsyncIterator[Switchboard]:
    """Phones around that server; nothing of a test is left in it."""
    board = Switchboard(desk_server)
    yield board
    await board.all_gone()
    board.close()
