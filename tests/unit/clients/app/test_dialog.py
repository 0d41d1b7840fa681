# SPDX-License-Identifier: GPL-2.0-or-later
"""The class of 2009 and SEMS's scripts: a timer that is stopped or replaced is never told, however busy the call's thread is."""

from __future__ import annotations

import asyncio

import pytest

from clients.app import Dialog
from clients.app.ivr import IvrDialogBase, IvrRun
from tests.unit.clients.app.test_call import Server


async def told(server: Server, dialog: Dialog, heard: list[int], count: int) -> list[int]:
    """Let the call run until so many timers were told, and some turns of the loop longer."""
    running = asyncio.ensure_future(dialog.run())
    server.call.took({"k": "event", "name": "started"})
    async with asyncio.timeout(30):
        while len(heard) < count:  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.001)
    await server.settle()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    return heard


def loop_turns(loop: asyncio.AbstractEventLoop) -> None:
    """From another thread: wait while the loop does what it has to do, timers that are due included."""
    asyncio.run_coroutine_threadsafe(_turns(), loop).result(30)


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_timer_that_ran_out_while_the_callback_was_busy_and_is_stopped_or_replaced_is_not_told() -> None:
    loop, server, heard = asyncio.get_running_loop(), Server(), list[int]()

    class Busy(Dialog):
        def onSessionStart(self) -> None:
            self.setTimer(1, 0)
            self.setTimer(2, 0)
            self.setTimer(3, 0)
            loop_turns(loop)  # all three have run out
            self.removeTimer(1)
            self.setTimer(2, 3600)
            self.setTimer(4, 0)

        def onTimer(self, id: int) -> None:
            heard.append(id)

    assert await told(server, Busy(server.call), heard, 2) == [3, 4]


async def test_a_script_that_stops_all_timers_hears_of_none_of_them() -> None:
    loop, server, heard = asyncio.get_running_loop(), Server(), list[int]()

    class Script(IvrDialogBase):
        def onSessionStart(self) -> None:
            self.setTimer(1, 0)
            self.setTimer(2, 60)
            loop_turns(loop)
            self.removeTimers()
            self.setTimer(3, 0)

        def onTimer(self, id: int) -> None:
            heard.append(id)

    run = type("Run", (IvrRun,), {"script_class": Script})
    assert await told(server, run(server.call), heard, 1) == [3]
