# SPDX-License-Identifier: GPL-2.0-or-later
"""Wav files that broke off: measured and mended, whatever is in them."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from di.apps.voicemail.wav import measure
from tests.support.sizes import size


def written(seconds: float, rate_hz: int = 8000, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.arange(int(rate_hz * seconds), dtype=np.int16), rate_hz, subtype, format="WAV")
    return file.getvalue()


def mended(data: bytes) -> bytes:
    measured, out = measure(data, len(data)), bytearray(data)
    assert measured is not None
    for at, part in measured.repairs:
        out[at : at + len(part)] = part
    return bytes(out)


def broken(data: bytes, missing: int = 0) -> bytes:
    """As a recorder leaves it that was killed: sizes of a file without samples, and the samples."""
    at = data.index(b"data")
    out = bytearray(data[: len(data) - missing])
    out[4:8], out[at + 4 : at + 8] = struct.pack("<I", at), struct.pack("<I", 0)
    return bytes(out)


@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW", "ALAW"])
@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_a_finished_file_is_left_alone(rate_hz: int, subtype: str) -> None:
    measured = measure(written(1.5, rate_hz, subtype), len(written(1.5, rate_hz, subtype)))
    assert measured is not None and (measured.length_ms, measured.repairs) == (1500, ())


@pytest.mark.parametrize("missing", [0, 1, 2, 4001])
def test_a_file_that_broke_off_is_mended(missing: int) -> None:
    whole = written(2)
    data = mended(broken(whole, missing))
    samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="int16")
    expected, _ = soundfile.read(io.BytesIO(whole), dtype="int16")
    assert rate_hz == 8000 and len(samples) == 16000 - (missing + 1) // 2
    assert (samples == expected[: len(samples)]).all()


def test_a_header_that_promises_more_than_is_there() -> None:
    data = written(2)[:-8000]
    samples, _ = soundfile.read(io.BytesIO(mended(data)), dtype="int16")
    assert len(samples) == 12000
    measured = measure(data, len(data))
    assert measured is not None and measured.length_ms == 1500


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"OggS" + bytes(100), b"RIFF\0\0\0\0WAVEdata\0\0\0\0" + bytes(50)]
)
def test_what_is_no_wav(data: bytes) -> None:
    assert measure(data, len(data)) is None


@settings(max_examples=size(300, 100_000), deadline=None)
@given(
    st.binary(max_size=300) | st.binary(max_size=200).map(lambda data: b"RIFF" + data[:4].ljust(4, b"\0") + b"WAVE" + data),
    st.integers(0, 1 << 40),
)
def test_any_bytes_are_measured_or_none(data: bytes, more: int) -> None:
    """Fuzz: any bytes give a length that fits the file, and repairs inside what was read."""
    measured = measure(data, len(data) + more)
    if measured is not None:
        assert measured.length_ms >= 0
        assert all(0 <= at <= len(data) - len(part) for at, part in measured.repairs)
