# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter language of `monitoring.listByFilter`, shared by the monitoring store and the event log.

A filter is a list of `[attribute, value]` pairs; it matches when every pair does, by AmArg equality *including type* (spec
monitoring.md §3.3: string "1" is not int 1). The empty filter matches everything. A value of Undef matches a missing attribute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from di.kernel.errors import OutOfBounds, TypeMismatch
from di.kernel.value import Value, equal

Pairs = tuple[tuple[str, Value], ...]


def parse_pair(pair: Value) -> tuple[str, Value]:
    """Check one pair; elements after the second are ignored. Raises TypeMismatch or OutOfBounds."""
    if not isinstance(pair, (list, tuple)):
        raise TypeMismatch(f"a filter is a list of [attribute, value] pairs, not of {type(pair).__name__}")
    if len(pair) < 2:
        raise OutOfBounds("a filter pair needs two elements: [attribute, value]")
    if type(pair[0]) is not str:
        raise TypeMismatch(f"the attribute of a filter pair must be a string, not {type(pair[0]).__name__}")
    return pair[0], pair[1]


def parse_pairs(pairs: Sequence[Value]) -> Pairs:
    """Check a whole filter. Raises TypeMismatch or OutOfBounds."""
    return tuple(parse_pair(pair) for pair in pairs)


def matches(attributes: Mapping[str, Value] | None, pairs: Pairs) -> bool:
    """Whether every pair equals the attribute of that name; None are attributes that were never written."""
    if attributes is None:
        attributes = {}
    return all(equal(attributes.get(name), value) for name, value in pairs)
