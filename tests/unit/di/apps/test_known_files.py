# SPDX-License-Identifier: GPL-2.0-or-later
"""What is missing is not looked for again while no folder changes; whatever way it comes, the next look finds it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from di.apps import known_files
from di.apps.known_files import KnownFiles

LATER_NS = 10_000_000_000


def long_after() -> int:
    """So late that no folder of the test counts as young."""
    return time.time_ns() + LATER_NS


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths that were looked at, in order."""
    seen: list[str] = []

    def looking(path: Path | str) -> bool:
        seen.append(str(path))
        return os.path.isfile(path)

    monkeypatch.setattr(known_files, "isfile", looking)
    return seen


def paths(folder: Path) -> tuple[Path, ...]:
    return folder / "d/u.wav", folder / "d/u.mp3", folder / "u.wav", folder / "default.wav"


def test_what_is_missing_is_looked_for_once(tmp_path: Path, looked: list[str]) -> None:
    default = tmp_path / "default.wav"
    default.touch()
    files = KnownFiles(long_after)
    for _ in range(5):
        assert files.first("u", lambda: paths(tmp_path)) == default
    assert len(looked) == len(paths(tmp_path)) + 4


def test_a_folder_that_has_just_changed_is_looked_at_again(tmp_path: Path, looked: list[str]) -> None:
    (tmp_path / "default.wav").touch()
    files = KnownFiles(lambda: tmp_path.stat().st_ctime_ns + 1)
    for _ in range(2):
        files.first("u", lambda: paths(tmp_path))
    assert len(looked) == 2 * len(paths(tmp_path))


def link_comes_to_life(folder: Path) -> Path:
    (folder / "elsewhere").touch()
    return folder / "u.wav"


def file_comes(name: str) -> Callable[[Path], Path]:
    def come(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        return path

    return come


def folder_comes_by_its_name(folder: Path) -> Path:
    (folder / "prepared").rename(folder / "d")
    return folder / "d/u.wav"


@pytest.mark.parametrize(
    "come", [file_comes("d/u.wav"), file_comes("d/u.mp3"), file_comes("u.wav"), link_comes_to_life, folder_comes_by_its_name]
)
@pytest.mark.parametrize("with_folder", [False, True])
def test_what_comes_is_found_at_once(tmp_path: Path, come: Callable[[Path], Path], with_folder: bool) -> None:
    for name in ("default.wav", "prepared/u.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    if with_folder and come is not folder_comes_by_its_name:
        (tmp_path / "d").mkdir()
    if come is link_comes_to_life:
        (tmp_path / "u.wav").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path, tmp_path / "d"):
        if path.is_dir():
            os.utime(path, (1, 1))
    time.sleep(0.02)  # more than a tick of the file system's clock
    files = KnownFiles(long_after)
    for _ in range(2):
        assert files.first("u", lambda: paths(tmp_path)) == tmp_path / "default.wav"
    found = come(tmp_path)
    assert files.first("u", lambda: paths(tmp_path)) == found
    found.unlink()
    assert files.first("u", lambda: paths(tmp_path)) == tmp_path / "default.wav"
    (tmp_path / "default.wav").unlink()
    assert files.first("u", lambda: paths(tmp_path)) is None


def test_a_folder_that_takes_the_place_of_another_is_looked_at(tmp_path: Path) -> None:
    for name in ("one/default.wav", "two/default.wav", "two/u.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "now").symlink_to(tmp_path / "one")
    files, folder = KnownFiles(long_after), tmp_path / "now"
    assert files.first("u", lambda: paths(folder)) == folder / "default.wav"
    folder.unlink()
    folder.symlink_to(tmp_path / "two")
    assert files.first("u", lambda: paths(folder)) == folder / "u.wav"


def test_names_without_a_folder_and_much_that_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(known_files, "_MOST", 3)
    Path("default.wav").touch()
    files = KnownFiles(long_after)
    for asked in range(10):
        assert files.first(asked, lambda: (Path("u.wav"), Path("a/b/c.wav"), Path("default.wav"))) == Path("default.wav")
        assert len(files._known) <= 3
