# SPDX-License-Identifier: GPL-2.0-or-later
"""The way to a registrar is kept open, and the address that it sees is registered, at the far end of a real server."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from interfaces.sip.message import uri_of
from tests.support.server import Server
from tests.support.sip_peer import PeerOutside, UdpPeer

pytestmark = pytest.mark.peers


async def test_kept_open_and_registered_as_it_is_seen(tmp_path: Path) -> None:
    files = {"registrar_client.conf": "keepalive=1\nlearn_contact=yes\n", "app_mapping.conf": ""}
    server = Server(tmp_path, files, plugins="monitoring;registrar_client;xmlrpc2di;web")
    await asyncio.to_thread(server.start)
    registrar = await UdpPeer.open(server.sip_port)

    async def register() -> PeerOutside:
        """The next REGISTER, answered as a registrar does to which a NAT shows port 40123; on a slow machine the way is kept open before it."""
        while (asked := await registrar.take_outside()).method == "OPTIONS":
            asked.answer(405)
        assert asked.method == "REGISTER"
        headers = tuple(
            (name, f"{value.replace(';rport', '')};received=203.0.113.5;rport=40123" if name == "Via" else value)
            for name, value in asked.request_message.headers
        )
        contact = asked.request_message.header("Contact")
        asked.reply(replace(asked.request_message, headers=headers), 200, headers=f"Contact: {contact};expires=600\r\n")
        return asked

    async def answer_all() -> None:
        while True:
            (await registrar.take_outside()).answer(200)

    try:
        where = f"127.0.0.1:{registrar.port}"
        await asyncio.to_thread(
            server.xml.di, "registrar_client", "createRegistration", where, "anna", "Anna", "anna", "secret", "", where
        )
        first = await register()
        ours = uri_of(first.request_message.header("Contact"))
        assert ours == f"sip:anna@127.0.0.1:{server.sip_port}"
        second = await register()
        contacts = [value for name, value in second.request_message.headers if name == "Contact"]
        assert contacts == ["<sip:anna@203.0.113.5:40123>", f"<{ours}>;expires=0"]
        for _ in range(2):
            kept = await registrar.take_outside()
            assert kept.method == "OPTIONS" and re.match(r"OPTIONS sip:127\.0\.0\.1:", kept.request_message.start_line)
            kept.answer(405)
    finally:
        leaving = asyncio.ensure_future(answer_all())
        await asyncio.to_thread(server.end)
        leaving.cancel()
        registrar.close()
