# SPDX-License-Identifier: GPL-2.0-or-later
"""A quickened record is in nothing but speed another one."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from typing import Any

import pytest

from media.control.quick_records import quicken, record


@dataclasses.dataclass(frozen=True, slots=True)
class Plain:
    """What the other is compared with."""

    number: int
    text: str = "none"
    names: dict[str, int] = dataclasses.field(default_factory=dict)
    secret: str = dataclasses.field(default="", repr=False, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Quick:
    """The same."""

    number: int
    text: str = "none"
    names: dict[str, int] = dataclasses.field(default_factory=dict)
    secret: str = dataclasses.field(default="", repr=False, compare=False)


quicken((Quick,))


@record(frozen=True, slots=True)
class Soon:
    """The same, sooner made."""

    number: int
    text: str = "none"
    names: dict[str, int] = dataclasses.field(default_factory=dict)
    secret: str = dataclasses.field(default="", repr=False, compare=False)


@record(frozen=True, slots=True)
class One:
    """A single field."""

    number: int


@record(frozen=True, slots=True)
class Nothing:
    """No field, and its own text."""

    def __repr__(self) -> str:
        return "nothing"


pytestmark = pytest.mark.parametrize("kind", [Quick, Soon])


@pytest.mark.parametrize("values", [(1,), (1, "a"), (1, "a", {"x": 2})])
def test_it_has_the_same_fields(kind: Any, values: tuple[object, ...]) -> None:
    assert dataclasses.astuple(kind(*values)) == dataclasses.astuple(Plain(*values))
    assert repr(kind(*values)) == repr(Plain(*values)).replace("Plain", kind.__name__)
    assert type(kind(*values)) is kind


def test_it_cannot_be_changed(kind: Any) -> None:
    record = kind(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.number = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del record.number
    assert record.number == 1


def test_each_has_a_default_of_its_own(kind: Any) -> None:
    assert kind(1).names is not kind(1).names


def test_it_is_copied_replaced_and_pickled(kind: Any) -> None:
    record = kind(1, names={"x": 1})
    assert dataclasses.replace(record, number=2) == kind(2, names={"x": 1})
    assert copy.deepcopy(record) == pickle.loads(pickle.dumps(record)) == record


def test_a_wrong_call_is_refused_as_before(kind: Any) -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'number'"):
        kind()
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        kind(1, other=2)
    assert list(inspect.signature(kind).parameters) == list(inspect.signature(Plain).parameters)


def test_what_it_would_change_is_refused(kind: Any) -> None:
    @dataclasses.dataclass(frozen=True)
    class WithoutSlots:
        number: int

    @dataclasses.dataclass(frozen=True, slots=True)
    class Checked:
        number: int

        def __post_init__(self) -> None:
            """Look at it."""

    for cls in (WithoutSlots, Checked):
        with pytest.raises(TypeError, match=f"{cls.__name__} must be"):
            quicken((cls,))
    with pytest.raises(TypeError, match="Checked must be"):
        record(frozen=True, slots=True)(type("Checked", (), {"__post_init__": lambda self: None, "__doc__": "Looked at."}))


def test_it_is_equal_to_what_has_the_same_values_and_is_of_its_class(kind: Any) -> None:
    assert kind(1, "a", secret="x") == kind(1, "a", secret="y") != kind(2, "a") and kind(1) != Plain(1)
    assert One(1) == One(1) != One(2) and {One(1), One(1), Nothing(), Nothing()} == {One(1), Nothing()}
    assert (repr(One(1)), repr(Nothing())) == ("One(number=1)", "nothing")
    with pytest.raises(TypeError, match="unhashable"):
        hash(kind(1))
