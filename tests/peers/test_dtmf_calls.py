# SPDX-License-Identifier: GPL-2.0-or-later
"""sipp presses keys, by its own captures of RFC 4733 and by INFO; the event feed of the whole server shows each once."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets

from tests.support.ports import free_ports
from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp, SippResult, find_sipp

pytestmark = pytest.mark.peers

CAPTURES = Path("/usr/share/sip-tester")
KEYS_BY_RTP, KEY_BY_INFO = [5, 10, 0, 11], 7


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    find_sipp()
    with Server(tmp_path_factory.mktemp("server"), {"app_mapping.conf": "^sip:echo=>echo\n"}) as running:
        yield running


def need_raw_sockets() -> None:
    """sipp replays captures through a raw socket, which only an administrator may open; skips, or fails under CI."""
    missing = "" if os.geteuid() == 0 else "sipp replays captures only when run as root"
    missing = missing or ("" if (CAPTURES / "dtmf_2833_5.pcap").exists() else f"no captures in {CAPTURES}")
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


async def keys_of(server: Server, scenario: str, **options: Any) -> tuple[SippResult, list[tuple[int, str]]]:
    """Run a scenario; return its result and the (key, source) of every dtmf event until its call has ended."""
    keys: list[tuple[int, str]] = []
    async with websockets.connect(f"ws://127.0.0.1:{server.web_port}/ws") as feed:
        types = ["dtmf", "call.ended"]
        await feed.send(
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": {"filter": {"types": types}}})
        )
        assert "result" in json.loads(await feed.recv())
        sipp = Sipp(scenario, server.sip_port, user="echo", **options)
        while True:
            message = json.loads(await asyncio.wait_for(feed.recv(), 40))
            params = message.get("params", {})
            if params.get("type") == "call.ended":
                break
            if params.get("type") == "dtmf":
                keys.append((params["attributes"]["key"], params["attributes"]["source"]))
        return await asyncio.to_thread(sipp.wait), keys


async def test_keys_of_sipps_captures_and_info_are_each_seen_once(server: Server) -> None:
    need_raw_sockets()
    port = free_ports(4)
    result, keys = await keys_of(server, "dtmf_keys", replace={"CAPTURES": str(CAPTURES)}, arguments=("-mp", str(port)))
    assert (result.successful, result.failed) == (1, 0), result.errors
    assert keys == [*((key, "rtp") for key in KEYS_BY_RTP), (KEY_BY_INFO, "info")]
    await asyncio.to_thread(wait_until, lambda: server.xml.calls() == 0, "the call is over")


async def test_info_is_one_key_and_has_its_duration(server: Server) -> None:
    result, keys = await keys_of(server, "dtmf_info", replace={"CODE": "200"})
    assert (result.successful, result.failed) == (1, 0), result.errors
    assert keys == [(5, "info")]
