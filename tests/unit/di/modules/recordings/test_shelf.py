# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from di.modules.recordings.about import INTERRUPTED, RECORDING, RecordedFile, RecordingAbout
from di.modules.recordings.shelf import FolderTaken, RecordingShelf
from tests.support import tones

NAMES = [f"2026113{n}T155005Z-room1-2265b{n}" for n in range(3)]


@pytest.fixture
def shelf(tmp_path: Path) -> RecordingShelf:
    shelf = RecordingShelf(tmp_path / "a" / "kept")
    shelf.take()
    return shelf


def about(name: str, state: str = "complete", began_s: float = 0.0) -> RecordingAbout:
    return RecordingAbout(name, "room", "room1", "both", "alice", began_s, state)


def test_one_server_has_the_folder_and_it_is_private(shelf: RecordingShelf) -> None:
    assert shelf.folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(FolderTaken):
        RecordingShelf(shelf.folder).take()
    shelf.give_back()
    RecordingShelf(shelf.folder).take()


def test_written_read_listed_and_deleted(shelf: RecordingShelf) -> None:
    for name in NAMES:
        shelf.write(name, about(name).value())
        tones.write_wav(shelf.folder / f"{name}.wav", tones.tone(400, 100))
    tones.write_wav(shelf.folder / f"{NAMES[1]}-12.wav", tones.tone(400, 100))
    (shelf.folder / "stranger.json").write_text("{}")
    assert shelf.names() == NAMES[::-1]
    assert shelf.read(NAMES[0]) == about(NAMES[0]).value()
    assert shelf.sound_files(NAMES[1]) == [f"{NAMES[1]}.wav", f"{NAMES[1]}-12.wav"]
    assert shelf.usage_bytes() > 4 * 1600
    assert shelf.delete(NAMES[1]) and not shelf.delete(NAMES[1]) and not shelf.delete("../x")
    assert not list(shelf.folder.glob(f"{NAMES[1]}*"))
    assert shelf.names() == [NAMES[2], NAMES[0]]
    shelf.discard(NAMES[0])
    assert shelf.read(NAMES[0]) is None


def test_a_sidecar_under_a_foreign_name_or_broken_is_not_believed(shelf: RecordingShelf) -> None:
    (shelf.folder / f"{NAMES[0]}.json").write_text("{")
    shelf.write(NAMES[1], about(NAMES[0]).value())
    assert shelf.read(NAMES[0]) is None and shelf.read(NAMES[1]) is None
    assert shelf.names() == [NAMES[1], NAMES[0]], "but seen"


def test_links_are_not_followed(shelf: RecordingShelf, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    for file in (f"{NAMES[0]}.wav", f"{NAMES[0]}.json"):
        (shelf.folder / file).symlink_to(tmp_path / "secret")
    assert not shelf.has_sound(f"{NAMES[0]}.wav") and shelf.open_sound(f"{NAMES[0]}.wav") == -1
    assert shelf.names() == [] and shelf.sound_files(NAMES[0]) == []
    with pytest.raises(OSError):
        shelf.read(NAMES[0])
    with pytest.raises(OSError):
        shelf.measure(RecordedFile(f"{NAMES[0]}.wav", "mix"))


def test_only_sound_files_of_recordings_are_found(shelf: RecordingShelf) -> None:
    tones.write_wav(shelf.folder / f"{NAMES[0]}-3.wav", tones.tone(400, 100))
    (shelf.folder / f"{NAMES[1]}.wav").mkdir()
    descriptor = shelf.open_sound(f"{NAMES[0]}-3.wav")
    assert os.read(descriptor, 4) == b"RIFF"
    os.close(descriptor)
    for file in (f"{NAMES[0]}.wav", f"{NAMES[1]}.wav", ".lock", "../kept/x.wav", f"./{NAMES[0]}-3.wav", ""):
        assert not shelf.has_sound(file) and shelf.open_sound(file) == -1


def test_measured(shelf: RecordingShelf) -> None:
    tones.write_wav(shelf.folder / f"{NAMES[0]}.wav", np.zeros(321, np.int16), 16000)
    sound = RecordedFile(f"{NAMES[0]}.wav", "mix")
    shelf.measure(sound)
    assert (sound.rate_hz, sound.channels, sound.samples, sound.bytes) == (16000, 1, 321, 44 + 642)
    (shelf.folder / f"{NAMES[1]}.wav").write_bytes(b"RIFF")
    broken = RecordedFile(f"{NAMES[1]}.wav", "mix")
    shelf.measure(broken)
    assert (broken.samples, broken.bytes) == (0, 4)


def test_what_a_dead_server_recorded_is_ended_once_its_files_rest(shelf: RecordingShelf) -> None:
    dead = about(NAMES[0], RECORDING, 50.0)
    dead.files = [RecordedFile(f"{NAMES[0]}.wav", "mix"), RecordedFile(f"{NAMES[0]}-3.wav", "the-call")]
    shelf.write(NAMES[0], dead.value())
    shelf.write(NAMES[1], about(NAMES[1], RECORDING).value())
    shelf.write(NAMES[2], about(NAMES[2]).value())
    for file in (f"{NAMES[0]}.wav", f"{NAMES[0]}-3.wav", f"{NAMES[0]}-4.wav"):
        path = tones.write_wav(shelf.folder / file, np.zeros(4000, np.int16))
        os.utime(path, (100, 100))
    (shelf.folder / f".aside-{NAMES[0]}").write_text("{")
    for file in (f"{NAMES[0]}.json", f"{NAMES[1]}.json", f".aside-{NAMES[0]}"):
        os.utime(shelf.folder / file, (98, 98))
    assert shelf.recover(frozenset([NAMES[1]]), 99.0) == ([], [NAMES[0]])
    assert shelf.recover(frozenset([NAMES[1]]), 101.0) == ([NAMES[0]], [])
    ended = shelf.read(NAMES[0])
    assert ended is not None
    assert (ended["state"], ended["length_ms"], ended["ended"]) == (INTERRUPTED, 500, 50.5)
    assert [(file["of"], file["samples"]) for file in ended["files"]] == [("mix", 4000), ("the-call", 4000), ("leg 4", 4000)]  # type: ignore[union-attr,index,call-overload]
    assert not (shelf.folder / f".aside-{NAMES[0]}").exists()
    assert shelf.recover(frozenset([NAMES[1]]), 1e12) == ([], [])
    assert shelf.recover(frozenset(), 1e12) == ([NAMES[1]], []), "one of which nothing was written yet, too"


def test_a_write_that_fails_leaves_the_one_before(shelf: RecordingShelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.write(NAMES[0], about(NAMES[0], RECORDING).value())

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        shelf.write(NAMES[0], about(NAMES[0]).value())
    assert shelf.read(NAMES[0]) == about(NAMES[0], RECORDING).value()
    assert not list(shelf.folder.glob(".aside*"))


def test_the_old_ones(shelf: RecordingShelf) -> None:
    for name, state, began_s in zip(NAMES, ("complete", RECORDING, "failed"), (10.0, 10.0, 30.0), strict=True):
        shelf.write(name, about(name, state, began_s).value())
    assert shelf.older_than(20.0) == [NAMES[0]]
