# SPDX-License-Identifier: GPL-2.0-or-later
"""Invariant: any arguments to any function of `monitoring` give a value or a DIError, and leave the store whole."""

from __future__ import annotations

import asyncio
import inspect

from hypothesis import given, settings
from hypothesis import strategies as st

from di.kernel.errors import DIError
from di.kernel.value import LongLong, Value
from di.stores import monitoring
from di.stores.monitoring.hooks import StoreHooks
from tests.support.bare_hub import bare_services
from tests.support.sizes import size

METHODS = [
    *("log", "logAdd", "inc", "dec", "addCount", "addSample", "markFinished", "setExpiration", "erase", "eraseByFilter"),
    *("clear", "clearFinished", "get", "getSingle", "getAttribute", "getAttributeActive", "getAttributeFinished", "getCount"),
    *(
        "getAllCounts",
        "list",
        "listByFilter",
        "listByRegex",
        "listFinished",
        "listActive",
        "countAttribute",
        "sampleRates",
        "_list",
    ),
]
SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.integers().map(LongLong), st.floats(), st.binary(max_size=20)),
    *(st.sampled_from(["a", "b", "k", "", "[", "^a*$", "\udcff", "\0", "x" * 300]), st.binary(min_size=16, max_size=16)),
)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=3), max_leaves=6
)
ARGUMENTS = (
    st.lists(VALUES, max_size=5) | st.none() | st.dictionaries(st.sampled_from(["id", "key", "attr", "x"]), VALUES) | VALUES
)


@settings(max_examples=size(100, 5_000), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(METHODS), ARGUMENTS), max_size=15))
def test_any_call_has_an_answer(calls: list[tuple[str, Value]]) -> None:
    services, clock = bare_services()
    monitoring.PLUGIN.start(services, monitoring.Options())
    for method, args in calls:
        clock.advance(0.25)
        try:
            answer = services.registry.invoke("monitoring", method, args)
        except DIError:
            continue
        if inspect.isawaitable(answer):
            answer = asyncio.run(answer)  # type: ignore[arg-type]
        assert isinstance(answer, (list, dict, type(None)))
    hooks = services.monitoring
    assert isinstance(hooks, StoreHooks)
    store = hooks.store
    assert len(store) == len(store.ids()) == len(set(store.ids()))
    for name, _ in store.index.sizes():
        assert store.index.count(name) == sum(1 for _, record in store.items() if record and record.get(name) is not None)
