# SPDX-License-Identifier: GPL-2.0-or-later
"""What controls change of a call's profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.apps.api import CallChanges, NameFilter
from di.apps.sbc.changes import changed
from di.apps.sbc.profile import parse_profile


def test_all_that_a_control_can_change() -> None:
    profile = parse_profile('append_headers="X: 1"\n', Path("p"))
    new = changed(
        profile,
        CallChanges(
            request_uri="sip:a@b", from_header="<sip:c@d>", to_header="<sip:e@f>", call_id="g", outbound_proxy="sip:h", next_hop="i",
            session_timer=True, rtprelay=False, header_filter=NameFilter("whitelist", ("x",)),
            message_filter=NameFilter("blacklist", ("info",)), append_headers=("Y: 2", "Z: 3"),
        ),
    )  # fmt: skip
    assert (new.ruri, new.from_, new.to, new.call_id, new.outbound_proxy, new.next_hop) == (
        "sip:a@b",
        "<sip:c@d>",
        "<sip:e@f>",
        "g",
        "sip:h",
        "i",
    )
    assert (new.enable_session_timer, new.enable_rtprelay) == ("yes", "no")
    assert (new.header_filter, new.header_list, new.message_filter, new.message_list) == (
        "whitelist",
        ("x",),
        "blacklist",
        ("info",),
    )
    assert new.append_headers == "X: 1\r\nY: 2\r\nZ: 3"
    assert changed(profile, CallChanges()) == profile


def test_what_cannot_be_had_is_left_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    profile = parse_profile("", Path("p"))
    new = changed(profile, CallChanges(aleg_session_timer=True, request_uri="sip:a@b"))
    assert (new.enable_aleg_session_timer, new.ruri) == ("", "sip:a@b")
    assert "before a control is asked" in caplog.text
