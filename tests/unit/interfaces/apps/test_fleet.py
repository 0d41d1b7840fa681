# SPDX-License-Identifier: GPL-2.0-or-later
"""An application's processes, started and ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

from interfaces.apps.files import Reach
from interfaces.apps.fleet import AppFile, Fleet
from interfaces.apps.options import Options


def test_a_generation_that_is_ready_only_after_the_stop_is_not_in_service(tmp_path: Path) -> None:
    """Somebody asks for a reload, and the server is stopped meanwhile: nobody would end such processes."""
    file = tmp_path / "late.py"
    file.write_text("from clients.app import App\n\napp = App()\n\n\n@app.call\nasync def late(call):\n    pass\n")

    async def reloaded_and_stopped(stops: bool) -> tuple[str, int]:
        fleet = Fleet(
            AppFile("late", file, {}, Reach(tmp_path, None, None)),
            Options(script_path=tmp_path, nice=0),
            lambda peer, message: None,
            lambda calls, why: None,
        )
        starting = asyncio.ensure_future(fleet.start())
        await asyncio.sleep(0)
        if stops:
            await fleet.stop()
        why, left = await starting, len(list(fleet))
        await fleet.stop()
        return why, left

    assert asyncio.run(reloaded_and_stopped(stops=False)) == ("", 1)
    why, left = asyncio.run(reloaded_and_stopped(stops=True))
    assert "stopped" in why and left == 0
