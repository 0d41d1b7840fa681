# SPDX-License-Identifier: GPL-2.0-or-later
"""Wherever the power fails between two steps of the message storage: nothing is lost, nothing stands twice, nothing is half there.

The steps run on a disk that forgets. Changes of folders reach the medium in their order, as a journal has it, but only those before a sync
of one of their folders surely; bytes and times of a file only when the file was synced.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from di.stores.msg_storage import disk, steps
from di.stores.msg_storage.steps import Copy, Create, MakeFolder, Move, NewFile, Remove, Stamp, Step, SyncFile, SyncFolder

SPOOL, BOX, OTHER_BOX, OTHER = Path("/s/.spool"), Path("/s/d/u"), Path("/s/d/v"), Path("/elsewhere")
RECORDING, TARGET, ASIDE = SPOOL / "r.wav", BOX / "17+bob.wav", SPOOL / "a"
SAID, OLD, GARBLED = b"what was said", b"the old greeting", b"\0garbled"
CHANGE_NS = 17_000_000_000


@dataclasses.dataclass
class Node:
    """A file: what is in memory, and what is surely on the medium."""

    data: bytes
    times: tuple[int, int] = (5, CHANGE_NS)
    data_on_medium: bytes | None = None
    times_on_medium: tuple[int, int] = (0, 0)


Change = tuple[Path | None, Path | None, Node | None]
"""Source that goes, target that comes, the file."""


class ForgetfulDisk:
    """Files by path, and the journal of what happened to folders."""

    def __init__(self, files: dict[Path, Node]) -> None:
        self.files = dict(files)
        self.began = dict(files)
        self.journal: list[Change] = []
        self.sure = 0
        """So many changes are on the medium."""

    def perform(self, step: Step) -> None:
        """As `disk.perform`."""
        match step:
            case MakeFolder():
                pass
            case SyncFolder(path):
                for number, (source, target, _) in enumerate(self.journal):
                    if path in {place.parent for place in (source, target) if place is not None}:
                        self.sure = max(self.sure, number + 1)
            case Create(path):
                self._change(None, path, Node(b"", data_on_medium=b""))
            case Copy(source, target):
                self._change(None, target, Node(self.files[source].data))
            case Stamp(path, access_ns, change_ns):
                self.files[path].times = (access_ns, change_ns)
            case SyncFile(path):
                node = self.files[path]
                node.data_on_medium, node.times_on_medium = node.data, node.times
            case Move(source, target, replaces):
                assert replaces or target not in self.files
                self._change(source, target, self.files[source])
            case Remove(path):
                self._change(path, None, None)

    def _change(self, source: Path | None, target: Path | None, node: Node | None) -> None:
        self.journal.append((source, target, node))
        _apply(self.files, self.journal[-1])

    def after_power_failure(self) -> Iterator[dict[Path, tuple[bytes, bool]]]:
        """Each state that may be found: path → bytes, and whether it is new."""
        for kept in range(self.sure, len(self.journal) + 1):
            files = dict(self.began)
            for change in self.journal[:kept]:
                _apply(files, change)
            yield {
                path: (GARBLED if node.data_on_medium is None else node.data_on_medium, len(set(node.times_on_medium)) == 1)
                for path, node in files.items()
            }

    def after_kill(self) -> dict[Path, tuple[bytes, bool]]:
        """What is found when only the process died."""
        return {path: (node.data, len(set(node.times)) == 1) for path, node in self.files.items()}


def _apply(files: dict[Path, Node], change: Change) -> None:
    source, target, node = change
    if source is not None:
        files.pop(source, None)
    if target is not None and node is not None:
        files[target] = node


def cut(plan: Sequence[Step], files: dict[Path, Node]) -> Iterator[tuple[int, bool, dict[Path, tuple[bytes, bool]]]]:
    """Every state after every number of steps: how many, whether the power failed, and the files."""
    for count in range(len(plan) + 1):
        disk = ForgetfulDisk({path: dataclasses.replace(node) for path, node in files.items()})
        for step in plan[:count]:
            disk.perform(step)
        yield count, False, disk.after_kill()
        for state in disk.after_power_failure():
            yield count, True, state


def in_box(state: dict[Path, tuple[bytes, bool]]) -> dict[str, tuple[bytes, bool]]:
    return {path.name: content for path, content in state.items() if path.parent == BOX}


def on_medium(data: bytes) -> Node:
    return Node(data, (6, 6), data, (6, 6))


@pytest.mark.parametrize("replaces", [False, True])
@pytest.mark.parametrize("source", [RECORDING, OTHER / "r.wav", None])
def test_a_new_message(source: Path | None, replaces: bool) -> None:
    said = SAID if source is not None else b""
    files = {TARGET: on_medium(OLD)} if replaces else {}
    if source is not None:
        files[source] = Node(SAID)
    plan = steps.store(NewFile(source, source == OTHER / "r.wav", ASIDE, TARGET, CHANGE_NS, replaces))
    seen = set()
    for count, power, state in cut(plan, files):
        box = in_box(state)
        assert set(box) <= {TARGET.name} and (not replaces or box)
        assert box.get(TARGET.name, (said, True)) in ((said, True), (OLD, True))
        stored = box.get(TARGET.name) == (said, True)
        seen.add(stored)
        if count == len(plan):
            assert stored
        if source is None:
            continue
        assert stored or source in state, "lost"
        assert stored or power or state[source][0] == SAID
        if source == RECORDING:
            assert not (stored and source in state), "twice"
        elif count == len(plan) and not power:
            assert source not in state
    assert seen == {False, True}


def test_marking_read_changes_nothing_else() -> None:
    for count, _, state in cut(steps.mark_read(TARGET, 6), {TARGET: on_medium(OLD)}):
        assert set(state) == {TARGET} and state[TARGET][0] == OLD
        assert count < 2 or not state[TARGET][1]


def test_deleting() -> None:
    plan = steps.delete(TARGET)
    for count, _, state in cut(plan, {TARGET: on_medium(OLD)}):
        assert state in ({TARGET: (OLD, True)}, {})
        assert count < len(plan) or not state


@pytest.mark.parametrize("left_out", [SyncFile, SyncFolder])
def test_the_disk_would_notice_a_missing_sync(left_out: type) -> None:
    """The disk of these tests is one on which a plan without its syncs loses messages."""
    plan = [step for step in steps.store(NewFile(RECORDING, False, ASIDE, TARGET, CHANGE_NS)) if not isinstance(step, left_out)]
    states = [in_box(state) for count, _, state in cut(plan, {RECORDING: Node(SAID)}) if count == len(plan)]
    assert any(state != {TARGET.name: (SAID, True)} for state in states)


@pytest.mark.parametrize("replaces", [False, True])
@pytest.mark.parametrize("source", [RECORDING, OTHER / "r.wav", None])
def test_what_breaks_off_is_taken_back(source: Path | None, replaces: bool) -> None:
    files = {TARGET: on_medium(OLD)} if replaces else {}
    if source is not None:
        files[source] = Node(SAID)
    plan = steps.store(NewFile(source, source == OTHER / "r.wav", ASIDE, TARGET, CHANGE_NS, replaces))
    for count, failed in enumerate(plan):
        disk = ForgetfulDisk({path: dataclasses.replace(node) for path, node in files.items()})
        for step in plan[:count]:
            disk.perform(step)
        if isinstance(failed, Copy):
            disk.perform(dataclasses.replace(failed))  # a copy that breaks off leaves a file
        for step in steps.undo(plan[:count], failed):
            disk.perform(step)
        moved = any(isinstance(step, Move) for step in plan[:count])
        if replaces and moved:
            assert disk.files[TARGET].data == (SAID if source is not None else b"")
        else:
            assert {path: node.data for path, node in disk.files.items()} == {path: node.data for path, node in files.items()}


@pytest.mark.parametrize("replaces", [False, True])
def test_many_at_once_are_as_safe_as_each(monkeypatch: pytest.MonkeyPatch, replaces: bool) -> None:
    """Several plans in step, stopped after each number of steps."""
    names = ["a", "b", "c"]
    recordings = {name: SPOOL / f"{name}.wav" for name in names}
    targets = {name: (OTHER_BOX if name == "c" else BOX) / f"{name}.wav" for name in names}
    plans = [steps.store(NewFile(recordings[name], False, ASIDE, targets[name], CHANGE_NS, replaces)) for name in names]
    complete = 0
    for most in itertools.count():
        forgetful = ForgetfulDisk(
            {recordings[name]: Node(name.encode()) for name in names}
            | ({targets[name]: on_medium(OLD) for name in names} if replaces else {})
        )
        left = [most]

        def perform(step: Step, forgetful: ForgetfulDisk = forgetful, left: list[int] = left) -> None:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            forgetful.perform(step)

        monkeypatch.setattr(disk, "perform", perform)
        with contextlib.suppress(KeyboardInterrupt):
            assert disk.perform_together(plans) == [None] * len(plans)
            complete += 1
        for power, state in ((False, forgetful.after_kill()), *((True, state) for state in forgetful.after_power_failure())):
            for name in names:
                stored = state.get(targets[name]) == (name.encode(), True)
                assert stored or recordings[name] in state, "lost"
                assert not (stored and recordings[name] in state), "twice"
                assert stored or power or state[recordings[name]][0] == name.encode()
                assert stored or state.get(targets[name]) == ((OLD, True) if replaces else None)
                assert stored or not complete
        if complete:
            break


def test_one_of_many_that_fails_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = [steps.store(NewFile(SPOOL / name, False, ASIDE, BOX / name, CHANGE_NS)) for name in ("a", "b", "c")]
    for stage in range(len(plans[0])):
        forgetful = ForgetfulDisk({SPOOL / name: Node(name.encode()) for name in ("a", "b", "c")})
        failing = plans[1][stage]
        broken = OSError(5, "Input/output error")

        def perform(step: Step, forgetful: ForgetfulDisk = forgetful, failing: Step = failing, broken: OSError = broken) -> None:
            if step is failing:
                raise broken
            forgetful.perform(step)

        monkeypatch.setattr(disk, "perform", perform)
        failed = disk.perform_together(plans)
        if isinstance(failing, SyncFolder):  # another plan has synced that folder in this step
            assert failed == [None, None, None]
            continue
        assert failed == [None, broken, None]
        assert sorted(forgetful.files) == sorted([SPOOL / "b", BOX / "a", BOX / "c"])
