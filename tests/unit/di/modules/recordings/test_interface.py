# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may call what, by the built-in roles; and names from outside."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from di.access.rules import BUILT_IN_ROLES
from di.kernel.registry import Caller, Interface
from di.modules.recordings.disk import RecordingDisk
from di.modules.recordings.files import ListenedFiles
from di.modules.recordings.interface import RecordingsInterface
from di.modules.recordings.options import Options
from di.modules.recordings.running import RunningRecordings
from di.modules.recordings.shelf import RecordingShelf
from di.modules.recordings.tickets import ListenTickets
from tests.support import tones
from tests.support.bare_hub import bare_services

NAME = "20261130T163005Z-room1-2265b1"
LOOKING = {"active", "list", "info", "status"}
MAKING = {"startRoom", "stopRoom", "startCall", "stopCall", "listen"}


class Desk:
    def __init__(self, folder: Path) -> None:
        services, self.clock = bare_services()
        self.shelf = RecordingShelf(folder)
        self.disk = RecordingDisk(self.shelf, Options(), ThreadPoolExecutor(1))
        running = RunningRecordings(services.sessions, services.events, self.disk)
        self.tickets = ListenTickets(lambda: "secret")
        self.interface = RecordingsInterface(running, self.disk, self.tickets, services.clock)
        self.files = ListenedFiles(self.disk, self.tickets, services.clock)


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_who_may_call_what(desk: Desk) -> None:
    methods = Interface("recordings", desk.interface).methods
    assert methods.keys() == LOOKING | MAKING | {"delete"}

    def may(role: str) -> set[str]:
        return {
            name
            for name, method in methods.items()
            if BUILT_IN_ROLES[role].allows("recordings", name, method.changes, method.dangerous)
        }

    assert may("reader") == may("attendant") == LOOKING
    assert may("operator") == LOOKING | MAKING
    assert may("admin") == set(methods)


async def test_a_ticket_opens_one_recordings_files_while_its_owners_role_lets_him(desk: Desk) -> None:
    for file in (f"{NAME}.wav", f"{NAME}-7.wav"):
        tones.write_wav(desk.shelf.folder / file, tones.tone(400, 100))
    allowed = [True]
    caller = Caller("op", "ws", "", lambda module, method: allowed[0], lambda module, method: allowed[0])
    assert await desk.interface.listen(caller, NAME) == [200, "OK", f"/recordings/{NAME}.wav?ticket=secret"]
    assert await desk.interface.listen(caller, NAME, f"{NAME}-7.wav") == [200, "OK", f"/recordings/{NAME}-7.wav?ticket=secret"]
    for name, file in (
        (NAME, "x.wav"),
        (NAME, f"{NAME}.json"),
        ("..", ""),
        (NAME[:-1] + "2", f"{NAME}.wav"),
        (NAME, f"../{NAME}.wav"),
    ):
        assert (await desk.interface.listen(caller, name, file))[0] == 404
    assert desk.files.bearer("secret", f"{NAME}-7.wav") is caller
    assert desk.files.bearer("secret", f"{NAME[:-1]}2.wav") is None
    assert desk.files.bearer("", f"{NAME}.wav") is None
    allowed[0] = False
    assert desk.files.bearer("secret", f"{NAME}.wav") is None, "his role includes it no more"


async def test_a_file_is_read_from_any_place(desk: Desk) -> None:
    path = tones.write_wav(desk.shelf.folder / f"{NAME}.wav", tones.tone(400, 100))
    sound = await desk.files.open(f"{NAME}.wav")
    assert sound is not None and sound.size == path.stat().st_size
    assert await sound.read(4, 10) == path.read_bytes()[4:14]
    assert await sound.read(sound.size, 10) == b""
    await sound.close()
    assert await desk.files.open("../x.wav") is None


async def test_a_broken_sidecar_is_shown_as_such(desk: Desk) -> None:
    (desk.shelf.folder / f"{NAME}.json").write_text("{")
    found = await desk.interface.list_recordings()
    assert [(one["name"], one["state"]) for one in found["recordings"]] == [(NAME, "unreadable")]  # type: ignore[union-attr,index,call-overload]
    assert (await desk.interface.info(NAME))[2] == found["recordings"][0]  # type: ignore[index,call-overload]
    assert await desk.interface.delete(Caller(), NAME) == [200, "OK"]
    assert await desk.interface.info(NAME) == [404, "there is no recording of that name; look at the list again"]


async def test_a_folder_that_is_gone_is_said(desk: Desk, tmp_path: Path) -> None:
    tmp_path.rename(tmp_path.with_name("gone"))  # noqa: ASYNC240 - of the test, not of the hub
    found = await desk.interface.list_recordings()
    assert found["recordings"] == [] and "No such file" in str(found["problem"])
    assert "No such file" in str((await desk.interface.status())["problem"])
    assert (await desk.interface.delete(Caller(), NAME))[0] in (404, 500)
