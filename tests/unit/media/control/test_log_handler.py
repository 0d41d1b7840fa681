# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from media.control import log_handler
from media.control.log_handler import KEPT_BYTES, PatientHandler

LINE = "x" * 999


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def say(handler: PatientHandler, text: str, times: int = 1) -> float:
    """Log so often; returns the longest time that one line took, in seconds."""
    slowest = 0.0
    for _ in range(times):
        begun = time.monotonic()
        handler.handle(logging.LogRecord("test", logging.INFO, "f.py", 1, text, (), None))
        slowest = max(slowest, time.monotonic() - begun)
    return slowest


class Reader:
    """Reads an end of a pipe to its end, in a thread."""

    def __init__(self, end: int) -> None:
        self.text = b""
        self._end = end
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while piece := os.read(self._end, 1 << 16):
            self.text += piece

    def until(self, wanted: bytes, seconds: float = 40.0) -> bytes:
        end = time.monotonic() + seconds
        while wanted not in self.text:
            assert time.monotonic() < end, self.text[-300:]
            time.sleep(0.01)
        return self.text


def test_a_line_is_there_at_once_and_without_a_thread(pipe: tuple[int, int]) -> None:
    handler = PatientHandler(pipe[1])
    say(handler, "hello")
    assert os.read(pipe[0], 100) == b"hello\n"
    assert handler._thread is None


DROPPED = re.compile("([0-9]+) log lines were dropped, because nobody read them in time")


@pytest.mark.parametrize("own_description", [True, False], ids=["pipe", "pipe of another user"])
def test_a_pipe_that_nobody_reads_holds_nobody_up_and_the_loss_is_counted(
    pipe: tuple[int, int], own_description: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not own_description:
        monkeypatch.setattr(log_handler, "_unblocked", lambda descriptor: None)
    handler = PatientHandler(pipe[1])
    assert say(handler, LINE, 5000) < 30, "5 MB into a pipe of 64 KiB"
    assert os.get_blocking(pipe[1]), "whoever shares the pipe keeps his flags"
    lost = handler.dropped
    assert 3500 < lost < 5000
    reader = Reader(pipe[0])
    while handler._kept:
        time.sleep(0.01)
    say(handler, "the end")
    text = reader.until(b"the end\n")
    lines = text.decode().split("\n")[:-1]
    told = [DROPPED.fullmatch(line) for line in lines[:-1]]
    assert sum(int(found[1]) for found in told if found) == lost, "once, or wherever a piece of the pipe came free meanwhile"
    kept = [line for line, found in zip(lines[:-1], told, strict=True) if found is None]
    assert kept == [LINE] * (5000 - lost), "what is kept comes whole and in order"


def test_a_slow_reader_gets_every_line(pipe: tuple[int, int]) -> None:
    handler = PatientHandler(pipe[1])
    say(handler, LINE, KEPT_BYTES // 1000)
    assert not handler.dropped
    reader = Reader(pipe[0])
    handler.flush()
    end = time.monotonic() + 40
    while reader.text.count(b"\n") < KEPT_BYTES // 1000:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_end_of_the_process_waits_a_second_at_most(pipe: tuple[int, int]) -> None:
    handler = PatientHandler(pipe[1])
    say(handler, LINE, 500)
    begun = time.monotonic()
    handler.flush()
    assert 0.5 < time.monotonic() - begun < 30


def test_a_reader_that_is_gone_is_a_count(pipe: tuple[int, int]) -> None:
    handler = PatientHandler(pipe[1])
    os.close(pipe[0])
    assert say(handler, "nobody", 3) < 30
    assert handler.dropped >= 3
    assert handler._thread is None, "nothing goes round in circles"


def test_a_socket_that_nobody_reads_as_of_a_service_manager() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        handler = PatientHandler(ours.fileno())
        assert say(handler, LINE, 5000) < 30
        assert handler.dropped
        assert theirs.recv(4, socket.MSG_WAITALL) == b"xxxx"


def test_a_file_is_written_where_the_others_write(tmp_path: Path) -> None:
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    handler = PatientHandler(descriptor)
    say(handler, "one")
    os.write(descriptor, b"child\n")
    say(handler, "two")
    os.close(descriptor)
    assert path.read_text() == "one\nchild\ntwo\n"


def test_a_line_that_cannot_be_made_is_said(pipe: tuple[int, int]) -> None:
    handler = PatientHandler(pipe[1])
    handler.handle(logging.LogRecord("test", logging.INFO, "f.py", 1, "%d", ("no number",), None))
    assert os.read(pipe[0], 200) == b"WARNING: a log line of test cannot be made: TypeError\n"
