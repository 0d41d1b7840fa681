# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said and given back every ten seconds."""

from __future__ import annotations

import pytest

from interfaces.sip.housekeeping import Housekeeping, resident_bytes

MB = 1 << 20


def test_memory_is_given_back_after_a_peak(caplog: pytest.LogCaptureFixture) -> None:
    resident = [100 * MB]
    given: list[int] = []
    keeping = Housekeeping(lambda: resident[0])

    def give_back() -> None:
        given.append(resident[0])
        resident[0] = 110 * MB if len(given) == 2 else resident[0]  # at first its calls still live

    for second in range(50):
        resident[0] = 600 * MB if second == 15 else resident[0]
        keeping.second_passed(7 if second < 30 else 0, give_back)
    assert given == [600 * MB] * 2
    assert [record.getMessage() for record in caplog.records] == [
        "70 requests in 10 s were too many of their source address: refused or dropped"
    ] * 3


def test_this_process_has_some_memory() -> None:
    assert 5 * MB < resident_bytes() < 10_000 * MB


def test_who_is_kept_out_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    keeping = Housekeeping(lambda: 100 * MB)
    for second in range(20):
        keeping.second_passed(0, lambda: None, 3 if second < 10 else 0)
    assert [record.getMessage() for record in caplog.records] == [
        "30 requests or connections in 10 s came from addresses that sip_acl_allow or sip_acl_deny keeps out"
    ]
