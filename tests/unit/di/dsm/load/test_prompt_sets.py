# SPDX-License-Identifier: GPL-2.0-or-later
"""Prompt lists: what counts, and what is left out is said."""

from __future__ import annotations

import pytest

from di.dsm.load.prompt_sets import parse_prompts


def test_later_lines_win_and_nothing_is_trimmed(caplog: pytest.LogCaptureFixture) -> None:
    assert parse_prompts("# a list\n\nhi=/a.wav\nbye= /b.wav\nhi=/c.wav\n") == {"hi": "/c.wav", "bye": " /b.wav"}
    assert not caplog.records


@pytest.mark.parametrize("line", ["hi /a.wav", "hi=", "=/a.wav", "hi=/a=b.wav"])
def test_a_line_that_is_none_is_named(line: str, caplog: pytest.LogCaptureFixture) -> None:
    assert parse_prompts(f"ok=/ok.wav\n{line}\n") == {"ok": "/ok.wav"}
    (record,) = caplog.records
    assert f"line 2: {line!r} is ignored; right is name=path" in record.getMessage()
