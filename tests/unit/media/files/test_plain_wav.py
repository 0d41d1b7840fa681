# SPDX-License-Identifier: GPL-2.0-or-later
"""A WAV file is whole after every write, whatever happens next."""

from __future__ import annotations

import resource
import signal
import wave
from pathlib import Path

import numpy as np
import pytest

from media.files.audio_file import AudioFileError
from media.files.plain_wav import PlainWav


def samples_in(path: Path, channels: int = 1) -> list[int]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (channels, 2, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").tolist()


def test_it_can_be_read_after_every_write_without_being_closed(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    file = PlainWav(str(path), 8000)
    assert samples_in(path) == []
    for count in (1, 2, 3):
        file.write(np.array([count] * count, np.int16))
        assert samples_in(path) == [n for n in range(1, count + 1) for _ in range(n)]
        assert path.stat().st_size == 44 + 2 * len(samples_in(path))
    file.close()
    assert samples_in(path) == [1, 2, 2, 3, 3, 3]


def test_two_channels(tmp_path: Path) -> None:
    file = PlainWav(str(tmp_path / "x.wav"), 8000, 2)
    file.write(np.array([1, -1, 2, -2], np.int16))
    assert samples_in(tmp_path / "x.wav", 2) == [1, -1, 2, -2]
    with wave.open(str(tmp_path / "x.wav")) as read:
        assert read.getnframes() == 2
    file.close()


def test_a_write_that_does_not_fit_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    file = PlainWav(str(path), 8000)
    file.write(np.arange(100, dtype=np.int16))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            file.write(np.arange(100, dtype=np.int16))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert samples_in(path) == list(range(100))
    assert path.stat().st_size == 244
    file.write(np.array([7], np.int16))
    assert samples_in(path) == [*range(100), 7]
    file.close()


def test_what_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match=r"none/x\.wav: cannot be written: No such file"):
        PlainWav(str(tmp_path / "none" / "x.wav"), 8000)
    with pytest.raises(AudioFileError, match="cannot be written"):
        PlainWav("a\0b.wav", 8000)
