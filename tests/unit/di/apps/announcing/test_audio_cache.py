# SPDX-License-Identifier: GPL-2.0-or-later
"""Audio of a database as files: whole or not there, nobody else's to enter, the oldest go."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from di.apps.announcing.audio_cache import AudioCache, suffix_for

MINUTE_NS = 60 * 10**9


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (b"RIFF....WAVE", ".wav"),
        (b"fLaC", ".flac"),
        (b"OggS", ".ogg"),
        (b"ID3\x04", ".mp3"),
        (b"\xff\xfb\x90\x64", ".mp3"),
        (b"\xff\xf3\x40\xc4", ".mp3"),
        (b"FORM", ".aiff"),
        (b".snd", ".au"),
        (b"", ""),
        (b"\xff", ""),
        (b"\xff\xf1aac", ""),
        (b"<html>", ""),
    ],
)
def test_what_is_audio(data: bytes, suffix: str) -> None:
    assert suffix_for(data) == suffix


def test_a_file_a_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cache = AudioCache("announcement")
    assert not list(tmp_path.iterdir()), "no folder before it is needed"
    one = cache.keep(b"RIFF one", ".wav", 0)
    assert cache.keep(b"RIFF one", ".wav", 1) == one and one.read_bytes() == b"RIFF one"
    assert cache.keep(b"RIFF two", ".wav", 2) != one
    assert stat.S_IMODE(one.parent.stat().st_mode) == 0o700
    assert sorted(path.suffix for path in one.parent.iterdir()) == [".wav", ".wav"], "nothing is left aside"
    one.unlink()
    assert cache.keep(b"RIFF one", ".wav", 3).read_bytes() == b"RIFF one", "somebody tidied up"
    cache.close()
    with pytest.raises(OSError, match="stopped"):
        cache.keep(b"RIFF one", ".wav", 4)
    assert not list(tmp_path.iterdir())


def test_the_oldest_go_but_none_that_may_still_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cache = AudioCache("announcement", most_bytes=250)
    paths = [cache.keep(bytes([n]) * 100, ".wav", n * MINUTE_NS) for n in range(3)]
    assert all(path.exists() for path in paths), "all were wanted in the last ten minutes"
    late = cache.keep(b"x" * 100, ".wav", 20 * MINUTE_NS)
    assert [path.exists() for path in paths] == [False, False, True] and late.exists()
    cache.close()


def test_a_disk_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(OSError):
        AudioCache("announcement").keep(b"RIFF", ".wav", 0)


def test_what_a_killed_server_has_left_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, alive, other = (tmp_path / f"cordboard-{name}" for name in ("ann-999999999-x", f"ann-{os.getpid()}-y", "ann-own-z"))
    for path in (dead, alive, other):
        path.mkdir()
        (path / "a.wav").write_bytes(b"RIFF")
    cache = AudioCache("ann")
    cache.keep(b"RIFF", ".wav", 0)
    assert [path.exists() for path in (dead, alive, other)] == [False, True, True]
    cache.close()
