# SPDX-License-Identifier: GPL-2.0-or-later
"""A program that is attached and told to leave: more than one may tell it, and the end is in order all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

ROOT = Path(__file__).parents[4]

TOLD_TWICE = """
import asyncio, os, signal
from clients.app.attach import Way, keep_attached

async def main():
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.{first})
    await keep_attached(Way("ws://127.0.0.1:1/apps", "card", "", False, 0), None)

asyncio.run(main())
os.kill(os.getpid(), signal.{second})
print("in order")
"""


@pytest.mark.parametrize(("first", "second"), [("SIGINT", "SIGTERM"), ("SIGTERM", "SIGINT"), ("SIGTERM", "SIGTERM")])
def test_a_signal_that_comes_when_it_has_left_already_is_no_death(first: str, second: str) -> None:
    command = [sys.executable, "-c", TOLD_TWICE.format(first=first, second=second)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "in order\n"), done.stderr
