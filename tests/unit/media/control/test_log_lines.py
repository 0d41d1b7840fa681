# SPDX-License-Identifier: GPL-2.0-or-later
"""Log lines: text with time, JSON, the journal's priorities; no message can forge a line, and the call's id stands where it can be found."""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path

import pytest

from media.control import log_lines
from media.control.log_lines import Layout, current_call


def record(message: str, level: int = logging.WARNING, *, failed: bool = False) -> logging.LogRecord:
    trouble = None
    if failed:
        try:
            raise ValueError("broken")
        except ValueError:
            trouble = sys.exc_info()
    return logging.LogRecord("di.calls", level, "/somewhere/flow.py", 64, message, (), trouble)


def test_text_has_time_process_place_and_level() -> None:
    line = Layout("sip").format(record("call 1A2B-3: no RTP"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} sip \[\d+/flow\.py:64\] WARNING: call 1A2B-3: no RTP", line)


def test_the_call_whose_event_is_handled_is_named_once() -> None:
    token = current_call.set("1A2B")
    try:
        assert Layout().format(record("of a library")).endswith("WARNING: call 1A2B: of a library")
        assert Layout().format(record("call 1A2B: ours")).endswith("WARNING: call 1A2B: ours")
        assert Layout().format(record("call 9F: of another")).endswith("WARNING: call 9F: of another")
        assert Layout().format(record("/rec/1A2B.wav is full")).endswith("WARNING: call 1A2B: /rec/1A2B.wav is full")
    finally:
        current_call.reset(token)


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize(
    "character",
    ["\n", "\r", "\0", "\x1b", "\x7f", "\x85", "\x9b", "\u202e", "\u2066", "\u200f", "\u2028", "\u200b", "\ufeff", "\U000e0041"],
)
def test_nothing_from_outside_steers_a_terminal_or_turns_a_line_round(style: str, character: str) -> None:
    line = Layout("hub", style).format(record(f"From a{character}b\tc", failed=True))
    assert character not in line.replace("\n", "") and "a.b" in line
    assert Layout("hub", style).format(record("ä€😀 שלום")).count("ä€😀 שלום") == 1, "letters of any script stay"
    try:
        raise ValueError(f"x{character}y")
    except ValueError:
        told = logging.LogRecord("x", logging.ERROR, "f.py", 1, "m", (), sys.exc_info())
    assert character in ("\n",) or character not in Layout("hub", style).format(told)


def test_json() -> None:
    fields = json.loads(Layout("media", "json").format(record('call 1A: said "no"\nWARNING: forged', logging.ERROR, failed=True)))
    assert (fields["level"], fields["process"], fields["call"], fields["source"]) == ("error", "media", "1A", "flow.py:64")
    assert fields["message"] == 'said "no".WARNING: forged'
    assert fields["traceback"].endswith("ValueError: broken")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", fields["time"])
    assert "call" not in json.loads(Layout("hub", "json").format(record("up")))


@pytest.mark.parametrize(("level", "priority"), [(logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7)])
def test_the_journal_has_its_own_time_and_gets_a_priority_a_line(level: int, priority: int) -> None:
    lines = Layout("hub", journal=True).format(record("lost", level, failed=True)).splitlines()
    assert lines[0].startswith(f"<{priority}>hub [") and len(lines) > 2
    assert all(line.startswith(f"<{priority}>") for line in lines)


def test_which_stream_is_the_journal(tmp_path: Path) -> None:
    with open(tmp_path / "stream", "w") as stream:
        status = (tmp_path / "stream").stat()
        assert log_lines.is_journal(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        assert not log_lines.is_journal(stream, {"JOURNAL_STREAM": f"{status.st_dev}:1"})
        assert not log_lines.is_journal(stream, {})
