# SPDX-License-Identifier: GPL-2.0-or-later
"""What `cordboard app new` writes; that it runs and passes its own test is seen in tests/peers/test_app_wheel.py."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from clients.app.scaffold import CannotMake, make
from clients.app.worker import load


def test_the_files_of_a_new_application(tmp_path: Path) -> None:
    made = make("card", tmp_path / "new")
    assert [path.relative_to(tmp_path / "new").as_posix() for path in made] == [
        "card.py", "card.conf", "test_card.py", "card/ask.wav", "card/thanks.wav", "card/bye.wav",
    ]  # fmt: skip
    assert load(made[0], {}).handler is not None
    with wave.open(str(made[3])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (8000, 1, 4000)


@pytest.mark.parametrize("name", ["Card", "9a", "a-b", "", "a/b", "a.py"])
def test_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(CannotMake, match="small letters"):
        make(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "test_card.py").write_text("mine")
    with pytest.raises(CannotMake, match=r"test_card\.py is there already"):
        make("card", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["test_card.py"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotMake, match=r"Not a directory|File exists"):
        make("card", tmp_path / "file")
