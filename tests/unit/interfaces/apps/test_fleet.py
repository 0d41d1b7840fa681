# SPDX-License-Identifier: GPL-2.0-or-later
"""An application's processes, started and ended."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

import pytest

from interfaces.apps import fleet as module
from interfaces.apps.files import Reach
from interfaces.apps.fleet import AppFile, Fleet
from interfaces.apps.options import Options, ProgramLimits
from interfaces.apps.peer import AppPeer, Message


def test_a_generation_that_is_ready_only_after_the_stop_is_not_in_service(tmp_path: Path) -> None:
    """Somebody asks for a reload, and the server is stopped meanwhile: nobody would end such processes."""
    file = tmp_path / "late.py"
    file.write_text("from clients.app import App\n\napp = App()\n\n\n@app.call\nasync def late(call):\n    pass\n")

    async def reloaded_and_stopped(stops: bool) -> tuple[str, int]:
        fleet = Fleet(
            AppFile("late", file, {}, Reach(tmp_path, None, None)),
            Options(script_path=tmp_path, nice=0),
            lambda peer, message: None,
            lambda process, calls, why: None,
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


class PlayedProcess(AppPeer):
    """A process whose life the test plays."""

    made: ClassVar[list[PlayedProcess]] = []
    introduction: Message
    stopped = False

    async def start(self, file: Path, config: dict[str, str], limits: ProgramLimits) -> bool:
        self.made.append(self)
        await self._settled
        return self.ready

    def comes(self) -> None:
        """It is ready."""
        self._got({"k": "ready", "functions": f"those of {self}"})

    def breaks(self, why: str = "a mistake") -> None:
        """Its file cannot be run."""
        self._got({"k": "broken", "why": why})

    def dies(self) -> None:
        self._end("killed")

    def _introduced(self, message: Message) -> None:
        self.introduction = message

    async def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            self._end("")

    def _write(self, data: bytes) -> None: ...

    def _unread_bytes(self) -> int:
        return 0

    def __str__(self) -> str:
        return f"{self.generation}.{self.number}"


class PlayedFleet:
    """A fleet of such processes; `published`: what they told that counts."""

    def __init__(self, workers: int = 1) -> None:
        self.published: list[object] = []
        self.fleet = Fleet(
            AppFile("card", Path("card.py"), {}, Reach(Path("/nowhere"), None, None)),
            Options(script_path=Path("/nowhere"), workers=workers),
            lambda peer, message: self.published.append(message["functions"]),
            lambda process, calls, why: None,
        )

    async def made(self, count: int) -> PlayedProcess:
        """So many processes have been started; the last of them."""
        for _ in range(1000):
            if len(PlayedProcess.made) >= count:
                break
            await asyncio.sleep(0)
        await turns()
        assert len(PlayedProcess.made) == count
        return PlayedProcess.made[-1]

    async def up(self) -> PlayedProcess:
        """Generation 1, of one process, in service."""
        starting = asyncio.ensure_future(self.fleet.start())
        first = await self.made(1)
        first.comes()
        assert await starting == ""
        return first

    @property
    def serving(self) -> list[str]:
        return [str(one) for one in self.fleet if one.ready and one not in self.fleet._draining]


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AppProcess", PlayedProcess)
    monkeypatch.setattr(module, "_LONGEST_PAUSE_S", 0.0)
    PlayedProcess.made = []


@pytest.mark.usefixtures("played")
async def test_two_reloads_at_once_are_one_after_the_other_and_the_newer_stays() -> None:
    its = PlayedFleet()
    both = [asyncio.ensure_future(its.fleet.start()) for _ in range(2)]
    first = await its.made(1)
    first.comes()
    (await its.made(2)).comes()
    assert [await one for one in both] == ["", ""]
    assert its.serving == ["2.1"] and its.published == ["those of 1.1", "those of 2.1"]


@pytest.mark.usefixtures("played")
async def test_a_process_that_is_started_again_during_a_reload_does_not_stand_beside_the_new_ones() -> None:
    its = PlayedFleet()
    (await its.up()).dies()
    again = await its.made(2)
    reload = asyncio.ensure_future(its.fleet.start())
    (await its.made(3)).comes()
    assert await reload == ""
    again.comes()
    await turns()
    assert its.serving == ["2.1"] and again.stopped and its.published == ["those of 1.1", "those of 2.1"]


@pytest.mark.usefixtures("played")
async def test_one_that_dies_during_a_reload_is_of_its_own_generation() -> None:
    its = PlayedFleet()
    first = await its.up()
    reload = asyncio.ensure_future(its.fleet.start())
    new = await its.made(2)
    first.dies()
    again = await its.made(3)
    assert (new.generation, again.generation) == (2, 1)
    new.comes()
    assert await reload == ""
    again.comes()
    await turns()
    assert its.serving == ["2.1"]


@pytest.mark.usefixtures("played")
async def test_a_reload_that_fails_takes_nothing_from_the_old_generation() -> None:
    """Neither the process that is being started again meanwhile, nor its functions."""
    its = PlayedFleet()
    (await its.up()).dies()
    again = await its.made(2)
    reload = asyncio.ensure_future(its.fleet.start())
    new = await its.made(3)
    new.breaks("SyntaxError")
    assert await reload == "SyntaxError"
    again.comes()
    await turns()
    assert its.serving == ["1.1"] and its.published == ["those of 1.1", "those of 1.1"] and its.fleet.has_processes
    again.dies()
    (await its.made(4)).comes()
    await turns()
    assert its.serving == ["1.1"]


@pytest.mark.usefixtures("played")
async def test_functions_count_when_all_processes_are_ready() -> None:
    its = PlayedFleet(workers=2)
    starting = asyncio.ensure_future(its.fleet.start())
    second = await its.made(2)
    PlayedProcess.made[0].comes()
    await turns()
    assert not its.published and not its.serving
    second.comes()
    assert await starting == "" and its.published == ["those of 1.1"] and its.serving == ["1.1", "1.2"]


@pytest.mark.usefixtures("played")
async def test_one_that_dies_before_the_others_are_ready_is_no_part_of_a_generation_in_service() -> None:
    its = PlayedFleet(workers=2)
    starting = asyncio.ensure_future(its.fleet.start())
    second = await its.made(2)
    PlayedProcess.made[0].comes()
    await turns()
    PlayedProcess.made[0].dies()
    second.comes()
    assert await starting == "killed" and not its.serving and second.stopped and not its.published


@pytest.mark.usefixtures("played")
async def test_what_is_being_started_ends_with_the_server() -> None:
    its = PlayedFleet()
    starting = asyncio.ensure_future(its.fleet.start())
    first = await its.made(1)
    waiting = asyncio.ensure_future(its.fleet.start())
    await its.fleet.stop()
    assert first.stopped
    for one in (starting, waiting):
        assert "stopped" in await one
    assert len(PlayedProcess.made) == 1 and not list(its.fleet)
