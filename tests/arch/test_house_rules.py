# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules of the house that no linter has: what `Any` is for, whose callables an object has, one name for one thing.

Where a rule does not reach yet stands in a list here with the folder; a list is to become shorter.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.arch import structure

ROOT = Path(__file__).parents[2]
PACKAGES = ("di", "interfaces", "media", "clients")

ANY_FREE = ("di/kernel/", "di/server/", "di/access/", "di/stores/", "di/sip/credentials.py", "interfaces/")
ANY_BORDERS = ("interfaces/sip/", "di/kernel/registry.py", "di/stores/mysql_client.py")
"""pjsua2 is untyped; the registry knows `Any` as a hint that a published function may have."""
OTHERS_NAMES = "clients/app/"
"""What applications of others import: its names are chosen for them (`Call`, `Leg`), and no part of the server can see it."""
CONVENTIONAL = frozenset({"Options"})
"""One a plug-in, by convention: `Plugin(options=Options)` says which."""
LARGEST_CIRCLE, IN_CIRCLES = 11, 18
"""Modules in the largest circle that types make (a session, its application, its pair and their parts) and in all; neither may grow."""


def uses_of_any(tree: ast.AST) -> Iterator[int]:
    """Lines where `Any` is used, imports aside."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "Any":
            yield node.lineno


def assigned_callables(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """`other.on_x = self.method` and `other.on_x = lambda …`: line and text. What one assigns to oneself is one's own affair."""
    for cls in ast.walk(tree):
        if not isinstance(cls, ast.ClassDef):
            continue
        methods = {part.name for part in cls.body if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))}
        for node in ast.walk(cls):
            if isinstance(node, ast.Assign) and any(_of_another(target) for target in node.targets):
                match node.value:
                    case ast.Lambda():
                        yield node.lineno, ast.unparse(node)
                    case ast.Attribute(value=ast.Name(id="self"), attr=name) if name in methods and not _is_property(cls, name):
                        yield node.lineno, ast.unparse(node)


def _of_another(target: ast.expr) -> bool:
    return isinstance(target, ast.Attribute) and not (isinstance(target.value, ast.Name) and target.value.id == "self")


def _is_property(cls: ast.ClassDef, name: str) -> bool:
    found = next(part for part in cls.body if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)) and part.name == name)
    return any(isinstance(mark, ast.Name) and mark.id == "property" for mark in found.decorator_list)


def sources(*packages: str) -> Iterator[tuple[str, ast.Module]]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), parsed(path)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_any_stays_at_the_borders() -> None:
    found = [
        f"{place}:{line}"
        for place, tree in sources("di", "interfaces")
        if place.startswith(ANY_FREE) and not place.startswith(ANY_BORDERS)
        for line in uses_of_any(tree)
    ]
    assert not found, f"Any at {', '.join(found)}"


def test_nobody_hangs_callables_on_another_object() -> None:
    found = [
        f"{place}:{line}: {text}"
        for place, tree in sources("di", "interfaces", "media")
        for line, text in assigned_callables(tree)
    ]
    assert not found, "\n".join(found)


def shared_class_names(trees: Iterable[tuple[str, ast.Module]]) -> Iterator[str]:
    """Public classes of several files under one name, with the files; a private one is its file's own affair."""
    places: dict[str, list[str]] = {}
    for place, tree in trees:
        if place.startswith(OTHERS_NAMES):
            continue
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(place)
    return (f"{name}: {', '.join(where)}" for name, where in places.items() if len(where) > 1 and name not in CONVENTIONAL)


def test_a_class_name_is_used_once() -> None:
    found = list(shared_class_names(sources(*PACKAGES)))
    assert not found, "\n".join(found)


def test_a_class_name_used_twice_is_seen() -> None:
    tree = ast.parse("class Rooms: ...\nclass _Own: ...\nclass Options: ...\n")
    assert list(shared_class_names([("a.py", tree), ("b.py", tree)])) == ["Rooms: a.py, b.py"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("self.peer.on_lost = self.lost", 1),
        ("peer.on_lost = lambda: None", 1),
        ("self.on_lost = self.lost", 0),
        ("peer.count = self.count", 0),
        ("peer.listeners.append(self.lost)", 0),
    ],
)
def test_a_hung_callable_is_seen(text: str, count: int) -> None:
    body = (
        f"class A:\n    @property\n    def count(self): ...\n    def lost(self): ...\n    def go(self, peer):\n        {text}\n"
    )
    assert len(list(assigned_callables(ast.parse(body)))) == count


def test_a_stray_any_is_seen() -> None:
    assert list(uses_of_any(ast.parse("from typing import Any\nx: list[Any] = []\ny = 'Any path'\n"))) == [2]


def test_no_circle_at_run_time_and_few_by_types() -> None:
    trees = structure.modules()
    assert not structure.circles(structure.imports(trees, types=False))
    sizes = [len(circle) for circle in structure.circles(structure.imports(trees, types=True))]
    where = "a type stands in the wrong module, or wants a Protocol: python -m tests.arch.structure shows where"
    assert max(sizes) <= LARGEST_CIRCLE and sum(sizes) <= IN_CIRCLES, where


def test_a_circle_by_types_is_seen() -> None:
    trees = {
        "a": ast.parse("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from b import B\n"),
        "b": ast.parse("def f():\n    import c\n"),
        "c": ast.parse("import a"),
        "d": ast.parse("from a import A"),
    }
    assert structure.circles(structure.imports(trees, types=True)) == [["a", "b", "c"]]
    assert not structure.circles(structure.imports(trees, types=False))
