# SPDX-License-Identifier: GPL-2.0-or-later
"""A credential that is withdrawn ends what an open connection was told, not only what it may ask."""

from __future__ import annotations

import json
import time
from pathlib import Path

import aiohttp
import pytest

from di.access import Access
from di.access.file import new_token, rewrite
from tests.support.gateways import running


@pytest.mark.parametrize(("method", "params"), [("events.subscribe", []), ("events.watch", [[["app", "x"]]])])
async def test_the_event_stream_of_a_withdrawn_token_ends(tmp_path: Path, method: str, params: list[object]) -> None:
    path = tmp_path / "access.secrets"
    token, hashed = new_token("panel")
    rewrite(path, [f"token panel operator {hashed}"])
    ahead_ns = 0
    access = Access(path, now_ns=lambda: time.monotonic_ns() + ahead_ns)
    async with running(access) as gateways, aiohttp.ClientSession() as http:
        headers = {"Authorization": f"Bearer {token}"}
        async with http.ws_connect(f"http://127.0.0.1:{gateways.web_port}/ws", headers=headers) as socket:
            await socket.send_str(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
            assert "result" in json.loads(await socket.receive_str(timeout=40))
            gateways.services.monitoring.log("a", app="x")
            assert json.loads(await socket.receive_str(timeout=40))["method"].startswith("events.")
            rewrite(path, [])
            ahead_ns = 2 * 10**9
            gateways.services.monitoring.log("b", app="x")
            message = await socket.receive(timeout=40)
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert message.extra == "not allowed any more"
