# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import socket
import threading

import pytest

from clients.cli.sems_stats import main


def test_command_and_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as served:
        served.bind(("127.0.0.1", 0))
        served.settimeout(40)
        port = served.getsockname()[1]
        asked: list[bytes] = []

        def answer() -> None:
            request, peer = served.recvfrom(1000)
            asked.append(request)
            served.sendto(b"Active calls: 0\n\0", peer)

        thread = threading.Thread(target=answer)
        thread.start()
        assert main(["-p", str(port), "-c", "calls"]) == 0
        thread.join()
    assert asked == [b"calls\n"]
    assert capsys.readouterr().out == f"sending 'calls\\n' to 127.0.0.1:{port}\nreceived:\nActive calls: 0\n\n"


def test_silence_and_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        assert main(["-p", str(port), "-t", "0.05"]) == 1
        assert capsys.readouterr().err == "read timeout!\n"
    assert main(["-p", str(port)]) == 2
    assert main(["-p", "70000"]) == 2
