# SPDX-License-Identifier: GPL-2.0-or-later
"""What the registry says about itself follows from signatures and docstrings alone."""

from __future__ import annotations

from typing import Annotated

import pytest

from di.kernel.registry import Lenient, RawArgs, Registry, di_method
from di.kernel.value import LongLong, Value
from interfaces import introspect


class Module:
    @di_method("plain")
    def plain(self, a: int, b: Lenient[str] = "x", *rest: Value) -> list[str]:
        """Do it.

        More about it.
        """
        return []

    @di_method("raw", changes=False)
    def raw(self, args: RawArgs) -> None:
        """Take anything."""

    @di_method("typed", dangerous=True)
    def typed(self, a: bool, b: float, c: bytes, d: dict[str, Value], e: LongLong, f: int | str = 1) -> dict[str, int]:
        """Take one of each."""
        return {}


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.register("m", Module())
    return registry


def test_signatures_are_one_for_each_number_of_arguments(registry: Registry) -> None:
    assert introspect.signatures(registry, "m", "plain") == [["array", "int"], ["array", "int", "string"]]
    assert introspect.signatures(registry, "m", "typed") == [
        ["struct", "boolean", "double", "base64", "struct", "int"],
        ["struct", "boolean", "double", "base64", "struct", "int", "undef"],
    ]
    assert introspect.signatures(registry, "m", "raw") == introspect.signatures(registry, "x", "y") == "undef"


def test_help_begins_with_the_call(registry: Registry) -> None:
    assert introspect.help_text(registry, "m", "plain") == "m.plain(a: int, b: str = 'x', *rest)\nDo it.\n\nMore about it."
    assert introspect.help_text(registry, "m", "raw").startswith("m.raw(args)")
    assert introspect.help_text(registry, "m", "nosuch") == ""


def test_openrpc_method_objects(registry: Registry) -> None:
    plain, raw, typed = introspect.openrpc(registry.interfaces(), "1")["methods"]  # type: ignore[misc]
    assert (plain["summary"], plain["description"], plain["paramStructure"]) == ("Do it.", "More about it.", "by-position")
    assert plain["result"]["schema"] == {"type": "array", "items": {"type": "string"}}
    assert plain["x-rest"] and plain["x-changes"] and not plain["x-dangerous"]
    assert raw["params"] == [] and raw["result"]["schema"] == {"type": "null"} and not raw["x-changes"]
    assert [p["schema"] for p in typed["params"]] == [
        {"type": "boolean"},
        {"type": "number"},
        {"type": "string", "contentEncoding": "base64"},
        {"type": "object"},
        {"type": "integer"},
        {},
    ]
    assert typed["paramStructure"] == "either" and typed["x-dangerous"]


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (object, {}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (tuple[int, str], {"type": "array"}),
        (dict[str, list[int]], {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer"}}}),
        (Annotated[int, "x"], {"type": "integer"}),
        (list, {"type": "array"}),
    ],
)
def test_schemas(hint: object, schema: dict[str, Value]) -> None:
    assert introspect.json_schema(hint) == schema
