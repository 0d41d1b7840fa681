# SPDX-License-Identifier: GPL-2.0-or-later
"""Audio files by suffix: the one list of what is played and what can be recorded, for the hub (which refuses by it) and the media process.

    with a header       .wav .au .aiff .flac .ogg .opus .mp3     what is inside counts (WAV in PCM, G.711, GSM 6.10, ADPCM, G.721 …)
    without             .ulaw .alaw .gsm .raw .l16 …             8 kHz mono; only the suffix says what they are

Names are libsndfile's. Only names are handled here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from media.control.predef import SUFFIX as PRECODED

RAW_RATE_HZ = 8000


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format. `subtype`: what a headerless file holds, and what a new file is written in; empty: such files are only played ·
    `rates_hz`: all that can be written, ascending; empty: any.
    """

    container: str
    subtype: str = ""
    endian: str = "FILE"
    rates_hz: tuple[int, ...] = ()

    @property
    def headerless(self) -> bool:
        """Whether nothing in the file says what it is."""
        return self.container == "RAW"

    def rate_hz(self, wanted_hz: int) -> int:
        """Return the rate to write at: the wanted one or the next above that the format has, else its highest."""
        return next((rate for rate in self.rates_hz if rate >= wanted_hz), self.rates_hz[-1]) if self.rates_hz else wanted_hz


def _raw(subtype: str, endian: str = "FILE") -> FileFormat:
    return FileFormat("RAW", subtype, endian, (RAW_RATE_HZ,))


_WAV, _AIFF = FileFormat("WAV", "PCM_16"), FileFormat("AIFF", "PCM_16")
_MU_LAW, _A_LAW = _raw("ULAW"), _raw("ALAW")
_LINEAR = _raw("PCM_16", "LITTLE")  # as sox and Asterisk's .sln have it

FORMATS = {
    ".wav": _WAV, ".wave": _WAV, ".wav49": FileFormat("WAV", "GSM610", rates_hz=(8000,)), ".au": FileFormat("AU", "PCM_16"),
    ".aif": _AIFF, ".aiff": _AIFF, ".flac": FileFormat("FLAC", "PCM_16"), ".ogg": FileFormat("OGG", "VORBIS"),
    ".opus": FileFormat("OGG", "OPUS", rates_hz=(8000, 12000, 16000, 24000, 48000)),
    ".mp3": FileFormat("MP3", "MPEG_LAYER_III", rates_hz=(8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)),
    ".ulaw": _MU_LAW, ".ul": _MU_LAW, ".mulaw": _MU_LAW, ".pcmu": _MU_LAW, ".g711u": _MU_LAW,
    ".alaw": _A_LAW, ".al": _A_LAW, ".pcma": _A_LAW, ".g711a": _A_LAW,
    ".gsm": _raw("GSM610"), ".raw": _LINEAR, ".sln": _LINEAR, ".l16": _raw("PCM_16", "BIG"),  # L16 is in network order (RFC 3551)
}  # fmt: skip
SUBTYPES = {"pcm16": "PCM_16", "a-law": "ALAW", "mu-law": "ULAW"}
"""SEMS's sub-types of wav, given after the name as in ``file.wav|A-Law`` (spec core.md §8)."""


def suffix_of(name: str) -> str:
    """Return a file name's suffix in lower case, a sub-type left out."""
    return PurePath(name.partition("|")[0]).suffix.lower()


def is_played(name: str) -> bool:
    """Whether the suffix says that the file can be played. What is in it shows when it is opened."""
    return suffix_of(name) in FORMATS or suffix_of(name) == PRECODED


def is_recorded(name: str) -> bool:
    """Whether a file of that suffix can be written."""
    return suffix_of(name) in FORMATS


def known() -> str:
    """Return all suffixes as text, for messages."""
    return " ".join(FORMATS)
