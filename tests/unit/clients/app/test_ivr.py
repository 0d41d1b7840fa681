# SPDX-License-Identifier: GPL-2.0-or-later
"""What the server tells a script for SEMS of itself: user signals, its shutdown, lost audio; a script without the method, or that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.app.testing import Simulator

TOLD = """
import ivr

class IvrDialog(ivr.IvrDialogBase):
    heard = ""

    def note(self, text):
        self.heard += text + " "
        ivr.monitorLog(self.dialog.local_tag, "heard", self.heard)

    def onSessionStart(self):
        self.note("up")

    def onDtmf(self, key, duration):
        self.note(f"key{key}")
"""
METHODS = """
    def onUser1(self):
        self.note("user1")

    def onUser2(self):
        self.note("user2")
        raise RuntimeError("a mistake in user2")

    def onServerShutdown(self):
        self.note("shutdown")
        self.bye()

    def onAudioCleared(self):
        self.note("cleared")
"""
EVENTS = [("system", "user1"), ("system", "user2"), ("system", "other"), ("audio_cleared", ""), ("system", "user1")]


def told(folder: Path, text: str, *events: tuple[str, str], ends: bool = False) -> str:
    """What a script has noted when these events and a key have come."""
    script, noted = folder / "told.py", []
    script.write_text(text)
    sim = Simulator()

    async def talk() -> None:
        caller = await sim.call(script)
        assert await caller.answered() == 200
        await sim.wait(0.1)
        for name, kind in events:
            sim.calls[caller.id].event(name, **({"kind": kind} if kind else {}))
        if ends:
            assert await caller.ended() == "app"
        else:
            caller.press("5")
        await sim.wait(0.5)
        noted.append(await caller.logged("heard"))

    sim.run(talk())
    return noted[0]


def test_each_has_its_callback_and_one_that_fails_costs_itself_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(tmp_path, TOLD + METHODS, *EVENTS) == "up user1 user2 cleared user1 key5 "
    assert "a mistake in user2" in "".join(capsys.readouterr())


def test_a_script_without_them_goes_on(tmp_path: Path) -> None:
    assert told(tmp_path, TOLD, *EVENTS, ("system", "shutdown")) == "up key5 "


def test_a_script_ends_its_call_when_the_server_shuts_down(tmp_path: Path) -> None:
    assert told(tmp_path, TOLD + METHODS, ("system", "shutdown"), ends=True) == "up shutdown "
