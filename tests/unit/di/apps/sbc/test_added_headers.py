# SPDX-License-Identifier: GPL-2.0-or-later
"""Header lines that a profile adds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.apps.api import header_problem
from di.apps.sbc.added_headers import added


def test_empty_values_are_dropped_and_what_cannot_be_sent_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert added("X-A: 1\r\nX-Empty:  \r\n\r\nX-B:2\r\nVia: mine\r\nno header") == ("X-A: 1", "X-B:2")
    assert "Via" in caplog.text and "no header" not in caplog.text, "a line without a value is nothing at all"
    assert added("") == ()


@given(st.text(max_size=80))
def test_no_text_makes_a_line_that_breaks_a_message(text: str) -> None:
    assert all(not header_problem(line) and line.partition(":")[2].strip() for line in added(text))
