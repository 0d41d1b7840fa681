# SPDX-License-Identifier: GPL-2.0-or-later
"""Boxes on a real disk: what SEMS left there, what others do to it, what goes wrong."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from di.stores.messages import BoxOwner, Existing, MsgCode
from di.stores.msg_storage import disk, steps
from di.stores.msg_storage.keeper import Keeper, Quota, StoreOrder
from di.stores.msg_storage.steps import Step
from di.stores.msg_storage.turns import StorageBusy
from tests.support.boxes import NOW_NS, keeper, recording

ANN = BoxOwner("shop.example", "ann")


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[Keeper]:
    made = keeper(tmp_path / "box")
    yield made
    made.close()


def put(boxes: Keeper, name: str = "17+bob.wav", data: bytes = b"voice", existing: Existing = Existing.RENAME) -> str:
    with boxes.turn():
        stored = boxes.store(ANN, name, recording(boxes.place.spool / boxes.fresh_name("wav"), data), existing)
    assert stored.code is MsgCode.OK, stored.cause
    return stored.name


def listed(boxes: Keeper, owner: BoxOwner = ANN) -> list[tuple[str, bool, int]]:
    with boxes.turn():
        return [(m.name, m.new, m.size_bytes) for m in boxes.messages(owner).messages]


def root(boxes: Keeper) -> Path:
    return boxes.place.root


# ------------------------------------------------------------------------------------------------------------- SEMS's folders
def test_a_folder_of_sems_is_read_as_sems_reads_it(boxes: Keeper) -> None:
    folder = root(boxes) / "shop.example" / "ann"
    folder.mkdir(parents=True)
    for name, access_s in (("1700000001+bob.wav", 1700000001), ("1700000002+eve.wav", 1700000003), (".hidden", 5)):
        os.utime(recording(folder / name), (access_s, int(name[1:].partition("+")[0] or 5) if name[0] == "1" else 5))
    os.utime(folder / "1700000001+bob.wav", (1700000001, 1700000001))
    os.utime(folder / "1700000002+eve.wav", (1700000003, 1700000002))
    assert listed(boxes) == [("1700000002+eve.wav", False, 5), ("1700000001+bob.wav", True, 5)]


def test_sems_would_read_our_messages_the_same(boxes: Keeper) -> None:
    name = put(boxes)
    path = root(boxes) / "shop.example" / "ann" / name
    assert path.stat().st_atime_ns == path.stat().st_mtime_ns
    with boxes.turn():
        assert boxes.mark_read(ANN, name) is MsgCode.OK
    assert int(path.stat().st_atime) == int(path.stat().st_mtime) + 1


def test_reading_a_file_does_not_mark_its_message(boxes: Keeper) -> None:
    """A backup sets times of access, on most disks, when it reads a file for the first time."""
    name = put(boxes)
    path = root(boxes) / "shop.example" / "ann" / name
    assert listed(boxes) == [(name, True, 5)]
    os.utime(path, ns=(path.stat().st_mtime_ns + 86_400_000_000_000, path.stat().st_mtime_ns))
    recording(path.parent / "18+eve.wav")
    assert (name, True, 5) in listed(boxes)


# ------------------------------------------------------------------------------------------------------------------ one name
def test_a_name_that_is_taken_gets_a_number(boxes: Keeper) -> None:
    assert [put(boxes, data=data) for data in (b"1", b"22", b"333")] == ["17+bob.wav", "17+bob.2.wav", "17+bob.3.wav"]
    assert listed(boxes) == [("17+bob.wav", True, 1), ("17+bob.3.wav", True, 3), ("17+bob.2.wav", True, 2)]


def test_a_greeting_is_replaced_and_new_again(boxes: Keeper) -> None:
    put(boxes, "vm.wav", b"old")
    with boxes.turn():
        boxes.mark_read(ANN, "vm.wav")
    assert put(boxes, "vm.wav", b"newer", Existing.REPLACE) == "vm.wav"
    assert listed(boxes) == [("vm.wav", True, 5)]


def test_refused_the_recording_stays(boxes: Keeper) -> None:
    put(boxes)
    path = recording(boxes.place.spool / "r")
    with boxes.turn():
        assert boxes.store(ANN, "17+bob.wav", path, Existing.REFUSE).code is MsgCode.EXISTS
        assert boxes.store(ANN, "17+bob.wav", boxes.place.spool / "gone", Existing.RENAME).code is MsgCode.STORAGE
    assert path.read_bytes() == b"voice"


def test_a_link_is_no_message(boxes: Keeper, tmp_path: Path) -> None:
    put(boxes)
    secret = recording(tmp_path / "secret")
    (root(boxes) / "shop.example" / "ann" / "19.wav").symlink_to(secret)
    with boxes.turn():
        assert boxes.open(ANN, "19.wav").code is boxes.delete(ANN, "19.wav") is MsgCode.NOT_FOUND
    assert [name for name, _, _ in listed(boxes)] == ["17+bob.wav"]
    assert secret.exists()


def test_what_is_no_message_is_left_alone(boxes: Keeper) -> None:
    put(boxes)
    folder = root(boxes) / "shop.example" / "ann"
    os.mkfifo(folder / "1.wav")
    (folder / "2.wav").mkdir()
    (folder / "3.wav").symlink_to("gone")
    assert [name for name, _, _ in listed(boxes)] == ["17+bob.wav"]
    with boxes.turn():
        for name in ("1.wav", "2.wav", "3.wav"):
            assert boxes.open(ANN, name).code is boxes.mark_read(ANN, name) is boxes.delete(ANN, name) is MsgCode.NOT_FOUND
            stored = boxes.store(ANN, name, recording(boxes.place.spool / "r"), Existing.RENAME)
            assert (stored.code, stored.name) == (MsgCode.OK, f"{name[0]}.2.wav")
        assert boxes.store(ANN, "2.wav", recording(boxes.place.spool / "r"), Existing.REPLACE).code is MsgCode.STORAGE
    assert (folder / "2.wav").is_dir() and (boxes.place.spool / "r").exists()


def test_a_box_that_leads_in_circles(boxes: Keeper, caplog: pytest.LogCaptureFixture) -> None:
    (root(boxes) / "shop.example").symlink_to("shop.example")
    with boxes.turn():
        assert boxes.messages(ANN).code is MsgCode.STORAGE and boxes.room_for(ANN).code is MsgCode.STORAGE
        assert boxes.store(ANN, "1.wav", None, Existing.RENAME).code is MsgCode.USER_NOT_FOUND
    assert "cannot be read" in caplog.text


# ---------------------------------------------------------------------------------------------------------- others, and crashes
def test_two_processes_see_what_each_other_does(boxes: Keeper) -> None:
    name = put(boxes)
    other = keeper(root(boxes))
    assert listed(other) == [(name, True, 5)]
    with other.turn():
        other.mark_read(ANN, name)
    assert listed(boxes) == [(name, False, 5)]
    with boxes.turn():
        boxes.delete(ANN, name)
    assert listed(other) == []
    other.close()


def test_two_processes_store_at_once_and_nothing_is_overwritten(boxes: Keeper) -> None:
    program = (
        "import sys, pathlib, time\n"
        "from di.stores.messages import BoxOwner, Existing\n"
        "from di.stores.msg_storage.keeper import Keeper, Quota\n"
        "k = Keeper(pathlib.Path(sys.argv[1]), Quota(), time.time_ns, lambda attempt: time.sleep(0.001) is None)\n"
        "for n in range(25):\n"
        "    path = k.place.spool / k.fresh_name('wav'); path.write_text(f'{sys.argv[2]}-{n}')\n"
        "    with k.turn():\n"
        "        stored = k.store(BoxOwner('shop.example', 'ann'), '17+bob.wav', path, Existing.RENAME)\n"
        "        if n % 5 == 0: k.messages(BoxOwner('shop.example', 'ann'))\n"
        "    assert stored.code == 0, stored\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, root(boxes), str(n)]) for n in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    folder = root(boxes) / "shop.example" / "ann"
    assert sorted(path.read_text() for path in folder.iterdir()) == sorted(f"{p}-{n}" for p in range(2) for n in range(25))
    assert len(listed(boxes)) == 50
    assert sqlite3.connect(root(boxes) / ".index.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_who_does_not_get_the_lock_says_so(boxes: Keeper) -> None:
    other = keeper(root(boxes))
    with boxes.turn(), pytest.raises(StorageBusy, match=r"\.lock"), other.turn():
        pass
    with other.turn():
        pass
    other.close()


PLANS = ("store", "replace", "read", "delete")


@pytest.mark.parametrize("what", PLANS)
def test_killed_after_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The same on a real disk with the index: killed after so many steps, then started again."""
    perform, outcomes = disk.perform, set()
    for count in range(20):
        folder = tmp_path / str(count)
        boxes = keeper(folder)
        put(boxes, "17+bob.wav", b"first")
        listed(boxes)
        path = recording(boxes.place.spool / "r.wav", b"second")
        left = [count]

        def dying(step: Step, left: list[int] = left) -> None:
            if not left[0]:
                raise KeyboardInterrupt  # stands for the kill: nothing is taken back, nothing more is done
            left[0] -= 1
            perform(step)

        monkeypatch.setattr(disk, "perform", dying)
        with contextlib.suppress(KeyboardInterrupt), boxes.turn():
            if what in ("store", "replace"):
                boxes.store(ANN, "17+bob.wav", path, Existing.REPLACE if what == "replace" else Existing.RENAME)
            elif what == "read":
                boxes.mark_read(ANN, "17+bob.wav")
            else:
                boxes.delete(ANN, "17+bob.wav")
            boxes.indexed(lambda index: index.roll_back())  # killed before its transaction is
            raise KeyboardInterrupt
        monkeypatch.setattr(disk, "perform", perform)
        again = keeper(folder)
        found = listed(again)
        contents = sorted(p.read_bytes() for p in (folder / "shop.example" / "ann").iterdir())
        again.close()
        boxes.close()
        outcomes.add(str(contents))
        assert len(found) == len(contents)
        if what == "store":
            assert contents in ([b"first"], [b"first", b"second"]) and path.exists() == (contents == [b"first"])
        elif what == "replace":
            assert contents in ([b"first"], [b"second"]) and path.exists() == (contents == [b"first"])
        elif what == "read":
            assert contents == [b"first"]
        else:
            assert contents in ([b"first"], [])
        if left[0]:  # all steps were done
            break
    assert len(outcomes) == (1 if what == "read" else 2), outcomes


def test_what_another_deletes_or_adds_is_seen(boxes: Keeper) -> None:
    put(boxes)
    assert len(listed(boxes)) == 1
    folder = root(boxes) / "shop.example" / "ann"
    recording(folder / "18+eve.wav")
    (folder / "17+bob.wav").unlink()
    assert [name for name, _, _ in listed(boxes)] == ["18+eve.wav"]
    (folder / "18+eve.wav").unlink()
    folder.rmdir()
    with boxes.turn():
        assert boxes.messages(ANN).code is MsgCode.USER_NOT_FOUND


# ------------------------------------------------------------------------------------------------------------------- the index
def test_a_box_that_has_not_changed_is_not_read_again(boxes: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    name = put(boxes)
    assert listed(boxes) == [(name, True, 5)]
    monkeypatch.setattr(disk, "files", None)
    assert listed(boxes) == [(name, True, 5)]


def test_a_box_that_changed_a_moment_ago_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two changes within a tick of the disk's clock leave the same time; so a fresh one is not believed."""
    path = tmp_path / "shop.example" / "ann"
    path.mkdir(parents=True)
    boxes = keeper(tmp_path, now_ns=lambda: path.stat().st_mtime_ns + 1)
    assert listed(boxes) == []
    seen = path.stat().st_mtime_ns
    recording(path / "17.wav")
    os.utime(path, ns=(seen, seen))
    assert [name for name, _, _ in listed(boxes)] == ["17.wav"]
    boxes.close()


@pytest.mark.parametrize("harm", ["gone", "no database", "torn", "of another version"])
def test_an_index_that_is_gone_or_broken_is_made_anew(boxes: Keeper, harm: str, caplog: pytest.LogCaptureFixture) -> None:
    names = [put(boxes, f"{n}+bob.wav") for n in range(30)]
    with boxes.turn():
        boxes.mark_read(ANN, names[0])
    expected = listed(boxes)
    folder = root(boxes)
    boxes.close()
    index = folder / ".index.db"
    if harm == "gone":
        index.unlink()
    elif harm == "no database":
        index.write_bytes(b"this is no database" * 1000)
    elif harm == "torn":
        data = bytearray(index.read_bytes())
        data[4096:] = os.urandom(len(data) - 4096)
        index.write_bytes(data)
    else:
        with contextlib.closing(sqlite3.connect(index)) as database:
            database.execute("PRAGMA user_version=99")
    again = keeper(folder)
    assert listed(again) == expected == listed(again)
    again.close()
    assert len([r for r in caplog.records if r.levelname == "ERROR"]) == (harm != "gone")
    boxes.__init__(folder, Quota(), lambda: NOW_NS, lambda attempt: False)  # type: ignore[misc]  # for the fixture's close


def test_an_index_that_is_deleted_while_it_is_used_is_made_anew(boxes: Keeper) -> None:
    name = put(boxes)
    assert listed(boxes)
    for path in root(boxes).glob(".index.db*"):
        path.unlink()
    assert listed(boxes) == [(name, True, 5)]
    with sqlite3.connect(root(boxes) / ".index.db") as database:
        assert database.execute("SELECT name FROM message").fetchall() == [(b"17+bob.wav",)]


def test_without_an_index_all_goes_on(boxes: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def full(path: Path) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("di.stores.msg_storage.turns.MessageIndex", full)
    name = put(boxes)
    with boxes.turn():
        boxes.mark_read(ANN, name)
    assert listed(boxes) == [(name, False, 5)]
    assert len([r for r in caplog.records if "cannot be used now" in r.message]) == 1
    monkeypatch.undo()
    assert listed(boxes) == [(name, False, 5)]


def test_a_name_that_is_no_text_is_kept_as_it_is(boxes: Keeper) -> None:
    name = os.fsdecode(b"17+b\xf6b.wav")
    assert put(boxes, name) == name
    assert listed(boxes) == listed(boxes) == [(name, True, 5)]
    with boxes.turn():
        assert boxes.delete(ANN, name) is MsgCode.OK


# ------------------------------------------------------------------------------------------------------------------ no room
def test_a_box_has_a_quota(tmp_path: Path) -> None:
    boxes = keeper(tmp_path, Quota(messages=2))
    put(boxes)
    put(boxes)
    with boxes.turn():
        assert boxes.room_for(ANN).code is MsgCode.NO_SPACE
        path = recording(boxes.place.spool / "r")
        stored = boxes.store(ANN, "1.wav", path, Existing.RENAME)
        assert stored.code is MsgCode.NO_SPACE and "quota_messages" in stored.cause and path.exists()
        assert boxes.room_for(BoxOwner("shop.example", "ben")).code is MsgCode.OK
        boxes.delete(ANN, "17+bob.wav")
        assert boxes.room_for(ANN).code is MsgCode.OK
    boxes.close()
    large = keeper(tmp_path, Quota(bytes=5))
    with large.turn():
        assert "quota_mb" in large.room_for(ANN).cause
    large.close()


def test_a_greeting_is_replaced_in_a_full_box(tmp_path: Path) -> None:
    boxes = keeper(tmp_path, Quota(messages=1))
    put(boxes, "vm.wav", b"old", Existing.REPLACE)
    assert put(boxes, "vm.wav", b"new", Existing.REPLACE) == "vm.wav"
    with boxes.turn():
        assert boxes.store(ANN, "other.wav", None, Existing.REPLACE).code is MsgCode.NO_SPACE
    boxes.close()


def test_one_box_in_trouble_costs_the_others_nothing(boxes: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    changed_ns = disk.changed_ns

    def broken(folder: Path) -> int | None:
        if folder.name == "bad":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return changed_ns(folder)

    boxes.quota = Quota(messages=2)
    monkeypatch.setattr(disk, "changed_ns", broken)
    orders = [
        StoreOrder(BoxOwner("d", user), "1.wav", recording(boxes.place.spool / f"{number}"), Existing.RENAME)
        for number, user in enumerate(("ann", "bad", "ann", "ann"))
    ]
    with boxes.turn():
        stored = boxes.store_all(orders)
    assert [(s.code, s.name) for s in stored[::2]] == [(MsgCode.OK, "1.wav"), (MsgCode.OK, "1.2.wav")]
    assert stored[3].code is MsgCode.NO_SPACE, "the quota counts those that are stored with it"
    assert [order.recording is not None and order.recording.exists() for order in orders] == [False, False, False, True]
    with boxes.turn():
        assert boxes.messages(BoxOwner("d", "bad")).code is MsgCode.STORAGE


def test_a_disk_that_is_nearly_full_takes_nothing(tmp_path: Path) -> None:
    boxes = keeper(tmp_path, Quota(free_bytes=1 << 60))
    with boxes.turn():
        assert boxes.room_for(ANN).code is MsgCode.NO_SPACE and "min_free_mb" in boxes.room_for(ANN).cause
    boxes.close()


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, MsgCode.NO_SPACE), (errno.EDQUOT, MsgCode.NO_SPACE), (errno.EIO, 7)])
def test_a_step_that_fails_leaves_the_recording(boxes: Keeper, monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    listed(boxes)
    perform = disk.perform
    plan = steps.store(steps.NewFile(Path("r"), False, Path("a"), Path("t"), 0))
    for failing in range(len(plan)):
        path = recording(boxes.place.spool / "r")
        done: list[Step] = []

        def fails(step: Step, failing: int = failing, done: list[Step] = done) -> None:
            if isinstance(step, steps.MakeFolder) or (isinstance(step, steps.SyncFolder) and not done):
                return perform(step)
            done.append(step)
            if len(done) == failing + 1:
                raise OSError(number, os.strerror(number))
            return perform(step)

        monkeypatch.setattr(disk, "perform", fails)
        with boxes.turn():
            stored = boxes.store(ANN, "1.wav", path, Existing.RENAME)
        monkeypatch.setattr(disk, "perform", perform)
        assert stored.code == code and os.strerror(number) in stored.cause
        assert path.read_bytes() == b"voice" and listed(boxes) == []


def test_a_folder_where_nothing_can_be_made(boxes: Keeper) -> None:
    (root(boxes) / "shop.example").symlink_to("/proc")  # root, too, makes nothing there
    path = recording(boxes.place.spool / "r")
    with boxes.turn():
        stored = boxes.store(ANN, "1.wav", path, Existing.RENAME)
    assert stored.code is MsgCode.USER_NOT_FOUND and "cannot be made" in stored.cause and path.exists()


def test_a_file_in_the_way_of_a_box(boxes: Keeper) -> None:
    recording(root(boxes) / "shop.example")
    path = recording(boxes.place.spool / "r")
    with boxes.turn():
        stored = boxes.store(ANN, "1.wav", path, Existing.RENAME)
        assert stored.code is MsgCode.USER_NOT_FOUND and "cannot be made" in stored.cause
        assert boxes.messages(ANN).code is MsgCode.USER_NOT_FOUND
        room = boxes.room_for(ANN)
        assert room.code is MsgCode.STORAGE and "is no folder" in room.cause, "the caller is told before he speaks"
    assert path.exists()


def test_a_recording_of_another_disk_is_copied_and_removed(
    boxes: Keeper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = recording(tmp_path / "r.wav", b"from elsewhere")
    monkeypatch.setattr(disk, "is_elsewhere", lambda path, folder: True)
    with boxes.turn():
        stored = boxes.store(ANN, "1.wav", path, Existing.RENAME)
    assert stored.code is MsgCode.OK and not path.exists() and listed(boxes) == [("1.wav", True, 14)]
    assert not list(boxes.place.spool.iterdir())
