# SPDX-License-Identifier: GPL-2.0-or-later
"""Files as they come from outside: codecs inside WAV, suffixes without a header, files that are something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from media.control.audio_formats import FORMATS
from media.files.audio_file import AudioFileError, read_audio
from media.files.sound_writer import open_sound
from tests.support import tones

TONE = tones.tone(500, 1000)


@pytest.mark.parametrize(
    "coding", ["GSM610", "G721_32", "IMA_ADPCM", "MS_ADPCM", "ALAW", "ULAW", "PCM_U8", "PCM_24", "FLOAT", "NMS_ADPCM_32"]
)
def test_a_wav_of_any_coding_is_the_tone_that_was_written(tmp_path: Path, coding: str) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, TONE, 8000, coding, format="WAV")
    samples = read_audio(str(path), 8000)
    assert 8000 <= len(samples) <= 8000 + 4096  # libsndfile's own writer does not say where the last block is filled up
    assert tones.loudest(samples[:8000], [400, 500, 600], 200) == [500]


@pytest.mark.parametrize(("coding", "block_bytes"), [("GSM610", 65), ("G721_32", 60)])
def test_what_fills_the_last_block_is_not_played(tmp_path: Path, coding: str, block_bytes: int) -> None:
    """Exchanges say in the fact chunk how many samples count; the decoder makes a burst of noise of what follows, a pad byte for instance."""
    path = tmp_path / "tone.wav"
    soundfile.write(path, TONE[:7900], 8000, coding, format="WAV")
    data = path.read_bytes()
    at = data.index(b"fact") + 8
    path.write_bytes(data[:at] + (7900).to_bytes(4, "little") + data[at + 4 :] + bytes([255] * block_bytes))
    samples = read_audio(str(path), 8000)
    assert len(samples) == 7900
    assert int(np.abs(samples[-200:]).max()) < 12_000


def test_a_length_that_cannot_be_right_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, TONE, 8000, "GSM610", format="WAV")
    data = path.read_bytes()
    at = data.index(b"fact") + 8
    path.write_bytes(data[:at] + (160).to_bytes(4, "little") + data[at + 4 :])
    assert len(read_audio(str(path), 8000)) >= 8000


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
def test_every_suffix_that_is_written_is_read_as_long_and_as_high(tmp_path: Path, suffix: str, rate_hz: int) -> None:
    """A headerless file has one rate: a recording at another is brought to it, not played back at half the speed."""
    path = str(tmp_path / f"tone{suffix.upper()}")
    file, samples = open_sound(path, rate_hz), tones.tone(500, 1000, rate_hz)
    for first in range(0, len(samples), rate_hz // 5):
        file.write(samples[first : first + rate_hz // 5])
    file.close()
    heard = read_audio(path, 8000)
    assert abs(len(heard) - 8000) <= 330
    assert tones.loudest(heard[400:7600], [250, 400, 500, 600, 1000], 200) == [500]


def test_what_is_no_audio_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.wav"
    page.write_text("<html>404</html>\n")
    with pytest.raises(AudioFileError, match=r"page\.wav: cannot be read as audio"):
        read_audio(str(page), 8000)
    with pytest.raises(AudioFileError, match=r"x\.xyz: unknown format; known: \.wav "):
        open_sound(str(tmp_path / "x.xyz"), 8000)
    with pytest.raises(AudioFileError, match="cannot be written"):
        open_sound(str(tmp_path / "none" / "x.wav"), 8000)
