# SPDX-License-Identifier: GPL-2.0-or-later
"""The statistics server over a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from di.access import Access
from di.access.file import rewrite
from di.kernel.config import ConfigFile
from di.kernel.errors import ConfigError
from di.kernel.options import load
from di.server.services import Services
from di.stores import monitoring
from interfaces import stats
from interfaces.stats.commands import Commands
from interfaces.stats.options import Options
from interfaces.stats.server import StatsServer
from tests.support.bare_hub import bare_services


async def ask(port: int, datagram: bytes) -> bytes:
    """Send a datagram from a new socket and wait for the answer."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(("127.0.0.1", port))
        await loop.sock_sendall(sock, datagram)
        return await asyncio.wait_for(loop.sock_recv(sock, 65536), 40)


@pytest.fixture
async def served() -> AsyncIterator[tuple[Services, int]]:
    services, _ = bare_services()
    monitoring.PLUGIN.start(services, monitoring.Options())
    server = StatsServer(Commands(services.registry, "v"), services.access)
    yield services, await server.open("127.0.0.1", 0)
    server.close()


async def test_commands_over_udp(served: tuple[Services, int]) -> None:
    services, port = served
    assert await ask(port, b"calls\n") == b"Active calls: 0\n\0"
    assert await ask(port, b"DI monitoring set call1 app conference") == b"[0, 'OK']\0"
    assert await ask(port, b"DI monitoring get call1") == b"[{'app': 'conference'}]\0"
    assert await ask(port, b"DI monitoring list\nignored") == b"['call1']\0"
    for number in range(5000):
        services.monitoring.log(f"a-rather-long-identifier-{number}", k=1)
    assert b"does not fit" in await ask(port, b"DI monitoring list")
    for number in range(3000):
        services.monitoring.log(f"x{number}", text=f"text{number}")
    assert await ask(port, b"DI monitoring listByRegex text ^text299[89]$") == b"['x2998', 'x2999']\0"


async def test_garbage_is_answered_and_hurts_nobody(served: tuple[Services, int]) -> None:
    _, port = served
    for datagram in (b"\0", b"\xff" * 1000, b"DI " + b"x " * 1000, b"x" * 60000):
        assert (await ask(port, datagram)).endswith(b"\0")
    assert await ask(port, b"calls") == b"Active calls: 0\n\0"


async def test_with_an_access_file_strangers_get_what_it_says(tmp_path: Path) -> None:
    for lines, answer in (
        ([], b"Exception occured: not allowed: credentials are needed\n\0"),
        (["anonymous stats reader"], b"Active calls: 0\n\0"),
    ):
        services, _ = bare_services()
        rewrite(tmp_path / "access.secrets", lines)
        services.access = Access(tmp_path / "access.secrets", registry=services.registry)
        server = StatsServer(Commands(services.registry, "v"), services.access)
        port = await server.open("127.0.0.1", 0)
        assert await ask(port, b"calls") == answer
        assert (await ask(port, b"set_cpslimit 5")).startswith(b"Exception occured: not allowed: ")
        server.close()


def options(tmp_path: Path, text: str) -> Options:
    (tmp_path / "stats.conf").write_text(text)
    return load(Options, ConfigFile.read(tmp_path / "stats.conf"), {}, "stats")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("monit_udp_port=0\n", "monit_udp_ip: is missing"),
        ("monit_udp_ip=127.0.0.1\n", "monit_udp_port: is missing"),
        (
            "monit_udp_ip=localhost\nmonit_udp_port=0\n",
            "stats.conf:1: monit_udp_ip: 'localhost' cannot be used: right is a numeric IPv4",
        ),
        ("monit_udp_ip=127.0.0.1\nmonit_udp_port=x\n", "stats.conf:2: monit_udp_port: 'x' is not a whole number from 0 to 65535"),
    ],
)
def test_both_keys_are_required(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        options(tmp_path, text)
    assert message in str(caught.value)


async def test_start_says_why_it_cannot(tmp_path: Path) -> None:
    services, _ = bare_services()
    start: Any = stats.PLUGIN.start
    with pytest.raises(ConfigError, match=r"stats.conf:1: monit_udp_ip: 0.0.0.0 can be reached from elsewhere"):
        await start(services, options(tmp_path, "monit_udp_ip=0.0.0.0\nmonit_udp_port=0\n"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"monit_udp_port: cannot listen on 127.0.0.1:{port} \(Address already in use\)"):
            await start(services, options(tmp_path, f"monit_udp_ip=127.0.0.1\nmonit_udp_port={port}\n"))
    close = await start(services, options(tmp_path, f"monit_udp_ip=127.0.0.1\nmonit_udp_port={port}\n"))
    assert await ask(port, b"version") == b"cordboard 0.1\n\0"
    close()


def received(server: StatsServer, datagram: bytes, source: tuple[str, int]) -> list[tuple[bytes, tuple[str, int]]]:
    """What a server sends for a datagram that seems to come from there."""
    sent: list[tuple[bytes, tuple[str, int]]] = []

    class Transport:
        def sendto(self, data: bytes, address: tuple[str, int]) -> None:
            sent.append((data, address))

    server._transport = Transport()  # type: ignore[assignment]
    server._port = 6000
    server.datagram_received(datagram, source)
    return sent


@pytest.fixture
def open_to_all(tmp_path: Path) -> StatsServer:
    services, _ = bare_services()
    path = tmp_path / "access.secrets"
    rewrite(path, ["anonymous stats reader"])
    return StatsServer(Commands(services.registry, "v"), Access(path, registry=services.registry))


@pytest.mark.parametrize("ip", ["127.0.0.1", "192.0.2.9"])
@pytest.mark.parametrize("port", [6000, 5040, 7, 19, 53, 1023])
def test_what_may_be_an_answer_is_not_answered(open_to_all: StatsServer, ip: str, port: int) -> None:
    assert received(open_to_all, b"calls", (ip, port)) == []
    assert received(open_to_all, b"calls", (ip, 6001)), "a client is"


async def test_a_server_that_is_led_to_talk_to_itself_does_not(served: tuple[Services, int]) -> None:
    services, port = served
    assert await ask(port, b"calls") == b"Active calls: 0\n\0"
    server = StatsServer(Commands(services.registry, "v"), services.access)
    own = await server.open("127.0.0.1", 0)
    heard: list[bytes] = []
    real = server.datagram_received
    server.datagram_received = lambda data, addr: (heard.append(data), real(data, addr))[1]  # type: ignore[method-assign,func-returns-value]
    assert server._transport is not None
    server._transport.sendto(b"calls", ("127.0.0.1", own))
    await asyncio.sleep(0.2)
    server.close()
    assert len(heard) <= 1


def test_an_answer_to_another_host_is_no_weapon(open_to_all: StatsServer) -> None:
    away, here = ("192.0.2.9", 6001), ("127.0.0.1", 6001)
    assert len(received(open_to_all, b"which", here)[0][0]) > 500
    short = received(open_to_all, b"which", away)[0][0]
    assert len(short) <= 64 and b"pad your request" in short
    assert len(received(open_to_all, b"which\n" + b" " * 500, away)[0][0]) > 500
    assert received(open_to_all, b"calls", away)[0][0] == b"Active calls: 0\n\0"
