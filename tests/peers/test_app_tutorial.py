# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/app-tutorial.md is followed to the letter: each file is written, each command is run, the arrows at its end are seen."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.phone import Phone
from tests.support.rtp_peer import PeerGroup
from tests.support.server import ROOT, Server, wait_until
from tests.support.tones import tone, write_wav

pytestmark = pytest.mark.peers

PAGE = (ROOT / "docs" / "app-tutorial.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.S | re.M)


class Desk:
    """A folder, in which `cordboard` and `pytest` are commands."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder / "desk", folder / "bin"
        for path in (self.folder, self.bin):
            path.mkdir()
        for name, module in (("cordboard", "di"), ("pytest", "pytest -q -p no:cacheprovider -p clients.app.testing.plugin")):
            (self.bin / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
            (self.bin / name).chmod(0o755)
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("CORDBOARD_", "PYTEST_"))}
        self.environment = {**ours, "PATH": f"{self.bin}:{ours['PATH']}", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, command: str) -> str:
        """Run a command, which must end well."""
        done = subprocess.run(
            command, shell=True, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=110
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def write(self, text: str) -> None:
        """Write the file that a block names in its first line."""
        name = text.partition("\n")[0].removeprefix("# ")
        assert name.endswith((".py", ".conf")), f"a block that says no file: {text}"
        (self.folder / name).write_text(text)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """With the last step's apps.conf, whose folder is the desk."""
    (conf,) = [text for kind, text in BLOCKS if kind == "conf"]
    folder = tmp_path / "server"
    folder.mkdir()
    sounds = folder / "sounds"
    sounds.mkdir()
    for place, name in enumerate(("enter_pin", "empty"), 4):
        write_wav(sounds / f"{name}.wav", tone(place * 100, 300))
    files = {
        "apps.conf": conf.replace("script_path=.", f"script_path={tmp_path / 'desk'}") + f"audio_path={sounds}\n",
        "app_mapping.conf": "^sip:card=>card\n",
    }
    return Server(folder, files, plugins="monitoring;apps;xmlrpc2di;web", start=False)


@pytest.mark.timeout(400)
def test_the_page_from_its_first_line_to_its_last(tmp_path: Path, server: Server) -> None:
    desk = Desk(tmp_path)
    said = []
    for kind, text in BLOCKS:
        if kind in ("python", "conf"):
            desk.write(text)
        elif kind == "sh" and "app run" in text:
            server.start()
            desk.environment["CORDBOARD_URL"] = f"http://127.0.0.1:{server.web_port}/jsonrpc"
            running = Running(desk, text.strip())
        elif kind == "sh":
            desk.environment["PYTEST_ADDOPTS"] = (
                "-k empty" if "--cordboard-real" in text else ""
            )  # the others take their time there
            said += [desk.run(command) for command in text.splitlines()]
        elif kind == "text":
            call_an_empty_account(server, running)
            running.end()
            for line in text.splitlines():
                assert line.removeprefix("caller").strip() in running.text, f"{line!r} is not in\n{running.text}"
    server.end()
    assert "2 passed" in said[1] and "2 passed" in said[2] and "3 passed" in said[3] and "2 passed" in said[4]
    assert said[-2].startswith("accounts: a new generation") and "accounts" in said[-1] and len(BLOCKS) == 13


class Running:
    """`cordboard app run`, in the background."""

    def __init__(self, desk: Desk, command: str) -> None:
        self._lines: list[str] = []
        self.process = subprocess.Popen(
            command, shell=True, cwd=desk.folder, env=desk.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(lambda: "attached" in self.text, "it is attached")

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._lines.extend(iter(self.process.stdout.readline, ""))

    @property
    def text(self) -> str:
        """What it has printed."""
        return "".join(self._lines)

    def end(self) -> None:
        """Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(60)
        self._reader.join(10)


def call_an_empty_account(server: Server, running: Running) -> None:
    """What the page shows."""
    with PeerGroup() as group, Phone(server.sip_port, group.peer(400)) as phone:
        phone.call("card")
        wait_until(lambda: "◄── play enter_pin.wav" in running.text, "the prompt")
        for key in "4321#":
            body = f"Signal={key}\r\nDuration=160\r\n"
            assert phone.request("INFO", kind="application/dtmf-relay", body=body).code == 200
        phone.hung_up()
        wait_until(lambda: "the end, local" in running.text, "the end")
