# SPDX-License-Identifier: GPL-2.0-or-later
"""What CGRateS is told, and what its answers mean: limits in nanoseconds or seconds, none, nonsense; errors that say no, and others."""

from __future__ import annotations

import hashlib
import math

import pytest

from di.calls.control_modules import ControlUnreachable
from di.kernel.errors import Refused
from di.modules.cc_cgrates.events import (
    CallFacts,
    argument,
    base_event,
    cgrid,
    grant,
    max_usage_s,
    read_error,
    time_text,
    usage_text,
)
from di.modules.cc_cgrates.options import Options
from di.modules.cc_cgrates.wire import Json

FACTS = CallFacts("call-1", "sip:a@h", "+4930", 1_700_000_000.5, "c@h", "192.0.2.1")


@pytest.mark.parametrize(
    ("usage", "seconds"),
    [
        (60_000_000_000, 60.0),
        (1, 1e-9),
        (0, 0.0),
        (90.5, 90.5),
        (0.0, 0.0),
        (None, None),
        (-1, None),
        (-1.0, None),
        (86_400 * 365 * 10**9, 31_536_000.0),
    ],
)
def test_how_long_a_call_may_last(usage: Json, seconds: float | None) -> None:
    assert max_usage_s({"MaxUsage": usage}) == seconds


def test_an_answer_without_a_limit_has_none() -> None:
    assert max_usage_s({}) is None


@pytest.mark.parametrize("usage", [True, "60s", [60], {}, -2, -0.5, math.nan, math.inf, 10**30, 1e12])
def test_what_is_no_limit_is_trouble(usage: Json) -> None:
    with pytest.raises(ControlUnreachable, match="MaxUsage"):
        max_usage_s({"MaxUsage": usage})


@pytest.mark.parametrize("answer", [None, "OK", [], 60, True])
def test_what_is_no_answer_is_trouble(answer: Json) -> None:
    with pytest.raises(ControlUnreachable, match="no object with MaxUsage"):
        max_usage_s(answer)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("RALS_ERROR:INSUFFICIENT_CREDIT", 402), ("MAX_USAGE_EXCEEDED", 402), ("RALS_ERROR:ACCOUNT_NOT_FOUND", 403),
        ("ACCOUNT_DISABLED", 403), ("UNAUTHORIZED_DESTINATION", 403), ("RESOURCES_ERROR:RESOURCE_UNAVAILABLE", 503),
    ],
)  # fmt: skip
def test_errors_that_say_no(text: str, code: int) -> None:
    meant = read_error(text)
    assert isinstance(meant, Refused) and meant.code == code


def test_every_other_error_is_trouble_in_one_line_of_bounded_length() -> None:
    meant = read_error("SERVER_ERROR: no\r\nconnection\x1b" + "x" * 1000)
    assert isinstance(meant, ControlUnreachable) and "no??connection?x" in str(meant) and len(str(meant)) < 300


def test_what_a_calls_events_say() -> None:
    options = Options()
    event = base_event(FACTS, {"uuid": "acme", "tenant": "t", "Region": "eu", "empty": "", "OriginID": "forged"}, options, "here")
    assert event["OriginID"] == "call-1", "no value of a configuration takes the place of a fact"
    assert event["Region"] == "eu" and "empty" not in event and "tenant" not in event and "uuid" not in event
    assert (event["Tenant"], event["Account"], event["Subject"], event["Destination"]) == ("t", "acme", "acme", "+4930")
    own = base_event(
        FACTS,
        {"uuid": "acme", "subject": "s", "destination": "+1", "category": "c", "request_type": "*postpaid"},
        options,
        "here",
    )
    assert [own[name] for name in ("Subject", "Destination", "Category", "RequestType")] == ["s", "+1", "c", "*postpaid"]


def test_a_steps_argument_has_its_name_its_flags_and_its_own_event() -> None:
    event = base_event(FACTS, {"uuid": "acme"}, Options(), "here")
    made = argument(event, "init", Options(), ("InitSession",), Usage="60.000s")
    assert made["ID"] == "call-1/init" and made["InitSession"] is True and made["Tenant"] == event["Tenant"]
    assert isinstance(made["Event"], dict) and made["Event"]["Usage"] == "60.000s" and "Usage" not in event


def test_times_and_durations_as_they_are_read_there() -> None:
    assert time_text(1_700_000_000.5) == "2023-11-14T22:13:20.500Z" and time_text(0) == "1970-01-01T00:00:00.000Z"
    assert usage_text(59.9994) == "59.999s" and usage_text(0) == "0.000s"
    assert cgrid("call-1", "here") == hashlib.sha1(b"call-1here").hexdigest()


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_nothing_is_a_refusal(seconds: float) -> None:
    with pytest.raises(Refused, match="402"):
        grant(seconds, base_event(FACTS, {"uuid": "acme"}, Options(), "here"), Options())


def test_a_slice_is_renewed_before_it_ends_and_what_has_no_end_is_not() -> None:
    event = base_event(FACTS, {"uuid": "acme"}, Options(), "here")
    options = Options(slice=30)
    short, long, endless = (grant(seconds, event, options) for seconds in (1.0, 30.0, None))
    assert 0 < short.ask_before_s <= 0.5 and 1.0 <= long.ask_before_s <= 15.0 and not short.final and not long.final
    assert endless.seconds is None and endless.ask_before_s == 0 and endless.final
    assert long.account == "acme" and long.charge_id == cgrid("call-1", "here")
