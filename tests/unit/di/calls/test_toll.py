# SPDX-License-Identifier: GPL-2.0-or-later
"""What the dial control lets pass, by the table of its rules; time is moved by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from di.calls.call_info import NOBODY, CallOut, Dialler
from di.calls.outside import OutsideRequest
from di.calls.toll import MINUTE_NS, Toll
from di.kernel.server_options import CallerLimit, CoreOptions, parse_caller_limit, parse_patterns

DESK = Dialler("core.dialout", "desk")


def toll(**options: Any) -> Toll:
    return Toll(replace(CoreOptions(), **options))


def place(control: Toll, by: Dialler = NOBODY, uri: str = "sip:7@gw.example", now_ns: int = 0) -> str:
    """Try one; its cause when it is refused."""
    cause, why = control.refusal(uri, by, now_ns)
    assert bool(cause) is bool(why)
    control.noted(CallOut("app", uri, "<sip:a@h>", f"<{uri}>", by=by), "id", cause, why, now_ns)
    if not cause:
        control.began(by.caller)
    return cause


def test_off_where_others_reach_the_server_until_it_has_a_limit() -> None:
    control = toll()
    assert place(control) == ""
    control.exposed.append("web at 192.0.2.1")
    assert place(control) == "off"
    assert "web at 192.0.2.1" in control.refusal("sip:7@h", DESK, 0)[1]
    control.take(replace(CoreOptions(), dialout_limit=2))
    assert [place(control), place(control)] == ["", "calls"]
    control.ended("")
    assert place(control) == ""
    assert control.refused == {"off": 1, "calls": 1} and control.placed == 3


def test_requests_outside_calls_have_the_same_rules_but_no_number_at_once() -> None:
    control = toll(dialout_limit=1, dialout_per_minute=2, dialout_deny=parse_patterns("^0900"))
    control.exposed.append("web at 192.0.2.1")

    def ask(user: str = "7", now_ns: int = 0) -> str:
        before = control.refused.copy()
        why = control.request(OutsideRequest("MESSAGE", f"sip:{user}@gw.example"), "sbc", now_ns)
        (cause,) = (control.refused - before) or [""]
        assert bool(cause) is bool(why)
        return cause

    assert [place(control), ask("0900"), ask(), ask(), ask(), ask(now_ns=MINUTE_NS)] == ["", "destination", "", "", "minute", ""]
    control.take(replace(CoreOptions(), dialout_limit=0))
    assert ask() == "off" and control.placed == 1


def test_so_many_a_minute() -> None:
    control = toll(dialout_per_minute=2)
    assert [place(control), place(control, now_ns=1), place(control, now_ns=2)] == ["", "", "minute"]
    assert place(control, now_ns=MINUTE_NS - 1) == "minute"
    assert place(control, now_ns=MINUTE_NS) == ""
    assert place(control, now_ns=MINUTE_NS) == "minute"


def test_each_caller_has_limits_of_his_own() -> None:
    control = toll(dialout_each_caller=CallerLimit(calls=1, per_minute=9), dialout_callers={"dialout_caller_desk": "0;1"})
    other = Dialler("core.dialout", "other")
    assert [place(control, DESK), place(control, DESK), place(control, other), place(control, other)] == [
        "",
        "minute",
        "",
        "calls",
    ]
    assert [place(control), place(control)] == ["", ""], "who is no caller of RPC has no such limits"
    control.ended("other")
    assert place(control, other) == ""
    assert place(control, DESK, now_ns=MINUTE_NS) == ""


@pytest.mark.parametrize(
    ("allow", "deny", "uri", "expected"),
    [
        ("", "", "sip:900@evil.example;maddr=192.0.2.1", ""),
        ("", r"^\+49900", "sip:%30%304990%3012@gw.example", "destination"),
        ("", r"^\+49900", "sip:004930@gw.example", ""),
        ("", r"^\+49900", "sip:%252B49900@gw.example", "destination"),
        (r"^\+49", r"^\+49900", "sip:+49900@gw.example", "destination"),
        (r"^\+49", "", "sip:+4930@gw.example", ""),
        (r"^\+49 @office\.example$", "", "sip:anna@OFFICE.example:5070", ""),
        (r"^\+49 @office\.example$", "", "sip:anna@office.example.evil.example", "destination"),
        ("", "^anna@", "sip:ANNA@office.example", "destination"),
        (r"^\+49", "", "tel:+49-30", ""),
    ],
)
def test_destinations(allow: str, deny: str, uri: str, expected: str) -> None:
    assert place(toll(dialout_allow=parse_patterns(allow), dialout_deny=parse_patterns(deny)), uri=uri) == expected


def test_a_caller_s_destinations_are_fewer_never_more() -> None:
    control = toll(dialout_deny=parse_patterns("^900"), dialout_callers={"dialout_caller_desk": "0;0;^9 ^3"})
    assert [place(control, DESK, f"sip:{number}@h") for number in ("91", "900", "31", "41")] == [
        "",
        "destination",
        "",
        "destination",
    ]
    assert place(control, uri="sip:41@h") == ""


@pytest.mark.parametrize("text", ["5", "a;b", "1;2;(", "-1;2", "1;2;["])
def test_a_bad_limit_says_what_is_right(text: str) -> None:
    with pytest.raises(ValueError, match=r"right is|expression"):
        parse_caller_limit(text)


def test_one_line_an_attempt_without_secrets_or_line_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    control = toll(dialout_deny=parse_patterns("^900"))
    place(control, Dialler("pair", "desk", "1A"), "sip:31:geheim@h")
    place(control, Dialler("dsm"), "sip:900\r\nX: y@h")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2 and "geheim" not in lines[0] and "\n" not in lines[1]
    assert lines[0].startswith("audit dialout way=pair caller=desk of=1A app=app ") and "decision=placed call=id" in lines[0]
    assert "decision=refused cause=destination" in lines[1]


def test_what_comes_from_outside_adds_no_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    by = Dialler("dsm", "desk", "id\r\nforged of=1")
    toll().noted(CallOut("app\nforged", "sip:7@h", "<sip:a@h>", "<sip:7@h>", by=by), "my id", "", "", 0)
    (line,) = [record.getMessage() for record in caplog.records]
    assert "\n" not in line and "of=id??forged?of=1 app=app?forged " in line and line.endswith("call=my?id")


def test_counts_of_many_callers_stay_few() -> None:
    control = toll(dialout_each_caller=CallerLimit(0, 5))
    for number in range(10_050):
        place(control, Dialler("x", f"caller{number}"), now_ns=number)
        control.ended(f"caller{number}")
    assert len(control._minutes) == 10_000 and not control.active
