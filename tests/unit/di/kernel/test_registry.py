# SPDX-License-Identifier: GPL-2.0-or-later
"""Binding, listing and permission of DI functions."""

import pytest

from di.kernel.errors import Forbidden, NoSuchModule, NotImplementedInDI, OutOfBounds, TypeMismatch
from di.kernel.registry import Caller, Lenient, RawArgs, Registry, di_method
from di.kernel.value import LongLong, OwnArray, Value


class Sample:
    @di_method("addThem", "sum")
    def add(self, a: int, b: int = 5) -> int:
        """Add two integers."""
        return a + b

    @di_method("hidden", listed=False)
    def hidden(self, text: str, note: Lenient[str] = "none", *rest: Value) -> list[Value]:
        """Return what was bound."""
        return [text, note, list(rest)]

    @di_method("joined")
    def joined(self, parts: list[Value], more: Lenient[list[Value]] = ()) -> str:  # type: ignore[assignment]
        """Join the elements of two arrays."""
        return "".join(str(part) for part in (*parts, *more))

    @di_method("raw", listed="rawish")
    def raw(self, args: RawArgs) -> Value:
        """Return the arguments untouched."""
        return args

    @di_method("later")
    async def later(self, value: Value) -> Value:
        """Answer after a wait."""
        return value


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.register("sample", Sample())
    return registry


def test_binding_fills_defaults_and_drops_surplus(registry: Registry) -> None:
    assert registry.invoke("sample", "addThem", [1]) == 6
    assert registry.invoke("sample", "sum", [1, 2, "surplus"]) == 3


@pytest.mark.parametrize("wrong", [True, LongLong(1), 1.0, "1", None, [1]])
def test_nothing_is_converted(registry: Registry, wrong: Value) -> None:
    with pytest.raises(TypeMismatch, match="argument 0"):
        registry.invoke("sample", "addThem", [wrong])


@pytest.mark.parametrize("array", [["a", "b"], OwnArray(["a", "b"])])
def test_an_array_is_one_whoever_may_empty_it(registry: Registry, array: list[Value]) -> None:
    assert registry.invoke("sample", "joined", [array, array]) == "abab"
    assert registry.invoke("sample", "joined", {"parts": array, "more": array}) == "abab"
    assert registry.invoke("sample", "sum", OwnArray([1, 2])) == 3
    with pytest.raises(TypeMismatch, match=r"argument 0 \(a\)"):
        registry.invoke("sample", "sum", [array])


@pytest.mark.parametrize("wrong", [("a",), "ab", {"a": "b"}, None])
def test_what_is_no_array_is_none(registry: Registry, wrong: Value) -> None:
    with pytest.raises(TypeMismatch, match=r"argument 0 \(parts\) must be list"):
        registry.invoke("sample", "joined", [wrong])
    assert registry.invoke("sample", "joined", [["a"], wrong]) == "a", "a lenient one counts as absent"


def test_missing_argument_is_out_of_bounds_but_no_list_at_all_is_a_mismatch(registry: Registry) -> None:
    with pytest.raises(OutOfBounds, match=r"argument 0 \(a\)"):
        registry.invoke("sample", "addThem", [])
    with pytest.raises(TypeMismatch):
        registry.invoke("sample", "addThem", None)


def test_named_parameters_bind_by_python_name(registry: Registry) -> None:
    assert registry.invoke("sample", "addThem", {"b": 1, "a": 2}) == 3
    with pytest.raises(TypeMismatch, match="no parameter 'c'"):
        registry.invoke("sample", "addThem", {"a": 1, "c": 2})
    with pytest.raises(OutOfBounds):
        registry.invoke("sample", "addThem", {"b": 1})


def test_lenient_rest_and_raw(registry: Registry) -> None:
    assert registry.invoke("sample", "hidden", ["x", 7, 1, 2]) == ["x", "none", [1, 2]]
    assert registry.invoke("sample", "raw", {"a": 1}) == {"a": 1}


def test_list_shows_listed_names_in_order(registry: Registry) -> None:
    assert registry.invoke("sample", "_list", None) == ["addThem", "sum", "joined", "rawish", "later"]


def test_unknown_names(registry: Registry) -> None:
    with pytest.raises(NoSuchModule):
        registry.invoke("nothing", "x", [])
    with pytest.raises(NotImplementedInDI) as caught:
        registry.invoke("sample", "nothing", [])
    assert caught.value.what == "nothing"


def test_permission_is_asked_before_anything_else(registry: Registry) -> None:
    caller = Caller("reader", allows=lambda module, method: method == "sum")
    assert registry.invoke("sample", "sum", [1], caller) == 6
    with pytest.raises(Forbidden, match=r"sample\.addThem"):
        registry.invoke("sample", "addThem", ["bad"], caller)


async def test_call_waits_for_async_functions(registry: Registry) -> None:
    assert await registry.call("sample", "later", ["soon"]) == "soon"


def test_methods_without_docstring_or_annotation_are_refused() -> None:
    class Bad:
        @di_method("x")
        def x(self, a: complex) -> int:
            """Has an unusable annotation."""
            return 1

    class Silent:
        @di_method("x")
        def x(self) -> int:
            return 1

    with pytest.raises(TypeError, match="annotation"):
        Registry().register("bad", Bad())
    with pytest.raises(TypeError, match="docstring"):
        Registry().register("silent", Silent())
