# SPDX-License-Identifier: GPL-2.0-or-later
"""A call in progress loses no packet while every gateway of the real server is fed garbage."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from pathlib import Path
from random import Random

import pytest

from tests.peers.test_skeleton_calls import find_remote, on_ports
from tests.property.interfaces.test_fuzz_gateways import netstring_message, send, web_message, xml_message
from tests.support.ports import free_port
from tests.support.rtp_peer import PeerGroup
from tests.support.server import Server
from tests.support.sipp import Sipp, find_sipp
from tests.support.sizes import size

pytestmark = [pytest.mark.peers, pytest.mark.alone]

PLUGINS = "monitoring;announcement;webconference;xmlrpc2di;jsonrpc;web"
SECONDS = size(5, 60)


def test_garbage_on_every_gateway_disturbs_no_call(tmp_path: Path) -> None:
    find_sipp()
    port = free_port()
    files = {"app_mapping.conf": "^sip:=>announcement\n", "jsonrpc.conf": f"jsonrpc_port={port}\n"}
    with Server(tmp_path, files, plugins=PLUGINS) as server, PeerGroup() as group, contextlib.ExitStack() as callers:
        stop = threading.Event()
        sent = [0, 0, 0]

        async def feed(number: int) -> None:
            make = (xml_message, web_message, netstring_message)[number]
            target, random = (server.xml_port, server.web_port, port)[number], Random(number)
            while not stop.is_set():
                await send(target, make(random))
                sent[number] += 1

        async def feed_all() -> None:
            await asyncio.gather(*(feed(number) for number in (0, 1, 2)))

        base = on_ports(1, group)
        sipp = callers.enter_context(
            Sipp("called_off", server.sip_port, user="announce", media_port_base=base, timeout_s=SECONDS + 100)
        )
        find_remote(group)
        feeder = threading.Thread(target=lambda: asyncio.run(feed_all()))
        feeder.start()
        for _ in range(12):
            group.run_ms(SECONDS * 1000)
            if min(sent) > 50 and len(group.peers[0].packets) >= SECONDS * 50:
                break
        stop.set()
        feeder.join()
        packets = group.peers[0].packets
        assert len(packets) >= SECONDS * 50
        assert {(b.sequence - a.sequence) & 0xFFFF for a, b in itertools.pairwise(packets)} == {1}
        assert {(b.ts - a.ts) & 0xFFFFFFFF for a, b in itertools.pairwise(packets)} == {160}
        assert min(sent) > 50
        (id,) = server.xml.listActive()
        server.json("core.hangup", id)
        assert sipp.wait().successful == 1
        assert "Traceback" not in server.log
