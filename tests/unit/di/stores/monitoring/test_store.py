# SPDX-License-Identifier: GPL-2.0-or-later
"""The store's order of ids where nobody asks for it: a hub without a panel must not remember each call that it ever had."""

from __future__ import annotations

import gc
import sys

from di.stores.monitoring.store import _SPARE, BUCKETS, Store, bucket_of, order_of


def test_ids_of_records_that_are_gone_are_forgotten_though_nobody_lists() -> None:
    store = Store()
    ids = [f"call-{number}-{number * 7919 % 1000}" for number in range(4 * _SPARE * BUCKETS)]
    before = [sys.getrefcount(id) for id in ids]
    for number, id in enumerate(ids):
        store.set(id, {"dir": "in"})
        if number >= 10:
            store.erase(ids[number - 10])
    gc.collect()
    remembered = sum(after > known for after, known in zip([sys.getrefcount(id) for id in ids], before, strict=True))
    assert remembered <= 2 * 10 + (_SPARE + 1) * BUCKETS
    assert store.in_order(ids[-10:]) == sorted(ids[-10:], key=order_of)


def test_a_record_that_is_erased_and_made_again_without_end_is_remembered_once_in_a_while() -> None:
    store = Store()
    for number in range(4 * _SPARE):
        store.set("room", {"n": number})
        store.erase("room")
    assert sum(len(order._fresh) for order in store._orders) <= _SPARE + 2
    store.set("room", {"n": 1})
    assert store.ids() == ["room"]


def test_the_order_is_right_however_late_it_is_asked_for() -> None:
    store = Store()
    for turn in range(3):
        for number in range(3 * _SPARE * BUCKETS):
            store.set(f"{turn}-{number}", {"n": number})
            if number % 3 or turn < 2:
                store.erase(f"{turn}-{number}")
        store.set("0-5", {"n": turn})  # erased, and made again
    wanted = {"0-5", *(f"2-{number}" for number in range(0, 3 * _SPARE * BUCKETS, 3))}
    for number in range(BUCKETS):
        of_it = [id for id in wanted if bucket_of(id) == number]
        assert store.bucket_ids(number) == sorted(of_it, key=order_of)
