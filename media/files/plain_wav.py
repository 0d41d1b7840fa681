# SPDX-License-Identifier: GPL-2.0-or-later
"""A WAV file of 16-bit samples that is whole after every write: whoever loses power or its process keeps what was written.

libsndfile writes the lengths in the header when the file is closed; a recording whose process was killed would then say that it is empty.
Here samples are written first and the header's two lengths after them, so that at any moment the header tells no more than there is.
"""

from __future__ import annotations

import os
import struct

import numpy as np
from numpy.typing import NDArray

from media.files.audio_file import AudioFileError

HEADER_BYTES = 44
LONGEST_BYTES = 0xFFFFFFFF - HEADER_BYTES - 7
"""Of audio: the header's lengths have 32 bits."""


class PlainWav:
    """An open file. `write` takes int16 (n,), with two channels left and right in turn."""

    def __init__(self, path: str, rate_hz: int, channels: int = 1) -> None:
        """Make the file, overwriting one that is there. Raises AudioFileError."""
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise AudioFileError(f"{path}: cannot be written: {reason}") from error
        self._bytes = 0
        frame = 2 * channels
        form = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * frame, frame, 16)
        try:
            self._put(b"RIFF" + struct.pack("<I", HEADER_BYTES - 8) + b"WAVEfmt " + struct.pack("<I", 16) + form)
            self._put(b"data" + struct.pack("<I", 0))
        except OSError:
            os.close(self._file)
            raise

    def write(self, samples: NDArray[np.int16]) -> None:
        """Append samples. Raises OSError; the file is then as it was before."""
        data = np.ascontiguousarray(samples, "<i2").tobytes()
        if self._bytes + len(data) > LONGEST_BYTES:
            raise OSError(0, "a WAV file has at most 4 GiB")
        try:
            self._put(data)
        except OSError:
            os.ftruncate(self._file, HEADER_BYTES + self._bytes)
            os.lseek(self._file, 0, os.SEEK_END)
            raise
        self._bytes += len(data)
        os.pwrite(self._file, struct.pack("<I", self._bytes), HEADER_BYTES - 4)
        os.pwrite(self._file, struct.pack("<I", HEADER_BYTES - 8 + self._bytes), 4)

    def close(self) -> None:
        """Give the file back; there is nothing left to write."""
        os.close(self._file)

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
