# SPDX-License-Identifier: GPL-2.0-or-later
"""Python applications whose programs run elsewhere: they come in by WebSocket with a token, take real calls, leave, are lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from clients.rpc import JsonRpc
from di.access.file import new_token, rewrite
from tests.support.server import ROOT, Server, wait_until
from tests.support.sip_peer import PeerCall
from tests.support.switchboard import Switchboard, Talker
from tests.support.tones import tone, write_wav

pytestmark = pytest.mark.peers

PROGRAM = '''
import os
from clients.app import App, Call, CallFailed

app = App()


@app.di_method
def pid() -> int:
    """Which process answers."""
    return os.getpid()


@app.call
async def bot(call: Call) -> None:
    await call.answer()
    call.log(program=call.worker.config.get("greeting", "none") + "-VERSION")
    if call.header("X-Ask"):
        try:
            call.log(asked=str(await call.worker.di("core", call.header("X-Ask"), *call.header("X-With").split())))
        except CallFailed as failed:
            call.log(asked=failed.reason)
    await call.play("hello.wav")
    call.log(played="yes")
    async for event in call.events():
        if event.type == "digit":
            call.log(key=event.key)
'''


class Place:
    """A server that takes programs from elsewhere, and what talks with it."""

    def __init__(self, server: Server, tokens: dict[str, str], folder: Path) -> None:
        self.server, self.tokens, self.folder = server, tokens, folder
        self.rpc = JsonRpc(f"http://127.0.0.1:{server.web_port}/jsonrpc", tokens["admin"])

    @property
    def url(self) -> str:
        """Where programs come in."""
        return f"ws://127.0.0.1:{self.server.web_port}/apps"

    def workers(self, name: str = "bot") -> list[dict[str, Any]]:
        """Those that are ready."""
        return [one for one in self.rpc.call("apps.workers", [name]) if one["ready"]]

    def program(self, version: str = "one", *options: str, token: str = "worker") -> subprocess.Popen[bytes]:
        """Start a program."""
        file = self.folder / version / "bot.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(PROGRAM.replace("VERSION", version))
        environment = {**os.environ, "CORDBOARD_TOKEN": self.tokens[token], "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "clients.app.worker", "--attach", self.url, *options, str(file)]
        return subprocess.Popen(command, env=environment, cwd=file.parent)

    async def there(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait until so many are ready."""
        return list(
            await asyncio.to_thread(wait_until, lambda: len(self.workers()) == count and self.workers(), f"{count} programs")
        )

    async def gone(self, program: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
        """End a program; its status."""
        program.send_signal(number)
        return await asyncio.to_thread(program.wait, 40)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("remote")
    (folder / "scripts").mkdir()
    (folder / "scripts" / "bot.conf").write_text("greeting=hello\n")
    write_wav(folder / "scripts" / "hello.wav", tone(500, 300))
    made = {name: new_token(name) for name in ("admin", "worker", "looker")}
    roles = {"admin": "admin", "worker": "worker", "looker": "operator"}
    server = Server(
        folder,
        {
            "apps.conf": f"script_path={folder}/scripts\nremote=bot\nsilent_after=2\nkill_after=5\n",
            "app_mapping.conf": "^sip:bot=>bot\n",
        },
        plugins="monitoring;echo;apps;xmlrpc2di;web",
        start=False,
    )
    lines = [f"token {name} {roles[name]} {hashed}" for name, (_, hashed) in made.items()]
    rewrite(
        server.etc / "access.secrets", ["role worker apps.attach core.calls", "role open read:*", "anonymous xmlrpc open", *lines]
    )
    with server:
        server.start()
        yield Place(server, {name: token for name, (token, _) in made.items()}, folder)
    assert "Traceback" not in server.log, server.log


@pytest_asyncio.fixture
async def board(place: Place) -> AsyncIterator[Switchboard]:
    board = Switchboard(place.server)
    yield board
    await asyncio.to_thread(wait_until, lambda: place.server.xml.calls() == 0, "no call is left")
    await asyncio.to_thread(wait_until, lambda: place.workers() == [], "no program is left")
    board.close()


async def up(board: Switchboard, headers: str = "") -> tuple[Talker, PeerCall]:
    phone = await board.phone()
    call = phone.invite(headers, user="bot")
    await phone.answered(call)
    return phone, call


async def test_a_program_elsewhere_takes_calls_and_what_it_may_ask_is_what_its_token_may(
    board: Switchboard, place: Place
) -> None:
    phone = await board.phone()
    await phone.answered(phone.invite(user="bot"), 503)  # nobody is there yet
    program = place.program()
    (worker,) = await place.there()
    assert worker["pid"] == 0 and worker["where"].startswith("worker@127.0.0.1")
    assert place.rpc.call("bot.pid") == program.pid
    _, call = await up(board, "X-Ask: calls\r\n")
    assert await board.logged(call, "program") == "hello-one"
    assert await board.logged(call, "asked") == "1"
    await board.run(600)
    await board.logged(call, "played")
    assert await call.request("INFO", "application/dtmf-relay", "Signal=7\r\nDuration=160\r\n") == 200
    assert await board.logged(call, "key") == "7"
    assert await call.bye() == 200
    _, call = await up(board, "X-Ask: set_loglevel\r\nX-With: 3\r\n")
    assert "Forbidden" in await board.logged(call, "asked")
    assert await call.bye() == 200
    assert await place.gone(program) == 0


async def test_a_lost_connection_is_a_process_that_died(board: Switchboard, place: Place) -> None:
    program = place.program()
    await place.there()
    _, call = await up(board)
    await board.logged(call, "program")
    await place.gone(program, signal.SIGKILL)
    await call.next("BYE")
    await asyncio.to_thread(wait_until, lambda: "its connection was lost" in place.server.log, "the line")


async def test_one_that_stands_still_is_closed(board: Switchboard, place: Place) -> None:
    program = place.program()
    await place.there()
    _, call = await up(board)
    await board.logged(call, "program")
    program.send_signal(signal.SIGSTOP)
    await call.next("BYE", patience_s=40)
    await asyncio.to_thread(wait_until, lambda: "it has not answered for" in place.server.log, "the line")
    await place.gone(program, signal.SIGKILL)


async def test_who_wants_all_gets_all_and_who_leaves_keeps_its_calls(board: Switchboard, place: Place) -> None:
    first = place.program()
    await place.there()
    _, old = await up(board)
    assert await board.logged(old, "program") == "hello-one"
    second = place.program("two", "--exclusive")
    await place.there(2)
    for _ in range(2):
        _, call = await up(board)
        assert await board.logged(call, "program") == "hello-two"
        assert await call.bye() == 200
    first.send_signal(signal.SIGTERM)
    await asyncio.to_thread(wait_until, lambda: any(one["leaving"] for one in place.workers()), "it leaves")
    assert await old.request("INFO", "application/dtmf-relay", "Signal=4\r\nDuration=160\r\n") == 200
    assert await board.logged(old, "key") == "4"
    assert await old.bye() == 200
    assert await asyncio.to_thread(first.wait, 40) == 0
    assert await place.gone(second) == 0


async def test_who_may_not_stays_outside(place: Place) -> None:
    async with aiohttp.ClientSession() as http:
        for token, status in (("worker.wrong", 401), (place.tokens["looker"], 403)):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(place.url, headers={"Authorization": f"Bearer {token}"})
            assert refused.value.status == status
        async with http.get(
            place.url.replace("ws:", "http:"), headers={"Authorization": f"Bearer {place.tokens['worker']}"}
        ) as reply:
            assert reply.status == 426
    program = place.program("one", "--name", "echo")
    await asyncio.to_thread(
        wait_until, lambda: "remote in apps.conf does not name echo" in place.server.log, "its name is refused"
    )
    await place.gone(program)
    assert place.rpc.call("apps.reload", ["bot"])[0] == 500


async def test_a_token_that_is_withdrawn_ends_the_connection(board: Switchboard, place: Place) -> None:
    program = place.program()
    await place.there()
    _, call = await up(board)
    await board.logged(call, "program")
    file = place.server.etc / "access.secrets"
    kept = file.read_text()
    shutil.copy(file, file.with_suffix(".kept"))
    rewrite(file, [line for line in kept.splitlines() if not line.startswith("token worker")])
    await call.next("BYE", patience_s=40)
    await asyncio.to_thread(wait_until, lambda: "it is not allowed any more" in place.server.log, "the line")
    await place.gone(program)
    rewrite(file, kept.splitlines())
