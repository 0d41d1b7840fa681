# SPDX-License-Identifier: GPL-2.0-or-later
"""What of an INVITE goes on to its destination, and an INVITE that comes back."""

from __future__ import annotations

import pytest

from di.apps.announcing.onward import check_onward, passed_on
from di.apps.api import CallInfo, Refused


def test_what_is_the_callers_goes_on_and_what_was_for_us_stays() -> None:
    headers = (
        ("Via", "SIP/2.0/UDP x"), ("P-App-Name", "ann_b2b"), ("P-App-Param", "usr=x"), ("P-Asserted-Identity", "<sip:a@b>"),
        ("Subject", "hello"), ("P-Final-Reply-Code", "404"), ("P-B2B", "yes"), ("Contact", "<sip:x>"), ("Diversion", "<sip:c@d>"),
    )  # fmt: skip
    assert passed_on(headers) == ("P-Asserted-Identity: <sip:a@b>", "Subject: hello", "Diversion: <sip:c@d>")


def test_what_comes_back_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    check_onward(CallInfo("in", "sip:b@x", headers=(("X-Announced", "sip:a@x"),)), "call-1", "ann_b2b")
    with pytest.raises(Refused, match="482"):
        check_onward(CallInfo("in", "sip:a@x", headers=(("x-announced", "sip:a@x"),)), "call-1", "ann_b2b")
    assert "call call-1: ann_b2b: sip:a@x is where we sent it on to" in caplog.text and "next_hop in ann_b2b.conf" in caplog.text


def test_a_stranger_has_nobody_dialled(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Refused, match="403"):
        check_onward(CallInfo("in", "sip:00900@x", source_ip="203.0.113.7", trusted=False), "call-1", "ann_b2b")
    assert (
        "call call-1: ann_b2b: 203.0.113.7 wants to be connected with sip:00900@x" in caplog.text
        and "trusted_peers" in caplog.text
    )
