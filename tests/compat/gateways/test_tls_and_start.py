# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS on every gateway, and the ways in which a start is refused."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import interfaces.jsonrpc
import interfaces.web
import interfaces.xmlrpc2di
from di.kernel.config import ConfigFile, parse
from di.kernel.errors import ConfigError
from di.kernel.options import load
from interfaces import tls_accept
from interfaces.gateway import bind_address
from tests.support.bare_hub import bare_services
from tests.support.gateways import Gateways, netstring, running
from tests.support.tls import client_hello, self_signed

PLUGINS: list[tuple[Any, str]] = [
    (interfaces.xmlrpc2di.PLUGIN, "xmlrpc_port"),
    (interfaces.jsonrpc.PLUGIN, "jsonrpc_port"),
    (interfaces.web.PLUGIN, "port"),
]
IDS = [plugin.name for plugin, _ in PLUGINS]


async def test_every_gateway_speaks_tls(tmp_path: Path) -> None:
    pem = self_signed(tmp_path)
    trust = ssl.create_default_context(cafile=str(pem))
    ping = '{"jsonrpc":"2.0","method":"probe.later","params":["x"],"id":1}'
    async with running(tls=str(pem)) as gateways, aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as http:
        call = "<methodCall><methodName>calls</methodName></methodCall>"
        async with http.post(f"https://127.0.0.1:{gateways.xml_port}/", data=call) as reply:
            assert "<i4>0</i4>" in await reply.text()
        async with http.post(f"https://127.0.0.1:{gateways.web_port}/jsonrpc", data=ping) as reply:
            assert (await reply.json())["result"] == "x"
        async with http.get(f"https://127.0.0.1:{gateways.web_port}/healthz") as reply:
            assert reply.status == 200
        async with http.ws_connect(f"wss://127.0.0.1:{gateways.web_port}/ws") as connection:
            await connection.send_str(ping)
            assert (await connection.receive_json())["result"] == "x"
        reader, writer = await asyncio.open_connection("127.0.0.1", gateways.netstring_port, ssl=trust)
        writer.write(netstring(ping.encode()))
        assert await reader.readuntil(b",") != b""
        writer.close()
        with pytest.raises(aiohttp.ClientError):
            await http.post(f"http://127.0.0.1:{gateways.xml_port}/", data=call)


def options(plugin: Any, text: str) -> Any:
    conf = ConfigFile.empty(f"{plugin.name}.conf")
    parse(text, conf, Path("."), lambda path: "")
    return load(plugin.options, conf, {}, plugin.name)


async def refused(plugin: Any, text: str) -> ConfigError:
    services, _ = bare_services()
    with pytest.raises(ConfigError) as caught:
        await plugin.start(services, options(plugin, text))
    return caught.value


@pytest.mark.parametrize(("plugin", "key"), PLUGINS, ids=IDS)
async def test_a_port_in_use_stops_the_start_and_says_which(plugin: Any, key: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        error = await refused(plugin, f"# one\n{key}={port}")
    assert (error.line, error.key) == (2, key) and f"127.0.0.1:{port}" in error.hint and "another port" in error.hint


@pytest.mark.parametrize(("plugin", "key"), PLUGINS, ids=IDS)
async def test_an_address_that_others_reach_needs_an_access_file(plugin: Any, key: str) -> None:
    error = await refused(plugin, f"{key}=0\nserver_ip=0.0.0.0")
    assert (error.line, error.key) == (2, "server_ip") and "cordboard token add" in error.hint


@pytest.mark.parametrize(("plugin", "key"), PLUGINS, ids=IDS)
async def test_a_certificate_that_cannot_be_used(plugin: Any, key: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    for line in (f"tls_certificate={bad}", "tls_certificate=/nosuch/file.pem", f"tls_key={bad}"):
        error = await refused(plugin, f"{key}=0\n{line}")
        assert error.key == "tls_certificate"


@pytest.mark.parametrize("port", ["", "x", "-1", "65536", "80 90"])
def test_a_port_must_be_a_number(port: str) -> None:
    with pytest.raises(ConfigError, match="xmlrpc_port"):
        options(interfaces.xmlrpc2di.PLUGIN, f'xmlrpc_port="{port}"')


def test_addresses() -> None:
    assert bind_address("") == bind_address("localhost") == bind_address("lo") == "127.0.0.1"
    assert bind_address("::1") == "::1"
    for wrong in ("nosuchdevice0", "300.1.1.1", "a" * 100):
        with pytest.raises(ValueError, match="right is"):
            bind_address(wrong)


async def test_run_server_no_leaves_only_the_client_functions() -> None:
    services, _ = bare_services()
    closer = await interfaces.xmlrpc2di.PLUGIN.start(
        services, options(interfaces.xmlrpc2di.PLUGIN, "run_server=no\nxmlrpc_port=1")
    )
    assert services.registry.interface("xmlrpc2di") is not None
    await closer()
    assert services.registry.interface("xmlrpc2di") is None


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[tuple[Gateways, ssl.SSLContext]]:
    """Gateways with TLS, and what trusts their certificate."""
    pem = self_signed(tmp_path)
    async with running(tls=str(pem)) as gateways:
        yield gateways, ssl.create_default_context(cafile=str(pem))


PORTS = ("xml_port", "web_port", "netstring_port")


async def served(gateways: Gateways, trust: ssl.SSLContext) -> None:
    """Somebody who means it is served on each port."""
    for name in PORTS:
        _, writer = await asyncio.open_connection("127.0.0.1", getattr(gateways, name), ssl=trust)
        writer.close()


async def test_a_handshake_that_never_ends_is_ended(
    secured: tuple[Gateways, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing at all, half a first message, a whole one without the next, and a byte now and then."""
    gateways, trust = secured
    assert tls_accept.HANDSHAKE_LIMIT_S <= 10
    limit_s = tls_accept.HANDSHAKE_LIMIT_S
    monkeypatch.setattr(tls_accept, "HANDSHAKE_LIMIT_S", 0.5)
    hello = client_hello()

    async def hold(port: int, sent: bytes, dripping: bool) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        drips = asyncio.create_task(drip(writer)) if dripping else None
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 30)  # until the end of the connection
        if drips is not None:
            drips.cancel()
        writer.close()

    async def drip(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            for byte in hello:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.05)

    ways = [(b"", False), (hello[:30], False), (hello, False), (b"", True)]
    await asyncio.gather(*(hold(getattr(gateways, name), *way) for name in PORTS for way in ways))
    monkeypatch.setattr(tls_accept, "HANDSHAKE_LIMIT_S", limit_s)  # on a busy machine whoever means it takes longer, too
    await served(gateways, trust)


async def test_many_handshakes_that_never_end_lock_nobody_out(
    secured: tuple[Gateways, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateways, trust = secured
    monkeypatch.setattr(tls_accept, "MOST_HANDSHAKES", 8)
    held = [await asyncio.open_connection("127.0.0.1", getattr(gateways, name)) for name in PORTS for _ in range(30)]
    await served(gateways, trust)
    ended = asyncio.gather(*(reader.read() for reader, _ in held[:20]), return_exceptions=True)
    assert all(one == b"" or isinstance(one, ConnectionError) for one in await asyncio.wait_for(ended, 40))
    for _, writer in held:
        writer.close()


async def test_what_comes_with_the_last_message_of_the_handshake_is_answered(
    secured: tuple[Gateways, ssl.SSLContext],
) -> None:
    """A client may send its request in the same piece."""
    gateways, trust = secured
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trust.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    reader, writer = await asyncio.open_connection("127.0.0.1", gateways.web_port)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            if outgoing.pending:
                writer.write(outgoing.read())
            incoming.write(await reader.read(65536))
    tls.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    writer.write(outgoing.read())
    answer = b""
    async with asyncio.timeout(30):
        while b"200 OK" not in answer:
            try:
                answer += tls.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(await reader.read(65536))
    writer.close()
