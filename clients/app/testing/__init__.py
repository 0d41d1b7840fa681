# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of applications: a caller's hands and ears. With a virtual clock and no server, or against a real one with real phones.

async def test_busy_is_said(sim: Stage) -> None:
    sim.sound("enter_number.wav"), sim.sound("busy.wav")
    sim.dials("sip:030@gw.example", rejected=486)
    caller = await sim.call(app, to="sip:card@example")
    await caller.hears("enter_number.wav")
    caller.press("030#")
    await caller.hears("busy.wav")
    assert await caller.ended() == "app"

The fixture `sim` comes with the package: pytest finds `clients.app.testing.plugin` by itself.
"""

from __future__ import annotations

from clients.app.testing.simulator import Simulator
from clients.app.testing.stage import Callee, Caller, Stage
from clients.app.testing.virtual_time import Stuck, VirtualLoop, run

__all__ = ["Callee", "Caller", "Simulator", "Stage", "Stuck", "VirtualLoop", "run"]
