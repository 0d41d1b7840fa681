# SPDX-License-Identifier: GPL-2.0-or-later
"""What a loader gives at once, and what it has to be asked for."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from media import codecs
from media.engine.sources import StoredAudio
from media.io.loader import FileLoader
from tests.support import tones
from tests.support.server import wait_until

PCMU, PCMA = codecs.ALL[0], codecs.ALL[1]


class Desk:
    """A loader, and its answers."""

    def __init__(self) -> None:
        self.woken = threading.Event()
        self.loader = FileLoader(self.woken.set)
        self.answers: list[tuple[StoredAudio | None, str]] = []

    def load(self, path: Path) -> tuple[StoredAudio | None, str]:
        """The answer, which the loader's thread finds."""
        self.woken.clear()
        self.loader.load_nowait(str(path), PCMU, lambda audio, error: self.answers.append((audio, error)))
        if not self.answers:
            assert self.woken.wait(30)
            self.loader.run_results()
        return self.answers.pop()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_file_is_known_once_it_was_read_and_in_that_codec_only(desk: Desk, tmp_path: Path) -> None:
    path = tones.write_wav(tmp_path / "x.wav", tones.sequence([500], 100))
    assert desk.loader.known(str(path), PCMU) is None
    audio, error = desk.load(path)
    assert audio is not None and not error
    assert desk.loader.known(str(path), PCMU) is audio
    assert desk.loader.known(str(path), PCMA) is None


def test_a_file_that_has_been_written_is_not_known_until_it_was_looked_at_again(desk: Desk, tmp_path: Path) -> None:
    path = tones.write_wav(tmp_path / "x.wav", tones.sequence([500], 100))
    before, _ = desk.load(path)
    tones.write_wav(path, tones.sequence([700], 300))
    desk.loader.changed(str(path))
    assert desk.loader.known(str(path), PCMU) is None
    after, _ = desk.load(path)
    assert before is not None and after is not None
    assert (before.length_ms, after.length_ms) == (100, 300)
    assert desk.loader.known(str(path), PCMU) is after


def test_a_fault_in_what_one_file_was_read_for_leaves_the_others_theirs(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tones.write_wav(tmp_path / "x.wav", tones.sequence([500], 100))

    def broken(_audio: StoredAudio | None, _error: str) -> None:
        raise IndexError("a fault")

    desk.loader.load_nowait(str(path), PCMA, broken)
    desk.loader.load_nowait(str(path), PCMU, lambda audio, error: desk.answers.append((audio, error)))
    wait_until(lambda: desk.loader.run_results() or desk.answers, "the second file is read")
    wait_until(lambda: desk.loader.run_results() or "a fault" in caplog.text, "the fault is told")
    assert desk.answers[0][0] is not None
