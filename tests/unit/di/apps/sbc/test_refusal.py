# SPDX-License-Identifier: GPL-2.0-or-later
"""`code reason`, as profiles write replies."""

from __future__ import annotations

import pytest

from di.apps.sbc.refusal import parse_refusal, parse_reply


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [("404 Not Found", 404, "Not Found"), (" 486", 486, "Refused"), ("403 Not $you", 403, "Not $you"), ("603  a b ", 603, "a b")],
)
def test_a_filled_in_text_refuses_whatever_stands_in_its_reason(text: str, code: int, reason: str) -> None:
    refused = parse_refusal(text, ValueError)
    assert refused is not None and (refused.code, refused.reason) == (code, reason)


def test_nothing_refuses_nobody() -> None:
    assert parse_refusal(" ", ValueError) is None


@pytest.mark.parametrize("text", ["200 OK", "099 x", "700 x", "40 x", "$x", "4o4 x"])
def test_what_refuses_nothing_is_wrong(text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be used|refuses nothing"):
        parse_refusal(text, ValueError)


def test_a_reply_keeps_an_empty_reason() -> None:
    assert parse_reply("180") == (180, "")
