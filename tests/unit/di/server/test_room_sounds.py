# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files may be played to a room: those of the folders, whatever name is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from di.server.room_sounds import RoomSounds


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sounds")
    for name in ("a/x.wav", "a/de/x.wav", "a/notes.txt", "a/.hidden.wav", "b/x.wav", "b/y.mp3", "secret.wav"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "a" / "out.wav").symlink_to(root / "secret.wav")
    (root / "a" / "in.wav").symlink_to(root / "a" / "x.wav")
    (root / "a" / "round.wav").symlink_to("round.wav")
    (root / "a" / "folder.wav").mkdir()
    return root


@pytest.fixture(scope="module")
def sounds(root: Path) -> RoomSounds:
    return RoomSounds([root / "a", root / "nowhere", root / "b"])


@pytest.mark.parametrize(
    ("name", "file"),
    [("x.wav", "a/x.wav"), ("de/x.wav", "a/de/x.wav"), ("y.mp3", "b/y.mp3"), ("in.wav", "a/x.wav")],
)  # fmt: skip
def test_what_is_found(sounds: RoomSounds, root: Path, name: str, file: str) -> None:
    assert sounds.find(name) == (root / file).resolve()


@pytest.mark.parametrize("name", ["out.wav", "round.wav", "folder.wav", "notes.txt", ".hidden.wav", "../secret.wav", "de/../x.wav", "/x.wav",
                                  "de//x.wav", "", "x.wav/", "./x.wav", "x.wav\0", "a/b/c/d/e/f/x.wav"])  # fmt: skip
def test_what_is_not(sounds: RoomSounds, name: str) -> None:
    assert sounds.find(name) is None


def test_the_list_has_what_is_found(sounds: RoomSounds) -> None:
    assert sounds.names() == ["de/x.wav", "in.wav", "x.wav", "y.mp3"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("./ax-wvde\\\0"), max_size=20).map(lambda text: f"{text}.wav"))
def test_nothing_leads_out(sounds: RoomSounds, root: Path, name: str) -> None:
    found = sounds.find(name)
    assert found is None or found.is_relative_to(root / "a") or found.is_relative_to(root / "b")
