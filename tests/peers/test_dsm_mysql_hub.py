# SPDX-License-Identifier: GPL-2.0-or-later
"""Real calls whose script asks a database that hangs, then dies: RPC and other calls go on, the script gets its error code (spec dsm.md §5.8)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import MariaDb
from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp, find_sipp, place_calls
from tests.support.slow_proxy import SlowProxy

pytestmark = pytest.mark.peers

CALLS = 5
SCRIPT = """
import(mod_mysql);
import(mod_monitoring);
initial state START;
state READY enter { monitoring.log(stage, ready); };
state BROKEN enter { monitoring.log(stage, $errno); };
transition "connect" START - sessionStart / { mysql.connect(); throwOnError(); } -> READY;
transition "ask" READY - event(#action == ask) / {
    monitoring.log(stage, asking);
    mysql.queryGetResult("SELECT 42 AS answer");
    throwOnError();
    monitoring.log(answer, $answer);
  } -> READY;
transition "lost" (START, READY) - exception -> BROKEN;
transition "bye" (START, READY, BROKEN) - hangup / stop(false) -> END;
state END;
"""


class Proxy:
    """`SlowProxy` in a thread of its own, for a test that does not run in an event loop."""

    def __init__(self, target_port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._proxy = SlowProxy(target_port)
        asyncio.run_coroutine_threadsafe(self._proxy.__aenter__(), self._loop).result(10)
        self.port = self._proxy.port

    def hold(self) -> None:
        """Keep the database's words."""
        self._loop.call_soon_threadsafe(self._proxy.hold)

    def wait_held(self) -> None:
        """Until there are some."""
        asyncio.run_coroutine_threadsafe(self._proxy.held.wait(), self._loop).result(40)

    def release(self) -> None:
        """Let them through."""
        self._loop.call_soon_threadsafe(self._proxy.release)

    def close(self) -> None:
        """End it."""
        asyncio.run_coroutine_threadsafe(self._proxy.__aexit__(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture
def database() -> Iterator[MariaDb]:
    find_sipp()
    with MariaDb() as running:
        assert isinstance(running, MariaDb)
        yield running


@pytest.fixture
def proxy(database: MariaDb) -> Iterator[Proxy]:
    proxy = Proxy(database.port)
    yield proxy
    proxy.close()


def test_a_database_that_hangs_and_dies(tmp_path: Path, database: MariaDb, proxy: Proxy) -> None:
    (tmp_path / "dsm").mkdir()
    (tmp_path / "dsm" / "asking.dsm").write_text(SCRIPT)
    settings = f"diag_path={tmp_path}/dsm/\nload_diags=asking\nregister_apps=asking\ndb_url={database.url(proxy.port)}\n"
    files = {"dsm.conf": settings, "app_mapping.conf": "^sip:ask=>asking\n^sip:echo=>echo\n"}
    with Server(tmp_path, files) as server:

        def stages(name: str, value: str) -> list[str]:
            return list(server.xml.di("monitoring", "listByFilter", [name, value]))

        def ask() -> None:
            for id in ids:
                assert server.xml.di("dsm", "postDSMEvent", id, [["action", "ask"]]) == [200, "OK"]

        with Sipp("call", server.sip_port, calls=CALLS, user="ask", hold_ms=120_000, media_port_base=42000, timeout_s=150):
            ids = wait_until(
                lambda: len(found := stages("stage", "ready")) == CALLS and found, "all calls connected to the database"
            )
            proxy.hold()
            ask()
            wait_until(lambda: len(stages("stage", "asking")) == CALLS, "all calls ask")
            proxy.wait_held()
            # the database says nothing, and everybody else has a server as ever
            assert all(server.json("monitoring.get", ids[0], "stage") for _ in range(200))
            others = place_calls(5, "echo", server.sip_port, hold_ms=300, media_port_base=43000)
            assert (others.successful, others.failed) == (5, 0)
            assert (stages("answer", "42"), len(stages("stage", "asking"))) == ([], CALLS)
            proxy.release()
            wait_until(lambda: len(stages("answer", "42")) == CALLS, "all calls have their answers")
            wait_until(lambda: len(stages("stage", "ready")) == CALLS, "all calls are ready again")
            database.kill()
            ask()
            wait_until(lambda: len(stages("stage", "connection")) == CALLS, "all scripts have their error code")
        assert "Traceback" not in server.log
        assert "p@ss" not in server.log
