# SPDX-License-Identifier: GPL-2.0-or-later
"""A key press that comes in several ways, and keys in the body of an INFO."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.calls.digits import INFO_TYPES, WINDOW_NS, DigitMerger, parse_dtmf_relay, parse_info


def test_a_press_counts_once_whichever_way_it_comes() -> None:
    merger = DigitMerger()
    assert merger.accept(5, "rtp", 0)
    assert not merger.accept(5, "info", 50_000_000)
    assert not merger.accept(5, "inband", 100_000_000)
    assert merger.accept(5, "rtp", 150_000_000)  # the same way again: pressed again
    assert merger.accept(6, "rtp", 160_000_000)
    assert merger.accept(6, "info", 160_000_000 + WINDOW_NS + 1)


def test_a_late_report_of_a_press_finds_it_behind_the_next_one() -> None:
    merger = DigitMerger()
    assert merger.accept(5, "info", 0)
    assert merger.accept(6, "info", 200_000_000)
    assert not merger.accept(5, "rtp", 220_000_000, 100)
    assert merger.accept(5, "info", 400_000_000)
    assert not merger.accept(6, "rtp", 420_000_000, 100)
    assert not merger.accept(5, "rtp", 700_000_000, 100)
    assert merger.accept(5, "rtp", 900_000_000, 100)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b"Signal=5\r\nDuration=160\r\n", (5, 160)),
        (b"Signal= #\nDuration=5000", (11, 1000)),
        (b"signal=*", (10, 250)),
        (b"Signal=d\r\nDuration=x", (15, 250)),
        (b"Signal=11\r\n", (11, 250)),
        (b"Signal=16", None),
        (b"", None),
        (b"\xff\xfe=", None),
    ],
)
def test_dtmf_relay(body: bytes, key: tuple[int, int] | None) -> None:
    assert parse_dtmf_relay(body) == key


@pytest.mark.parametrize(
    ("body", "key"),
    [(b"5", (5, 250)), (b" *\r\n", (10, 250)), (b"11", (11, 250)), (b"d", (15, 250)), (b"Signal=7\r\nDuration=90", (7, 90)),
     (b"16", None), (b"", None), (b"12#", None), (b"\xff", None)],
)  # fmt: skip
def test_a_key_alone_as_application_dtmf(body: bytes, key: tuple[int, int] | None) -> None:
    assert parse_info("application/dtmf", body) == key


@given(st.binary(max_size=60), st.sampled_from(INFO_TYPES))
def test_any_body_is_a_key_or_none(body: bytes, content_type: str) -> None:
    key = parse_info(content_type, body)
    assert key is None or (0 <= key[0] <= 15 and 0 <= key[1] <= 1000)
