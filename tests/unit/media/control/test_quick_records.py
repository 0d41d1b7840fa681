# SPDX-License-Identifier: GPL-2.0-or-later
"""A quickened record is in nothing but speed another one."""

import copy
import dataclasses
import inspect
import pickle

import pytest

from media.control.quick_records import quicken


@dataclasses.dataclass(frozen=True, slots=True)
class Plain:
    """What the other is compared with."""

    number: int
    text: str = "none"
    names: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Quick:
    """The same."""

    number: int
    text: str = "none"
    names: dict[str, int] = dataclasses.field(default_factory=dict)


quicken((Quick,))


@pytest.mark.parametrize("values", [(1,), (1, "a"), (1, "a", {"x": 2})])
def test_it_has_the_same_fields(values: tuple[object, ...]) -> None:
    assert dataclasses.astuple(Quick(*values)) == dataclasses.astuple(Plain(*values))  # type: ignore[arg-type]
    assert repr(Quick(*values)) == repr(Plain(*values)).replace("Plain", "Quick")  # type: ignore[arg-type]
    assert type(Quick(*values)) is Quick  # type: ignore[arg-type]


def test_it_cannot_be_changed() -> None:
    record = Quick(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.number = 2  # type: ignore[misc]
    assert record.number == 1


def test_each_has_a_default_of_its_own() -> None:
    assert Quick(1).names is not Quick(1).names


def test_it_is_copied_replaced_and_pickled() -> None:
    record = Quick(1, names={"x": 1})
    assert dataclasses.replace(record, number=2) == Quick(2, names={"x": 1})
    assert copy.deepcopy(record) == pickle.loads(pickle.dumps(record)) == record


def test_a_wrong_call_is_refused_as_before() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'number'"):
        Quick()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        Quick(1, other=2)  # type: ignore[call-arg]
    assert list(inspect.signature(Quick).parameters) == list(inspect.signature(Plain).parameters)


def test_what_it_would_change_is_refused() -> None:
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
