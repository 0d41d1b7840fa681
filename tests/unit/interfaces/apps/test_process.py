# SPDX-License-Identifier: GPL-2.0-or-later
"""A real process of an application that does not become ready."""

from __future__ import annotations

from pathlib import Path

import pytest

from interfaces.apps import process as module
from interfaces.apps.options import Options
from interfaces.apps.peer import AppPeer, Message
from interfaces.apps.process import AppProcess

WAITS = "import threading\nfrom clients.app import App\n\napp = App()\n\n\n@app.setup\nasync def setup(worker):\n    {}\n"


@pytest.mark.parametrize("line", ["threading.Event().wait()", "await worker.di('stock', 'never')"])
async def test_a_setup_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """The server's start waits for it."""
    monkeypatch.setattr(module, "SETUP_S", 1.0)
    file = tmp_path / "late.py"
    file.write_text(WAITS.format(line) + "\n\n@app.call\nasync def late(call):\n    pass\n")
    gone: list[str] = []

    def take(peer: AppPeer, message: Message) -> None: ...

    one = AppProcess("late", 1, 1, take, lambda peer, why: gone.append(why))
    assert not await one.start(file, {}, Options(script_path=tmp_path, nice=0).limits)
    assert "not ready within 1 s" in one.why_broken and "@app.setup" in one.why_broken
    await one.stop()
    assert not one.there and len(gone) == 1
