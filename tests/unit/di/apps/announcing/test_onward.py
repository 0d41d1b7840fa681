# SPDX-License-Identifier: GPL-2.0-or-later
"""What of an INVITE goes on to its destination, and an INVITE that comes back."""

from __future__ import annotations

import pytest

from di.apps.announcing.onward import OnwardRule, passed_on
from di.apps.api import CallInfo, Refused


def test_what_is_the_callers_goes_on_and_what_was_for_us_stays() -> None:
    headers = (
        ("Via", "SIP/2.0/UDP x"), ("P-App-Name", "ann_b2b"), ("P-App-Param", "usr=x"), ("P-Asserted-Identity", "<sip:a@b>"),
        ("Subject", "hello"), ("P-Final-Reply-Code", "404"), ("P-B2B", "yes"), ("Contact", "<sip:x>"), ("Diversion", "<sip:c@d>"),
    )  # fmt: skip
    assert passed_on(headers) == ("P-Asserted-Identity: <sip:a@b>", "Subject: hello", "Diversion: <sip:c@d>")


LOOP = CallInfo("in", "sip:a@x", headers=(("x-announced", "sip:a@x"),))
STRANGER = CallInfo("in", "sip:00900@x", source_ip="203.0.113.7", trusted=False)


def test_what_comes_back_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    rule = OnwardRule("ann_b2b", lambda: 0)
    rule.check(CallInfo("in", "sip:b@x", headers=(("X-Announced", "sip:a@x"),)), "call-1")
    with pytest.raises(Refused, match="482"):
        rule.check(LOOP, "call-1")
    assert "call call-1: ann_b2b: sip:a@x is where we sent it on to" in caplog.text and "next_hop in ann_b2b.conf" in caplog.text


def test_a_stranger_has_nobody_dialled(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Refused, match="403"):
        OnwardRule("ann_b2b", lambda: 0).check(STRANGER, "call-1")
    assert (
        "call call-1: ann_b2b: 203.0.113.7 wants to be connected with sip:00900@x" in caplog.text
        and "trusted_peers" in caplog.text
    )


def test_however_many_are_refused_the_log_has_ten_of_a_kind_a_second(caplog: pytest.LogCaptureFixture) -> None:
    now_ns = [0]
    rule = OnwardRule("ann_b2b", lambda: now_ns[0])

    def refuse(info: CallInfo, code: str, times: int) -> list[str]:
        caplog.clear()
        for number in range(times):
            with pytest.raises(Refused, match=code):
                rule.check(info, f"call-{number}")
        return [record.getMessage() for record in caplog.records]

    assert len(refuse(STRANGER, "403", 500)) == 10
    assert len(refuse(LOOP, "482", 500)) == 10, "strangers do not hide a loop"
    now_ns[0] += 1_000_000_000
    (line,) = refuse(STRANGER, "403", 1)
    assert line.startswith("call call-0: ") and line.endswith("(and 490 such lines before it were left out)")
