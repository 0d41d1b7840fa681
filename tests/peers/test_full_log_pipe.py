# SPDX-License-Identifier: GPL-2.0-or-later
"""A server whose stderr is a pipe that nobody reads goes on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.server import ROOT, START_S, Server, wait_until

CALLS = 1000
"""Each writes two lines of a hundred characters and more: three times what a pipe holds."""


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_a_full_pipe_behind_the_log_holds_nothing_up(tmp_path: Path) -> None:
    server = Server(tmp_path, settings="loglevel=3", start=False)
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "di", "serve", "-f", str(server.etc / "sems.conf")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=writing)
    os.close(writing)
    try:
        wait_until(lambda: answers(server.web_port), "the web port", START_S)
        name = "x" * 60
        for number in range(CALLS):
            server.xml.log(f"{name}{number}", name, name)
        assert server.json("monitoring.getSingle", f"{name}{CALLS - 1}", name) == [name]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
        os.close(reading)
