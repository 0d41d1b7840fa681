# SPDX-License-Identifier: GPL-2.0-or-later
"""The mark says whose a file is: ours only as long as nobody has changed its sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from di.spoken.mark import Mark, key_of, link_in_place, read_mark, write_marked
from media.files.audio_file import read_audio

SAMPLES = (np.sin(np.arange(4000) / 5) * 9000).astype(np.int16)


def test_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "en" / "welcome.wav"
    mark = Mark("spoken", key_of("Welcome", "en-gb"))
    write_marked(path, SAMPLES, 8000, mark)
    assert read_mark(path) == mark
    assert (read_audio(str(path), 8000) == SAMPLES).all(), "the server plays it as it is"
    assert [entry.name for entry in path.parent.iterdir()] == ["welcome.wav"], "nothing is left aside"
    assert key_of("Welcome", "en-gb") != key_of("Welcome", "en-us")


def test_a_file_of_somebody_else_has_none(tmp_path: Path) -> None:
    path = tmp_path / "own.wav"
    assert read_mark(path) is None
    path.write_bytes(b"RIFF nonsense")
    assert read_mark(path) is None
    soundfile.write(path, SAMPLES, 8000)
    assert read_mark(path) is None


def test_an_edited_file_is_not_ours_any_more(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_marked(path, SAMPLES, 8000, Mark("spoken", key_of("a")))
    with soundfile.SoundFile(path) as file:
        comment, samples = file.comment, file.read(dtype="int16")
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_16", format="WAV") as file:
        file.comment = comment
        file.write(samples // 2)
    assert read_mark(path) is None


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "en").write_text("a file in the folder's place")
    with pytest.raises(OSError, match="en"):
        write_marked(tmp_path / "en" / "a.wav", SAMPLES, 8000, Mark("spoken", key_of("a")))


def test_a_second_name(tmp_path: Path) -> None:
    write_marked(tmp_path / "a.wav", SAMPLES, 8000, Mark("spoken", key_of("a")))
    (tmp_path / "b.wav").write_bytes(b"old")
    assert link_in_place(tmp_path / "a.wav", tmp_path / "b.wav")
    assert read_mark(tmp_path / "b.wav") == Mark("spoken", key_of("a"))
    assert not link_in_place(tmp_path / "none.wav", tmp_path / "c.wav") and not (tmp_path / "c.wav").exists()
