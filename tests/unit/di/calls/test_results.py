# SPDX-License-Identifier: GPL-2.0-or-later
"""One word for what became of a call out."""

from __future__ import annotations

import pytest

from di.calls.results import result_of
from di.sip.records import CallEnded


@pytest.mark.parametrize(
    ("code", "by", "heard", "result"),
    [
        (486, "remote", False, "busy"),
        (600, "remote", True, "busy"),
        (480, "remote", True, "no_answer"),
        (408, "remote", True, "no_answer"),
        (408, "local", True, "no_answer"),
        (408, "local", False, "unreachable"),
        (408, "timeout", True, "no_answer"),
        (408, "timeout", False, "unreachable"),
        (302, "remote", False, "redirected"),
        (403, "remote", False, "rejected"),
        (603, "remote", True, "rejected"),
        (488, "remote", False, "rejected"),
        (407, "remote", False, "rejected"),
        (404, "remote", False, "unreachable"),
        (503, "remote", False, "unreachable"),
        (604, "remote", False, "unreachable"),
        (500, "error", False, "unreachable"),
        (487, "local", True, "cancelled"),
        (480, "local", False, "cancelled"),
    ],
)
def test_results(code: int, by: str, heard: bool, result: str) -> None:
    assert result_of(CallEnded(2, code, "", by), heard) == result
