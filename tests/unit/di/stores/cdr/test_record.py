# SPDX-License-Identifier: GPL-2.0-or-later
"""Call records: to JSON and back, the schema that says what they are, durations, causes, and SEMS's CSV lines."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import uuid
from random import Random

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.stores.cdr import record as cdr
from di.stores.cdr.record import CallRecord, RtpFigures
from di.stores.cdr.schema import schema
from di.stores.cdr.sinks.lines import check, csv_line

START_S, ANSWER_S = 1_796_000_000.25, 1_796_000_003.5
RECORD = CallRecord(
    id="01900000-0000-7000-8000-000000000000", call="1A-2B-3C", linked="1A-2B-3C", direction="in", app="echo", caller="alice", callee="bob",
    from_='"Alice, \\"A\\"" <sip:alice@example>', ruri="sip:bob@example", start=cdr.time_text(START_S), answer=cdr.time_text(ANSWER_S),
)  # fmt: skip
texts = st.text(st.characters(exclude_categories=()), max_size=20)
records = st.builds(
    CallRecord, id=texts, call=texts, linked=texts, caller=texts, from_=texts, ruri=texts, sip_reason=texts, billable_ms=st.integers(0, 1 << 40),
    vars=st.dictionaries(texts, texts, max_size=3), rtp=st.builds(RtpFigures, lost=st.integers(-1, 1 << 31)),
)  # fmt: skip


@given(records)
def test_any_record_is_one_line_of_json_that_fits_the_schema(record: CallRecord) -> None:
    text = cdr.to_json(record)
    assert "\n" not in text
    plain = json.loads(text.encode("utf-8"))
    jsonschema.validate(plain, {**schema(), "properties": {**schema()["properties"], "leg": {}, "direction": {}, "id": {}}})  # type: ignore[dict-item]
    again = cdr.from_json(text)
    assert cdr.to_json(again) == text
    assert again.billable_ms == record.billable_ms and again.rtp == record.rtp


def test_a_finished_record_fits_the_schema_and_others_do_not() -> None:
    done = dataclasses.replace(cdr.closed(RECORD, ANSWER_S + 60), disposition="ANSWERED", hangup_by="caller")
    jsonschema.validate(cdr.as_dict(done), schema())
    for wrong in ({"disposition": "MAYBE"}, {"leg": "c"}, {"billable_ms": "60"}, {"more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**cdr.as_dict(done), **wrong}, schema())


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"version":2,"id":"x"}', '{"version":1}', '{"version":1,"id":1'])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        cdr.from_json(text)


def test_durations_and_a_grant_that_bounds_what_is_billed() -> None:
    done = cdr.closed(RECORD, ANSWER_S + 60.0005)
    assert (done.setup_ms, done.duration_ms, done.billable_ms) == (3250, 63250, 60000)
    bounded = cdr.closed(dataclasses.replace(RECORD, granted_ms=59_000), ANSWER_S + 60)
    assert bounded.billable_ms == 59_000
    unanswered = cdr.closed(dataclasses.replace(RECORD, answer=""), START_S + 7)
    assert (unanswered.setup_ms, unanswered.duration_ms, unanswered.billable_ms) == (7000, 7000, 0)
    set_back = cdr.closed(RECORD, START_S - 3600)
    assert set_back.billable_ms == set_back.duration_ms == 0


def test_a_call_that_a_crash_cut_ends_when_it_was_last_seen() -> None:
    lost = cdr.interrupted(RECORD, ANSWER_S + 30)
    assert (lost.disposition, lost.hangup_by, lost.billable_ms) == ("INTERRUPTED", "system", 30_000)
    never_touched = cdr.interrupted(RECORD, 0)
    assert never_touched.billable_ms == 0 and never_touched.end == RECORD.answer


@pytest.mark.parametrize(
    ("answered", "code", "by", "right"),
    [
        (True, 200, "remote", "ANSWERED"), (True, 503, "local", "ANSWERED"), (False, 486, "remote", "BUSY"), (False, 600, "remote", "BUSY"),
        (False, 487, "cancel", "CANCELLED"), (False, 408, "timeout", "NO ANSWER"), (False, 480, "remote", "NO ANSWER"),
        (False, 404, "remote", "FAILED"), (False, 503, "error", "FAILED"),
    ],
)  # fmt: skip
def test_how_a_call_ended(answered: bool, code: int, by: str, right: str) -> None:
    assert cdr.disposition(answered, code, by) == right


def test_the_cause_of_a_reason_header() -> None:
    assert cdr.q850_of((("Reason", 'SIP;cause=200;text="x", Q.850 ; cause=16 ;text="Normal"'),)) == 16
    assert cdr.q850_of((("reason", "q.850;cause=31"),)) == 31
    assert cdr.q850_of((("Reason", "SIP;cause=487"), ("X", "Q.850;cause=1"))) == 0


def test_ids_are_uuids_of_version_7_in_the_order_of_time() -> None:
    random = Random(1)
    ids = [cdr.new_id(1_796_000_000 + second, random) for second in range(50)]
    assert ids == sorted(ids) and len(set(ids)) == 50
    assert all(uuid.UUID(id).version == 7 and uuid.UUID(id).variant == uuid.RFC_4122 for id in ids)


def test_times_go_both_ways_to_the_microsecond() -> None:
    assert cdr.time_text(0) == "" and cdr.time_s("") == 0
    assert cdr.time_text(1_796_000_000.123456) == "2026-11-30T00:53:20.123456Z"
    assert cdr.time_s("2026-11-30T00:53:20.123456Z") == pytest.approx(1_796_000_000.123456, abs=1e-6)


@given(texts, texts)
def test_a_csv_line_is_one_line_with_the_values_in_it(caller: str, value: str) -> None:
    record = dataclasses.replace(cdr.closed(RECORD, ANSWER_S + 60), caller=caller, vars={"shop": value})
    line = csv_line(
        record, ("$ltag", "caller", "$connect_ts", "$bill_duration_sec", "rtp.lost", "vars.shop", "$shop", "hangup_initiator")
    )
    assert len(line.splitlines()) == 1
    (cells,) = csv.reader(io.StringIO(line))

    def told(text: str) -> str:
        return " ".join(text.encode("utf-8", "replace").decode().splitlines())

    assert cells == ["1A-2B-3C", told(caller), f"{ANSWER_S:.6f}", "60", "-1", told(value), told(value), ""]


def test_columns_that_no_record_has_are_named() -> None:
    check(("call", "rtp.lost", "$x", "vars.x", "invite_code"))
    with pytest.raises(ValueError, match="there is no 'cost'"):
        check(("call", "cost"))
