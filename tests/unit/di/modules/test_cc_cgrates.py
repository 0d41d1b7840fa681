# SPDX-License-Identifier: GPL-2.0-or-later
"""CGRateS's wire, events and calls on us, by themselves: any bytes, any pieces, any answer."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.calls.control_modules import ControlUnreachable
from di.kernel.errors import Refused
from di.modules.cc_cgrates import events, wire
from di.modules.cc_cgrates.options import Options, parse_servers
from di.modules.cc_cgrates.served import serve

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FACTS = events.CallFacts("1A-2B/cgr", "anna", "4930", 1_764_000_000.25, "id1", "192.0.2.1")


# --------------------------------------------------------------------------------------------------------------------- the wire
@given(
    st.lists(st.dictionaries(st.text(), json_values, max_size=4), max_size=5),
    st.lists(st.integers(0, 400), max_size=8),
    st.sampled_from([None, 1]),
    st.sampled_from(["", "\n", " \r\n\t"]),
)
def test_messages_are_found_wherever_the_stream_is_cut(
    messages: list[dict[str, object]], cuts: list[int], indent: int | None, between: str
) -> None:
    data = between.join(json.dumps(message, indent=indent) for message in messages).encode()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    splitter = wire.Splitter()
    found = [text for low, high in itertools.pairwise(places) for text in splitter.feed(data[low:high])]
    assert [json.loads(text) for text in found] == messages


@given(st.lists(st.binary(max_size=30) | st.sampled_from([b'{"', b"\\", b'"}', b"{[", b"]}", b"{}", b'{"id":1}']), max_size=8))
def test_any_bytes_are_messages_or_a_wire_error(pieces: list[bytes]) -> None:
    splitter = wire.Splitter()
    try:
        for piece in pieces:
            for text in splitter.feed(piece):
                wire.read(text)
    except wire.WireError as error:
        assert str(error)


def test_a_message_without_an_end_is_given_up() -> None:
    splitter = wire.Splitter()
    with pytest.raises(wire.WireError, match="more than"):
        for _ in range(20):
            splitter.feed(b'{"a":"' + b"x" * 100_000)


def test_requests_answers_and_errors() -> None:
    assert json.loads(wire.request(3, "SessionSv1.Ping", {})) == {"method": "SessionSv1.Ping", "params": [{}], "id": 3}
    assert json.loads(wire.answer("x", "Pong")) == {"id": "x", "result": "Pong", "error": None}
    assert json.loads(wire.answer(1, None, "NOT_FOUND")) == {"id": 1, "result": None, "error": "NOT_FOUND"}
    assert wire.read(b'{"error":null,"result":{"MaxUsage":1},"id":3}') == wire.PeerAnswered(3, {"MaxUsage": 1}, "")
    assert wire.read(b'{"error":"NO","result":null,"id":3}') == wire.PeerAnswered(3, None, "NO")
    assert wire.read(b'{"error":"","result":null,"id":3}') == wire.PeerAnswered(3, None, "an error without a text")
    assert wire.read(b'{"id":0,"params":[1],"method":"A.B"}') == wire.PeerAsked("A.B", [1], 0)
    for wrong in (b"[1]", b"{", b'{"id":"x"}', b'{"method":5}', b'{"id":true,"result":1}', b'{"id":1,"result":"\xff"}'):
        with pytest.raises(wire.WireError):
            wire.read(wrong)


# -------------------------------------------------------------------------------------------------------------------- the events
def test_an_event_names_call_account_and_whatever_the_configuration_adds() -> None:
    values = {"uuid": "acme", "LCRProfile": "gold", "category": "", "Empty": ""}
    event = events.base_event(FACTS, values, Options(), "here")
    assert (event["Account"], event["Subject"], event["Destination"], event["Category"]) == ("acme", "acme", "4930", "call")
    assert event["LCRProfile"] == "gold" and "Empty" not in event and event["SetupTime"] == "2025-11-24T16:00:00.250Z"
    asked = events.argument(event, "initiate", Options(), ("InitSession",), Usage=events.usage_text(60))
    assert asked["ID"] == "1A-2B/cgr/initiate" and asked["InitSession"] is True and asked["APIOpts"] == {}
    assert isinstance(asked["Event"], dict) and asked["Event"]["Usage"] == "60.000s" and "Usage" not in event
    by_itself = events.argument(event, "initiate", Options(slice=0, debit_interval=5))
    assert by_itself["APIOpts"] == {"*sessionsDebitInterval": "5s"}


def test_the_name_of_a_session_is_cgratess_own() -> None:
    """SHA-1 of the two texts, one behind the other, as `echo -n aabb | sha1sum` says."""
    assert events.cgrid("aa", "bb") == "28cc5fd736aee0939ede3330c2867b31e82d9656"


@pytest.mark.parametrize(
    ("result", "seconds"),
    [
        ({"MaxUsage": 10_000_000_000}, 10.0),
        ({"MaxUsage": 7.5}, 7.5),
        ({"MaxUsage": -1}, None),
        ({}, None),
        ({"MaxUsage": 0}, 0.0),
    ],
)
def test_usage_is_in_nanoseconds_or_in_seconds(result: wire.Json, seconds: float | None) -> None:
    assert events.max_usage_s(result) == seconds


@given(json_values | st.fixed_dictionaries({"MaxUsage": json_values}))
def test_any_answer_is_a_time_or_none(result: wire.Json) -> None:
    try:
        seconds = events.max_usage_s(result)
    except ControlUnreachable as error:
        assert "\n" not in str(error)
    else:
        assert seconds is None or 0 <= seconds < 1e8


@pytest.mark.parametrize(
    ("text", "code"),
    [("INSUFFICIENT_CREDIT", 402), ("RALS_ERROR:ACCOUNT_NOT_FOUND", 403), ("RALS_ERROR:UNAUTHORIZED_DESTINATION", 403),
     ("RESOURCE_UNAVAILABLE", 503)],
)  # fmt: skip
def test_errors_that_say_no(text: str, code: int) -> None:
    error = events.read_error(text)
    assert isinstance(error, Refused) and error.code == code


@given(st.text())
def test_any_other_error_is_trouble(text: str) -> None:
    error = events.read_error("x" + text.lower())
    assert isinstance(error, ControlUnreachable) and "\n" not in str(error) and "\r" not in str(error)


def test_slices_are_asked_for_beforehand_and_a_debiting_cgrates_is_not() -> None:
    event = events.base_event(FACTS, {"uuid": "acme"}, Options(), "here")
    sliced = events.grant(60.0, event, Options(warn=20, warn_file="/w.wav"))
    assert (sliced.seconds, sliced.ask_before_s, sliced.final, sliced.warn_s, sliced.account) == (60.0, 20.0, False, 20, "acme")
    assert events.grant(1.0, event, Options()).ask_before_s == 0.5
    assert events.grant(60.0, event, Options(slice=0)).final and events.grant(None, event, Options()).seconds is None
    with pytest.raises(Refused):
        events.grant(0.0, event, Options())


def test_servers_are_a_list() -> None:
    assert parse_servers("a:1, [::1]:2014") == (("a", 1), ("::1", 2014))
    for wrong in ("", "a", "a:0", "a:99999", ":1", "a:1,,b:2"):
        with pytest.raises(ValueError):
            parse_servers(wrong)


# ------------------------------------------------------------------------------------------------------------------ its calls on us
class Sessions:
    """One session, `s1`; keeps what was done."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def disconnect(self, origin_id: str, why: str) -> bool:
        self.done.append(f"end {origin_id} {why}")
        return origin_id == "s1"

    def warn(self, origin_id: str) -> bool | None:
        return None if origin_id == "mute" else origin_id == "s1"

    def ask_again(self, origin_id: str) -> bool:
        return origin_id == "s1"

    def active(self) -> Iterable[tuple[str, str]]:
        return [("here", "s1")]


def test_what_cgrates_calls_on_us() -> None:
    sessions = Sessions()
    modern: wire.Json = {"Event": {"OriginID": "s1", "DisconnectCause": "low"}}
    assert serve(wire.PeerAsked("AgentV1.DisconnectSession", [modern], 1), sessions) == ("OK", "")
    old: wire.Json = {"EventStart": {"OriginID": "s1"}, "Reason": "gone"}
    assert serve(wire.PeerAsked("SMGClientV1.DisconnectSession", [old], 1), sessions) == ("OK", "")
    assert sessions.done == ["end s1 low", "end s1 gone"]
    assert serve(wire.PeerAsked("AgentV1.WarnDisconnect", [{"OriginID": "s1"}], 1), sessions) == ("OK", "")
    assert serve(wire.PeerAsked("AgentV1.WarnDisconnect", [{"OriginID": "mute"}], 1), sessions) == (None, "NOT_IMPLEMENTED")
    assert serve(wire.PeerAsked("AgentV1.AlterSession", [{"Event": {"OriginID": "s2"}}], 1), sessions) == (None, "NOT_FOUND")
    assert serve(wire.PeerAsked("AgentV1.GetActiveSessionIDs", [""], 1), sessions)[0] == [
        {"OriginHost": "here", "OriginID": "s1"}
    ]
    assert serve(wire.PeerAsked("AgentV1.DisconnectPeer", [{}], 1), sessions) == (None, "NOT_IMPLEMENTED")


@given(st.sampled_from(["DisconnectSession", "WarnDisconnect", "AlterSession", "GetActiveSessionIDs", "x"]), json_values)
def test_any_call_on_us_is_answered(verb: str, params: wire.Json) -> None:
    result, error = serve(wire.PeerAsked(f"AgentV1.{verb}", params, 1), Sessions())
    assert (result is None) == bool(error)
