# SPDX-License-Identifier: GPL-2.0-or-later
"""The index against a search through all records: whatever is written, a look-up gives what the search gives."""

from __future__ import annotations

import math
import random

import pytest

from di.kernel.value import Value
from di.stores.monitoring import index as module
from di.stores.monitoring.index import COMPOUND, AttributeIndex, ManyIds, key_of

VALUES: list[Value] = [
    "",
    "1",
    "a",
    0,
    1,
    -1,
    True,
    False,
    1.0,
    0.0,
    -0.0,
    math.nan,
    math.inf,
    1 << 40,
    [1],
    [],
    {"a": 1},
    {},
    None,
]


def found(records: dict[str, Value], value: Value) -> set[str]:
    """The ids whose value has the key of this one."""
    return {id for id, one in records.items() if one is not None and key_of(one) == key_of(value)}


def agrees(index: AttributeIndex, records: dict[str, Value]) -> None:
    for value in VALUES[:-1]:
        assert set(index.find("x", value)) == found(records, value), value
    assert index.count("x") == sum(value is not None for value in records.values())
    assert sorted(text for texts in index.texts("x") for text in texts) == sorted(
        {value for value in records.values() if isinstance(value, str)}
    )
    distinct = {key_of(value) for value in records.values() if value is not None}
    assert dict(index.sizes()) == ({"x": len(distinct)} if distinct else {})


@pytest.mark.parametrize("large", [20_000, 3])
@pytest.mark.parametrize("seed", range(4))
def test_any_writes(seed: int, large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ONE_PART", large)  # 3: the keys are spread over many tables
    rng, index, records = random.Random(seed), AttributeIndex(), dict[str, Value]()
    for step in range(400):
        id, value = f"id{rng.randrange(12)}", rng.choice(VALUES)
        if id not in records:
            index.add("x", value, id)
            records[id] = value
        elif rng.random() < 0.4:
            index.remove("x", records.pop(id), id)
        else:
            same = key_of(records[id]) == key_of(value) and key_of(value) is not COMPOUND
            assert index.replace("x", records[id], value, id) is not same
            records[id] = value
        if step % 20 == 0:
            agrees(index, records)
    for id, value in records.items():
        index.remove("x", value, id)
    agrees(index, {})


def test_no_table_grows_with_the_records_that_share_a_value() -> None:
    index, count = AttributeIndex(), 100_000
    for number in range(count):
        index.add("x", "a", f"id{number}")
    ids = index.find("x", "a")
    assert isinstance(ids, ManyIds) and len(ids) == count and "id7" in ids and "id" not in ids
    assert max(map(len, ids.parts)) <= module._ONE_PART + 1, "it grows no more"
    assert max(map(len, ids.parts[1:])) < count // 100
    for number in range(count):
        index.remove("x", "a", f"id{number}")
    assert index.count("x") == 0 and not index.find("x", "a") and index.clear() == []


def test_values_of_different_types_are_different_and_compounds_share_a_key() -> None:
    keys = [key_of(value) for value in ("1", 1, True, 1.0)]
    assert len(set(keys)) == len(keys)
    assert {key_of([1]), key_of({}), key_of(math.nan)} == {COMPOUND} and key_of(math.inf) is not COMPOUND


def test_attributes_are_apart_and_clear_gives_what_held_them() -> None:
    index = AttributeIndex()
    index.add("x", "a", "one")
    index.add("y", "a", "two")
    assert (set(index.find("x", "a")), set(index.find("y", "a")), set(index.find("z", "a"))) == ({"one"}, {"two"}, set())
    held = index.clear()
    assert held == [{"a": "one"}, {"a": "two"}] and index.count("x") == 0 and not index.find("x", "a")
