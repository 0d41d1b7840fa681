# SPDX-License-Identifier: GPL-2.0-or-later
"""A quickened record is in nothing but speed another one."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle

import pytest

from media.control.quick_records import record


@dataclasses.dataclass(frozen=True, slots=True)
class Plain:
    """What the other is compared with."""

    number: int
    text: str = "none"
    names: dict[str, int] = dataclasses.field(default_factory=dict)
    secret: str = dataclasses.field(default="", repr=False, compare=False)


@record(frozen=True, slots=True)
class Quick:
    """The same."""

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


@pytest.mark.parametrize("values", [(1,), (1, "a"), (1, "a", {"x": 2})])
def test_it_has_the_same_fields(values: tuple[object, ...]) -> None:
    assert dataclasses.astuple(Quick(*values)) == dataclasses.astuple(Plain(*values))
    assert repr(Quick(*values)) == repr(Plain(*values)).replace("Plain", Quick.__name__)
    assert type(Quick(*values)) is Quick


def test_it_cannot_be_changed() -> None:
    record = Quick(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.number = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del record.number
    assert record.number == 1


def test_each_has_a_default_of_its_own() -> None:
    assert Quick(1).names is not Quick(1).names


def test_it_is_copied_replaced_and_pickled() -> None:
    record = Quick(1, names={"x": 1})
    assert dataclasses.replace(record, number=2) == Quick(2, names={"x": 1})
    assert copy.deepcopy(record) == pickle.loads(pickle.dumps(record)) == record


def test_a_wrong_call_is_refused_as_before() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'number'"):
        Quick()
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        Quick(1, other=2)
    assert list(inspect.signature(Quick).parameters) == list(inspect.signature(Plain).parameters)


def test_what_it_would_change_is_refused() -> None:
    with pytest.raises(TypeError, match="Checked must be"):
        record(frozen=True, slots=True)(type("Checked", (), {"__post_init__": lambda self: None, "__doc__": "Looked at."}))


def test_it_is_equal_to_what_has_the_same_values_and_is_of_its_class() -> None:
    assert Quick(1, "a", secret="x") == Quick(1, "a", secret="y") != Quick(2, "a") and Quick(1) != Plain(1)
    assert One(1) == One(1) != One(2) and {One(1), One(1), Nothing(), Nothing()} == {One(1), Nothing()}
    assert (repr(One(1)), repr(Nothing())) == ("One(number=1)", "nothing")
    with pytest.raises(TypeError, match="unhashable"):
        hash(Quick(1))
