# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings on the disk: who still writes one, what becomes of one that broke off."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from di.apps.voicemail import files
from tests.support import tones


def test_a_file_that_another_process_writes_is_known(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        (tmp_path / name).touch()
    program = "import sys; files = [open(sys.argv[1], 'ab'), open(sys.argv[2])]; print(flush=True); sys.stdin.read()"
    names = (str(tmp_path / "a.wav"), str(tmp_path / "b.wav"))
    with subprocess.Popen([sys.executable, "-c", program, *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdin is not None
        writer.stdout.readline()
        assert files.being_written(tmp_path) == {"a.wav"}  # who only reads hinders nobody
        writer.stdin.close()
    assert files.being_written(tmp_path) == set()


def test_a_twin_outlives_its_recording_and_a_crash_leaves_none(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"sound")
    twin = files.twin(path)
    assert twin == files.twin(path) != path
    path.unlink()
    assert twin.read_bytes() == b"sound"
    (tmp_path / "b.wav").touch()
    files.clear_twins(tmp_path)
    assert [left.name for left in tmp_path.iterdir()] == ["b.wav"]


def test_a_recording_that_broke_off_can_be_read(tmp_path: Path) -> None:
    path = tones.write_wav(tmp_path / "a.wav", tones.tone(440, 1000))
    with path.open("r+b") as file:
        file.seek(40)
        file.write(bytes(4))
    assert files.finished(path) == 1000
    assert path.read_bytes()[40:44] == (16000).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("name", "data", "length_ms"), [("a.wav", b"", 0), ("a.wav", b"x" * 99, 0), ("a.ogg", b"", 0), ("a.ogg", b"x", None)]
)
def test_what_cannot_be_read(tmp_path: Path, name: str, data: bytes, length_ms: int | None) -> None:
    (tmp_path / name).write_bytes(data)
    assert files.finished(tmp_path / name) == length_ms


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    assert files.free_mb(tmp_path) > 0
    with pytest.raises(OSError, match="it cannot be written"):
        files.free_mb(tmp_path / "gone")
