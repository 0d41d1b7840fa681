# SPDX-License-Identifier: GPL-2.0-or-later
"""The numbers of ARCHITECTURE.md §8, from the source: `.venv/bin/python -m tests.arch.structure` prints them and every circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("di", "interfaces", "media", "clients")

Imports = Mapping[str, frozenset[str]]
"""Module → modules of the tree that it imports."""

_HOLDERS = (ast.stmt, ast.excepthandler, ast.match_case)
"""What statements stand in; an expression holds no import."""


def modules(root: Path = ROOT) -> dict[str, ast.Module]:
    """Every module of the product by its dotted name; a package is named without `__init__`."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text())
    return found


def imports(trees: Mapping[str, ast.Module], *, types: bool) -> Imports:
    """Who imports whom; with `types` also what only the type checker imports."""
    return {name: frozenset(_imported(tree, trees, types) - {name}) for name, tree in trees.items()}


def _imported(tree: ast.Module, known: Mapping[str, ast.Module], types: bool) -> set[str]:
    found: set[str] = set()
    for node in _import_nodes(tree, types):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif node.module is not None:
            found |= {whole if (whole := f"{node.module}.{alias.name}") in known else node.module for alias in node.names}
    return found & known.keys()


def _import_nodes(node: ast.AST, types: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        elif isinstance(child, _HOLDERS) and (types or not _is_for_types(child)):
            yield from _import_nodes(child, types)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def circles(graph: Imports) -> list[list[str]]:
    """Sets of modules that import each other, directly or by others; the largest first (strongly connected components)."""
    reached = {name: _reach(graph, name) for name in graph}
    found: dict[frozenset[str], None] = {}
    for name in graph:
        group = frozenset(other for other in reached[name] if name in reached[other])
        if group:
            found[group] = None
    return sorted((sorted(group) for group in found), key=lambda group: (-len(group), group))


def _reach(graph: Imports, start: str) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for name in graph[todo.pop()]:
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen


def package_arrows(graph: Imports) -> set[tuple[str, str]]:
    """Arrows between packages, two levels deep (`di.calls → media.control`)."""
    short = {name: ".".join(name.split(".")[:2]) for name in graph}
    return {(short[one], short[other]) for one, others in graph.items() for other in others if short[one] != short[other]}


def longest_parameter_list(trees: Mapping[str, ast.Module]) -> tuple[int, str]:
    """Most parameters of one function, `self` aside, and whose they are."""
    return max(
        (len([a for a in _arguments(node) if a.arg not in ("self", "cls")]), f"{name}.{node.name}")
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def uses_of(trees: Mapping[str, ast.Module], word: str) -> int:
    """How often a name is used, imports aside."""
    return sum(isinstance(node, ast.Name) and node.id == word for tree in trees.values() for node in ast.walk(tree))


def public_methods(tree: ast.Module, of: str) -> list[str]:
    """Public methods and properties of a class."""
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == of)
    return [part.name for part in found.body if isinstance(part, ast.FunctionDef) and not part.name.startswith("_")]


def main() -> None:
    """Print all of it."""
    trees = modules()
    by_types = circles(imports(trees, types=True))
    print("arrows between packages, two levels deep:", len(package_arrows(imports(trees, types=True))))
    print("  of them at run time:", len(package_arrows(imports(trees, types=False))))
    print("circles at run time:", len(circles(imports(trees, types=False))))
    print(f"modules in circles that types make: {sum(map(len, by_types))} in {len(by_types)} circles")
    for circle in by_types:
        print(f"  {len(circle):2}: {' '.join(circle)}")
    print("longest parameter list: {} ({})".format(*longest_parameter_list(trees)))
    print("Any:", uses_of(trees, "Any"))
    print("public methods of Session:", len(public_methods(trees["di.calls.session"], "Session")))


if __name__ == "__main__":
    main()
