# SPDX-License-Identifier: GPL-2.0-or-later
"""`cordboard app` beside a real server: an application that is being written takes real calls, is shown, changed, broken and mended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.app.scaffold import make
from tests.support.server import ROOT, Server, wait_until
from tests.support.sip_peer import PeerCall
from tests.support.switchboard import Switchboard

pytestmark = pytest.mark.peers


class Command:
    """`cordboard app …`, running."""

    def __init__(self, server: Server, *arguments: str) -> None:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("CORDBOARD_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "di", "app", *arguments, "-f", str(server.etc / "sems.conf")],
            cwd=ROOT, env=ours, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(line.rstrip() for line in iter(self.process.stdout.readline, ""))

    @property
    def text(self) -> str:
        """What it has printed."""
        return "\n".join(self.lines)

    async def says(self, text: str, times: int = 1) -> None:
        """Wait until it has printed something."""
        await asyncio.to_thread(wait_until, lambda: self.text.count(text) >= times, f"{text!r} is printed: {self.text}")

    def result(self) -> tuple[int, str]:
        """Its status and all that it printed."""
        status = self.process.wait(60)
        self._reader.join(10)
        return status, self.text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apps")
    make("card", folder / "scripts")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    files = {"apps.conf": f"script_path={folder}/scripts\nremote=*\n", "app_mapping.conf": "^sip:(card|late)=>\\1\n"}
    with Server(folder, files, plugins="monitoring;apps;xmlrpc2di;web") as running:
        yield running


async def call_with_code(board: Switchboard, code: str, shown: Command | None = None) -> PeerCall:
    phone = await board.phone()
    call = phone.invite(user="card")
    await phone.answered(call)
    if shown is not None:
        await shown.says("◄── play ask.wav")
    for key in f"{code}#":
        assert await call.request("INFO", "application/dtmf-relay", f"Signal={key}\r\nDuration=160\r\n") == 200
    return call


async def test_a_file_that_is_being_written_takes_calls_and_is_shown(board: Switchboard, server: Server, folder: Path) -> None:
    script = folder / "scripts" / "card.py"
    good = script.read_text()
    running = Command(server, "run", str(script), "--watch")
    await running.says("attached: it takes all new calls")
    call = await call_with_code(board, "42", running)
    assert await board.logged(call, "code", lambda text: text == "42")
    await call.taken_off()
    await running.says("the end, local")
    for line in (
        "caller ──► INVITE sip:card@127.0.0.1",
        "◄── answer 200 OK",
        "──► the call is up",
        "◄── play ask.wav",
        "──► key 2",
    ):
        assert line in running.text
    assert (
        running.text.index("◄── log code=42") < running.text.index("◄── play thanks.wav") < running.text.index("the end, local")
    )

    script.write_text(good.replace("code=code.digits", 'code=f"new {code.digits}"'))
    await running.says("attached: it takes all new calls", 2)
    second = await call_with_code(board, "7")
    assert await board.logged(second, "code", lambda text: text == "new 7")
    await second.taken_off()

    script.write_text("raise RuntimeError('half written')\n")
    await running.says("it is not taken, the one before goes on")
    assert "RuntimeError: half written" in running.text
    third = await call_with_code(board, "8")
    assert await board.logged(third, "code", lambda text: text == "new 8")
    await third.taken_off()

    script.write_text(good)
    await running.says("attached: it takes all new calls", 3)
    os.killpg(running.process.pid, signal.SIGINT)
    status, text = await asyncio.to_thread(running.result)
    assert status == 0 and "Traceback" not in text.partition("half written")[2].partition("half written")[2], text
    await asyncio.to_thread(wait_until, lambda: not server.json("apps.workers", "card")[1:], "it has left")
    fourth = await call_with_code(board, "9")  # the server's own process has the calls again
    assert await board.logged(fourth, "code", lambda text: text == "9")
    await fourth.taken_off()


def test_applications_are_listed_and_renewed(server: Server, folder: Path) -> None:
    script = folder / "scripts" / "card.py"
    good = script.read_text()
    status, text = Command(server, "list").result()
    assert status == 0
    assert [line.split()[0] for line in text.splitlines()] == ["name", "card"] and str(script) in text
    generation = server.json("apps.list")[0]["generation"]
    assert Command(server, "reload", "card").result() == (0, "card: a new generation is in service")
    assert Command(server, "reload").result() == (0, "card: a new generation is in service")
    assert server.json("apps.list")[0]["generation"] == generation + 2
    script.write_text("import nothing_of_that_name\n")
    status, text = Command(server, "reload").result()
    script.write_text(good)
    assert status == 1 and "not taken, the old one goes on: ModuleNotFoundError" in text
    status, text = Command(server, "reload", "nobody").result()
    assert status == 1 and "there is no application 'nobody'" in text


async def test_a_file_that_has_come_since_is_found(board: Switchboard, server: Server, folder: Path) -> None:
    make("late", folder / "scripts")
    script = folder / "scripts" / "late.py"
    good = script.read_text()
    script.write_text("import nothing_of_that_name\n")
    assert server.json("apps.newFiles") == ["late"]
    status, text = await asyncio.to_thread(Command(server, "reload", "late").result)
    assert status == 1 and "late: not taken: ModuleNotFoundError" in text
    assert [one["name"] for one in server.json("apps.list")] == ["card"], "what cannot be run is not there"
    script.write_text(good)
    status, text = await asyncio.to_thread(Command(server, "reload").result)
    assert status == 0 and sorted(text.splitlines()) == [f"{name}: a new generation is in service" for name in ("card", "late")]
    assert server.json("apps.newFiles") == []
    phone = await board.phone()
    call = phone.invite(user="late")
    await phone.answered(call)
    assert [len(server.json("apps.calls", name)) for name in ("card", "late")] == [0, 1]
    assert await call.bye() == 200


def test_what_cannot_be_run_is_said(server: Server, tmp_path: Path) -> None:
    status, text = Command(server, "run", str(tmp_path / "gone.py")).result()
    assert status == 1 and "there is no file" in text and "cordboard app new gone" in text
    (tmp_path / "broken.py").write_text("app = 1\n")
    status, text = Command(server, "run", str(tmp_path / "broken.py")).result()
    assert status == 1 and "nothing takes calls" in text and "it is not taken" in text
