# SPDX-License-Identifier: GPL-2.0-or-later
"""Message storage on a disk that is full, and in a folder that cannot be written: codes, one line in the log, and it goes on afterwards."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from di.stores.messages import BoxOwner, Existing, MsgCode
from di.stores.msg_storage.keeper import Keeper, Quota
from di.stores.msg_storage.storage import MessageStorage
from di.stores.msg_storage.worker import Worker, lock_patience
from tests.support.boxes import NOW_NS, keeper

pytestmark = pytest.mark.peers

ANN = BoxOwner("shop.example", "ann")
DISK_BYTES = 1 << 20
SAID = bytes(range(256)) * 80


def mounted(folder: Path, *options: str) -> bool:
    """Put a small disk there, or change it; False where this user may not."""
    command = ["mount", "-t", "tmpfs", "-o", ",".join((f"size={DISK_BYTES}", *options)), "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mounted(folder):
        pytest.skip("this user may not mount a disk")
    yield folder
    done = subprocess.run(["umount", str(folder)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"something is left open there: {done.stderr}"


@contextlib.asynccontextmanager
async def storage_on(disk: Path, quota: Quota | None = None) -> AsyncIterator[MessageStorage]:
    boxes = Keeper(disk, quota or Quota(), lambda: NOW_NS, lock_patience)
    worker = Worker(boxes)
    try:
        yield MessageStorage(boxes, worker)
    finally:
        await worker.close()


async def test_a_full_disk(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with storage_on(disk) as storage:
        names: list[str] = []
        for number in range(100):
            stored = await storage.store_bytes(ANN, f"{number:03}.wav", SAID, Existing.RENAME)
            if stored.code is not MsgCode.OK:
                break
            names.append(stored.name)
        assert 10 < len(names) < 60 and stored.code is MsgCode.NO_SPACE and "No space left" in stored.cause
        rest = disk / "the rest"
        with rest.open("ab", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
        assert (await storage.store(ANN, "empty.wav", None)).code in (MsgCode.OK, MsgCode.NO_SPACE)
        listed = [m.name for m in (await storage.messages(ANN)).messages if m.size_bytes]
        assert listed == sorted(names, reverse=True)
        assert await storage.mark_read(ANN, names[0]) is MsgCode.OK
        assert {m.name for m in (await storage.messages(ANN)).messages if not m.new} == {names[0]}
        for name in names[:5]:
            assert await storage.delete(ANN, name) is MsgCode.OK
        rest.unlink()
        assert (await storage.store_bytes(ANN, "again.wav", SAID, Existing.RENAME)).code is MsgCode.OK
        expected = await storage.messages(ANN)
        assert {m.name for m in expected.messages if m.size_bytes} == {*names[5:], "again.wav"}
    again = keeper(disk)
    with again.turn():
        assert again.messages(ANN) == expected
    again.close()
    files = [path.read_bytes() for path in (disk / "shop.example" / "ann").iterdir() if path.stat().st_size]
    assert all(data == SAID for data in files), "none is torn"
    assert list((disk / ".spool").iterdir()) == [], "what could not be kept leaves nothing"
    assert caplog.text.count("cannot be used now") <= 1


async def test_some_space_is_left_free(disk: Path) -> None:
    async with storage_on(disk, Quota(free_bytes=DISK_BYTES // 2)) as storage:
        stored = [await storage.store_bytes(ANN, f"{number:03}.wav", SAID, Existing.RENAME) for number in range(60)]
    codes = [s.code for s in stored]
    first = codes.index(MsgCode.NO_SPACE)
    assert set(codes[:first]) == {MsgCode.OK} and set(codes[first:]) == {MsgCode.NO_SPACE}
    assert "min_free_mb" in stored[-1].cause
    found = os.statvfs(disk)
    assert found.f_bavail * found.f_frsize > DISK_BYTES // 4


async def test_a_disk_that_has_become_read_only(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As a kernel makes one after an error of the medium."""
    async with storage_on(disk) as storage:
        assert (await storage.store_bytes(ANN, "1.wav", SAID, Existing.RENAME)).code is MsgCode.OK
    async with storage_on(disk) as storage:
        assert mounted(disk, "remount", "ro")
        assert [m.name for m in (await storage.messages(ANN)).messages] == ["1.wav"]
        room = await storage.room_for(ANN)
        assert room.code is MsgCode.STORAGE and "cannot be written" in room.cause
        stored = await storage.store_bytes(ANN, "2.wav", SAID, Existing.RENAME)
        assert stored.code is MsgCode.STORAGE and "Read-only" in stored.cause
        assert await storage.mark_read(ANN, "1.wav") is MsgCode.READ_ERROR
        assert await storage.delete(ANN, "1.wav") is MsgCode.STORAGE
        assert (await storage.open(ANN, "1.wav")).path == disk / "shop.example" / "ann" / "1.wav"
        assert mounted(disk, "remount", "rw")
        assert (await storage.store_bytes(ANN, "2.wav", SAID, Existing.RENAME)).code is MsgCode.OK
        assert len((await storage.messages(ANN)).messages) == 2
    assert caplog.text.count("cannot be used now") <= 1
