# SPDX-License-Identifier: GPL-2.0-or-later
"""Dialogues with the DI module `monitoring`: each line a call and its answer, as spec monitoring.md §3 has them."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest

from di.kernel.errors import NotImplementedInDI, OutOfBounds, TypeMismatch
from di.kernel.value import LongLong, Value, equal
from di.stores import monitoring
from tests.support.bare_hub import EPOCH_S, HandClock, bare_services

OK = [0, "OK"]


class Talk:
    """One dialogue."""

    def __init__(self) -> None:
        self.services, self.clock = bare_services()
        monitoring.PLUGIN.start(self.services, monitoring.Options())

    def raw(self, method: str, args: Value) -> Value:
        return self.services.registry.invoke("monitoring", method, args)

    def __call__(self, method: str, *args: Value) -> Value:
        return self.raw(method, list(args))

    def says(self, answer: Value, method: str, *args: Value) -> None:
        got = self(method, *args)
        assert equal(got, answer), f"{method}{args}: {got!r} instead of {answer!r}"


@pytest.fixture
def talk() -> Talk:
    return Talk()


def timeval(seconds: float) -> bytes:
    return struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))


def test_list_has_semss_names_in_its_order(talk: Talk) -> None:
    names = (
        "log set logAdd add inc dec addSample markFinished setExpiration erase eraseByFilter clear clearFinished get "
        "getAttribute getAttributeActive getAttributeFinished getCount list listByFilter listByRegex listFinished listActive"
    )
    talk.says(names.split(), "_list")


def test_log_and_get(talk: Talk) -> None:
    talk.says([], "get", "a")
    talk.says(OK, "log", "a", "x", "1", "y", 2)
    talk.says([{"x": "1", "y": 2}], "get", "a")
    talk.says(OK, "set", "a", "x", [1, {"k": None}])
    talk.says([{"x": [1, {"k": None}], "y": 2}], "get", "a")
    talk.says([2], "getSingle", "a", "y")
    talk.says([], "getSingle", "a", "z")
    talk.says([], "getSingle", "b", "y")


def test_log_without_pairs_stores_nothing(talk: Talk) -> None:
    talk.says(OK, "log", "a")
    talk.says([], "list")
    with pytest.raises(OutOfBounds):
        talk("log")
    with pytest.raises(TypeMismatch):
        talk("log", 1, "k", "v")


def test_log_keeps_the_pairs_before_a_fault(talk: Talk) -> None:
    with pytest.raises(OutOfBounds, match="'y'"):
        talk("log", "a", "x", 1, "y")
    talk.says([{"x": 1}], "get", "a")
    with pytest.raises(TypeMismatch):
        talk("log", "a", "z", 3, 4, 5)
    talk.says([{"x": 1, "z": 3}], "get", "a")
    with pytest.raises(OutOfBounds):
        talk("log", "b", "x")
    talk.says(["a"], "list")


def test_add_makes_arrays(talk: Talk) -> None:
    talk.says(OK, "logAdd", "a", "k", 1)
    talk.says([[1]], "getSingle", "a", "k")
    talk.says(OK, "add", "a", "k", "two")
    talk.says([[1, "two"]], "getSingle", "a", "k")
    talk("log", "a", "s", "old")
    talk.says(OK, "add", "a", "s", "new")
    talk.says([["old", "new"]], "getSingle", "a", "s")
    talk.says(OK, "add", "a", "s", [1])
    talk.says([["old", "new", [1]]], "getSingle", "a", "s")


def test_answers_are_copies(talk: Talk) -> None:
    value: list[Value] = [1]
    talk("log", "a", "k", value)
    value.append(2)
    answer: Any = talk("get", "a")
    answer[0]["k"].append(3)
    answer[0]["other"] = 1
    talk.says([{"k": [1]}], "get", "a")


@pytest.mark.parametrize(
    ("before", "after"), [(None, 1), (5, 6), ("5", 1), (LongLong(5), 1), (True, 1), (2.0, 1), ([1], 1), (2**63 - 1, -(2**63))]
)
def test_inc_counts_ints_and_restarts_anything_else(talk: Talk, before: Value, after: int) -> None:
    if before is not None:
        talk("log", "a", "n", before)
    talk.says(OK, "inc", "a", "n")
    talk.says([after], "getSingle", "a", "n")


def test_dec_and_add_count(talk: Talk) -> None:
    talk.says(OK, "dec", "a", "n")
    talk.says([-1], "getSingle", "a", "n")
    talk.says(OK, "addCount", "a", "n", 10)
    talk.says([9], "getSingle", "a", "n")
    with pytest.raises(TypeMismatch):
        talk("addCount", "a", "n", "10")
    with pytest.raises(OutOfBounds):
        talk("addCount", "a", "n")


def test_finished_and_expiration(talk: Talk) -> None:
    talk.says(OK, "markFinished", "new")
    talk.says([None], "get", "new")
    talk("log", "b", "k", 1)
    talk.says(["new"], "listFinished")
    talk.says(["b"], "listActive")
    talk.says(OK, "setExpiration", "b", EPOCH_S + 10)
    talk.says(["b"], "listActive")
    talk.clock.advance(10)
    talk.says([], "listActive")
    talk.says(["b", "new"], "listFinished")
    talk.says(OK, "setExpiration", "b", 0)
    talk.says(["b"], "listActive")
    with pytest.raises(TypeMismatch):
        talk("setExpiration", "b", "0")


def test_mark_finished_keeps_the_first_time(talk: Talk) -> None:
    talk("setExpiration", "a", EPOCH_S + 100)
    talk.says(OK, "markFinished", "a")
    talk.says(["a"], "listActive")
    talk("setExpiration", "a", 0)
    talk("markFinished", "a")
    talk.says(["a"], "listFinished")


def test_erase_takes_one_record_with_its_samples(talk: Talk) -> None:
    for id in ("a", "b"):
        talk("log", id, "k", 1)
        talk("addSample", id, "s")
    talk.says(OK, "erase", "a")
    talk.says(["b"], "list")
    talk.says([LongLong(0)], "getCount", "a", "s")
    talk.says([LongLong(1)], "getCount", "b", "s")
    talk.says(OK, "erase", "unknown")
    with pytest.raises(OutOfBounds):
        talk("erase")


def test_erase_by_filter_leaves_samples(talk: Talk) -> None:
    talk("log", "a", "k", 1)
    talk("log", "b", "k", 2)
    talk("addSample", "a", "s")
    talk.says(["a"], "eraseByFilter", ["k", 1])
    talk.says(["b"], "list")
    talk.says([LongLong(1)], "getCount", "a", "s")
    talk.says(["b"], "eraseByFilter")
    talk.says([], "list")


def test_clear_and_clear_finished(talk: Talk) -> None:
    talk("log", "a", "k", 1)
    talk("markFinished", "b")
    for id in ("a", "b", "c"):
        talk("addSample", id, "s")
    talk.says(OK, "clearFinished")
    talk.says(["a"], "list")
    talk.says([LongLong(0)], "getCount", "b", "s")
    talk.says([LongLong(1)], "getCount", "c", "s")
    talk.says(OK, "clear")
    talk.says([], "list")
    talk.says([LongLong(0)], "getCount", "c", "s")


def test_get_attribute_creates_nothing(talk: Talk) -> None:
    talk.says(None, "getAttribute", "k")
    talk.says([], "getAttributeActive", "k")
    talk.says([], "getAttributeFinished", "k")
    talk("log", "a", "k", "v")
    talk("log", "b", "other", 1)
    talk("markFinished", "c")
    talk.says([["a", "v"], ["b", None], ["c", None]], "getAttribute", "k")
    talk.says([["a", "v"], ["b", None]], "getAttributeActive", "k")
    talk.says([["c", None]], "getAttributeFinished", "k")
    talk.says([{"other": 1}], "get", "b")
    talk.says([None], "get", "c")


def test_order_is_bucket_then_bytes(talk: Talk) -> None:
    for id in ("b", "a", "ba", "p", "", "aaaaab", "aaaaaa", "A"):
        talk("log", id, "k", 1)
    # buckets: "" 0 · p=0x70 0 · a=0x61 A=0x41 aaaaa…=0x61 1 · b=0x62 2 · ba=0x62^0x61=3 3
    order = ["", "p", "A", "a", "aaaaaa", "aaaaab", "b", "ba"]
    talk.says(order, "list")
    talk.says(order, "listByFilter", ["k", 1])
    talk.says(order, "listActive")


def test_list_by_filter_compares_type_too(talk: Talk) -> None:
    values: list[Value] = ["1", 1, LongLong(1), True, 1.0, [1], {"k": 1}, b"1"]
    for number, value in enumerate(values):
        talk("log", f"r{number}", "v", value, "all", "y")
    for number, value in enumerate(values):
        talk.says([f"r{number}"], "listByFilter", ["v", value])
        talk.says([f"r{number}"], "listByFilter", ["all", "y"], ["v", value])
    talk.says([], "listByFilter", ["v", "2"])
    talk.says([], "listByFilter", ["v", "1"], ["v", 1])
    talk.says(["r1"], "listByFilter", ["v", 1, "more is ignored"])


def test_list_by_filter_for_a_missing_attribute(talk: Talk) -> None:
    talk("log", "a", "k", 1)
    talk("log", "b", "j", 1)
    talk("markFinished", "c")
    talk.says(["b"], "listByFilter", ["k", None])  # SEMS: c too, which is finished (docs/differences.md)
    talk.says(["b"], "listByFilter", ["k", None], ["j", 1])
    talk.says([{"j": 1}], "get", "b")


def test_list_by_filter_faults_only_when_a_record_is_looked_at(talk: Talk) -> None:
    talk.says([], "listByFilter", "no array")
    talk.says([], "listByFilter", ["short"])
    talk("log", "a", "k", 1)
    with pytest.raises(TypeMismatch):
        talk("listByFilter", "no array")
    with pytest.raises(OutOfBounds):
        talk("listByFilter", ["short"])
    with pytest.raises(OutOfBounds):
        talk("listByFilter", ["k", 1], [])
    with pytest.raises(TypeMismatch):
        talk("listByFilter", [1, "k"])
    talk.says([], "listByFilter", ["k", 2], "never looked at")


def test_direct_export_without_parameters(talk: Talk) -> None:
    assert talk.raw("listByFilter", None) == []
    talk("log", "a", "k", 1)
    for method in ("list", "listActive"):
        assert talk.raw(method, None) == ["a"]
    assert talk.raw("listFinished", None) == []
    with pytest.raises(TypeMismatch):
        talk.raw("listByFilter", None)
    assert talk.raw("clearFinished", None) == OK
    assert talk.raw("clear", None) == OK
    assert talk.raw("list", None) == []


def test_list_by_regex(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    talk("log", "a", "room", "room12")
    talk("log", "b", "room", "lobby")
    talk("log", "c", "room", 12)
    talk("log", "d", "other", "room12")
    talk.says(["a"], "listByRegex", "room", "m[0-9]*$")
    talk.says(["a", "b"], "listByRegex", "room", "o")
    talk.says([], "listByRegex", "room", "m+[0-9]")  # + is an ordinary character in a basic expression
    talk.says([], "listByRegex", "room", "[")
    assert "[ without ]" in caplog.text
    with pytest.raises(TypeMismatch):
        talk("listByRegex", "room", 1)
    with pytest.raises(OutOfBounds):
        talk("listByRegex", "room")


def test_samples_count_in_their_window(talk: Talk) -> None:
    talk.says(OK, "addSample", "a", "s")
    talk.clock.advance(0.5)
    talk.says(OK, "addSample", "a", "s", 5)
    talk.says([LongLong(6)], "getCount", "a", "s")
    talk.clock.advance(0.75)
    talk.says([LongLong(5)], "getCount", "a", "s")
    talk.says([LongLong(6)], "getCount", "a", "s", 2)
    talk.says([LongLong(0)], "getCount", "a", "other")
    talk.says([LongLong(0)], "getCount", "b", "s")
    talk.says([], "list")


def test_samples_at_given_times(talk: Talk) -> None:
    for second, count in ((1, 1), (2, 10), (3, 100)):
        talk.says(OK, "addSample", "a", "s", count, timeval(EPOCH_S + second))
    talk.says(OK, "addSample", "a", "s", timeval(EPOCH_S + 4))
    now = timeval(EPOCH_S + 4)
    talk.says([LongLong(101)], "getCount", "a", "s", now)
    talk.says([LongLong(111)], "getCount", "a", "s", now, timeval(EPOCH_S + 2))
    talk.says([LongLong(110)], "getCount", "a", "s", now, timeval(EPOCH_S + 2), timeval(EPOCH_S + 3))
    talk.clock.advance(4)
    talk.says([LongLong(101)], "getCount", "a", "s", timeval(0))
    talk.says({"s": LongLong(101)}, "getAllCounts", "a", now)
    talk.says({"s": LongLong(111)}, "getAllCounts", "a", 2, now)


def test_samples_are_dropped_for_good(talk: Talk) -> None:
    talk("addSample", "a", "s", 1)
    talk.clock.advance(5)
    talk("addSample", "a", "s", 2)
    talk.clock.advance(5)
    talk.says([LongLong(2)], "getCount", "a", "s", 3600)
    talk.says([LongLong(2)], "getCount", "a", "s", timeval(EPOCH_S + 5), timeval(EPOCH_S), timeval(EPOCH_S + 9))


def test_a_sample_that_is_not_newer_empties_the_list(talk: Talk) -> None:
    talk("addSample", "a", "s", 1)
    talk("addSample", "a", "s", 2)
    talk.says([LongLong(2)], "getCount", "a", "s")
    talk("addSample", "a", "s", 4, timeval(EPOCH_S - 1))
    talk.says([LongLong(4)], "getCount", "a", "s", 1)


def test_all_counts(talk: Talk) -> None:
    talk.says({}, "getAllCounts", "a")
    talk("addSample", "a", "s", 1)
    talk("addSample", "a", "t", 2)
    talk("inc", "a", "attribute")
    talk.says({"s": LongLong(1), "t": LongLong(2)}, "getAllCounts", "a")
    talk.clock.advance(2)
    talk.says({"s": LongLong(0), "t": LongLong(0)}, "getAllCounts", "a")
    talk.says({"s": LongLong(1), "t": LongLong(2)}, "getAllCounts", "a", 3)


def test_counts_that_semss_exporter_would_have_needed(talk: Talk) -> None:
    talk.says([0], "countAttribute", "k")
    talk("log", "a", "k", 0)
    talk("log", "b", "k", None)
    talk.says([1], "countAttribute", "k")
    talk("addSample", "a", "s", 3)
    talk("addSample", "b", "s", 4)
    talk.says({"s": 0}, "sampleRates")
    talk.clock.advance(1)
    talk.says({"s": 7}, "sampleRates")


def test_a_time_of_another_length_is_refused(talk: Talk) -> None:
    with pytest.raises(TypeMismatch, match="16 bytes"):
        talk("addSample", "a", "s", 1, b"short")
    talk.says(OK, "addSample", "a", "s", "of another type is ignored")
    talk.says([LongLong(1)], "getCount", "a", "s")


@pytest.mark.parametrize("name", ["listAll", "clearAll", "", "_List"])
def test_unknown_functions(talk: Talk, name: str) -> None:
    with pytest.raises(NotImplementedInDI):
        talk(name)


def test_every_function_refuses_missing_arguments(talk: Talk) -> None:
    talk("log", "a", "k", 1)
    needing = "log logAdd add inc dec addCount addSample markFinished setExpiration erase get getSingle getAttribute"
    more = "getAttributeActive getAttributeFinished listByRegex getCount getAllCounts"
    for name in f"{needing} {more}".split():
        with pytest.raises(OutOfBounds):
            talk(name)


async def test_the_collector_runs_only_when_told() -> None:
    services, _ = bare_services()
    before = asyncio.all_tasks()
    assert monitoring.PLUGIN.start(services, monitoring.Options()) is not None
    assert asyncio.all_tasks() == before
    services, _ = bare_services()
    close: Any = monitoring.PLUGIN.start(services, monitoring.Options(run_garbage_collector=True))
    (task,) = asyncio.all_tasks() - before
    assert task.get_name() == "monitoring_gc"
    close()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert services.registry.interface("monitoring") is None


def test_hooks_write_and_publish() -> None:
    services, clock = bare_services()
    assert isinstance(clock, HandClock)
    monitoring.PLUGIN.start(services, monitoring.Options())
    services.monitoring.log("a", **{"from": "x", "dir": "in"})
    services.monitoring.log("a", dir="in")
    services.monitoring.log_add("a", "path", "s1")
    services.monitoring.mark_finished("a")
    services.registry.invoke("monitoring", "erase", ["a"])
    told = [(e.type, e.call, e.attributes) for e in services.events.ring]
    assert told == [
        ("monitoring.changed", "a", {"from": "x", "dir": "in"}),
        ("monitoring.changed", "a", {"path": "s1", "monitoring_change": "added"}),
        ("monitoring.changed", "a", {"monitoring_change": "finished"}),
        ("monitoring.changed", "a", {"monitoring_change": "removed"}),
    ]
