# SPDX-License-Identifier: GPL-2.0-or-later
"""Which back-quoted names in docstrings exist. `test_docstring_names` runs it over the tree.

What may stand between back quotes, and when it is right:

    name, name(…)        the module's own code, or that of a module that it imports or that stands beside it, has this name: a function,
                         class, parameter, field. Or it is a word of the tree: a text without blanks (of DSM, DI, a state …), a field
                         of an options class (a configuration's key), back-quoted in the specification (a function of SEMS)
    Class.member         a class of this name has (or inherits) the member; `session.audio` is one of Session
    module.name          a module of this folder, or one that is imported, defines the name
    di.calls.flow        the module exists, and has what follows
    x.py, etc/x          the file exists: in the folder, or from the root
    anything else        literal text (it has a space, a sign, a digit in front …): not looked at
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = ("di", "interfaces", "media", "clients", "tests")
_QUOTED = re.compile(r"(?<!`)(`{1,2})([^`\n]+)\1(?!`)")
_NAME = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:\([^()]*\))?")
_FILE = re.compile(r"[\w./-]+\.(?:py|md|mjs|js|toml|dsm|html|css)|(?:di|interfaces|media|clients|etc|tests|docs)/[\w./-]*")
_WORD = re.compile(r"[A-Za-z_][\w.]*\w")


@dataclass
class Module:
    """What one file defines, uses and says. `members`: class → its methods, fields and bases."""

    path: Path
    name: str
    docstrings: list[tuple[int, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    top: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)
    members: dict[str, set[str]] = field(default_factory=dict)
    bases: dict[str, set[str]] = field(default_factory=dict)


def read(path: Path, name: str, text: str) -> Module:
    """Look through one file."""
    module = Module(path, name)
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            module.docstrings.append((node.lineno, node.value.value))
            node.value = ast.Constant(None)
    for node in ast.walk(tree):
        _take(module, node)
    for statement in tree.body:
        module.top |= _defined(statement)
    return module


def _take(module: Module, node: ast.AST) -> None:
    match node:
        case ast.ClassDef():
            module.names.add(node.name)
            module.members[node.name] = {name for part in ast.walk(node) for name in _member(part)}
            module.bases[node.name] = {ast.unparse(base).split("[")[0].rpartition(".")[2] for base in node.bases}
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            module.names.add(node.name)
        case ast.Name():
            module.names.add(node.id)
        case ast.Attribute():
            module.names.add(node.attr)
        case ast.arg() | ast.keyword() if node.arg:
            module.names.add(node.arg)
        case ast.Import():
            module.imports |= {alias.name for alias in node.names}
        case ast.ImportFrom() if node.module:
            module.imports |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            module.names |= {alias.asname or alias.name for alias in node.names}
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="split")):
            module.texts |= set(text.split())
        case ast.Constant(value=str(text)) if text and not re.search(r"\s", text):
            module.texts |= {text, *_WORD.findall(text)}


def _member(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield node.name
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            yield name


def _defined(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {statement.name}
        case ast.ImportFrom() | ast.Import():
            return {alias.asname or alias.name for alias in statement.names}
        case ast.If() | ast.Try():
            return set().union(
                *(_defined(part) for part in ast.walk(statement) if isinstance(part, ast.stmt) and part is not statement)
            )
    return {part.id for part in ast.walk(statement) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


class Tree:
    """All modules below a root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules: dict[str, Module] = {}
        for package in PACKAGES:
            for path in sorted((root / package).rglob("*.py")):
                name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
                self.modules[name] = read(path, name, path.read_text())
        self.texts = set().union(*(module.texts for module in self.modules.values()))
        self.texts |= set().union(*(module.names for name, module in self.modules.items() if name.endswith("options")))
        for page in (root / "docs" / "spec").glob("*.md"):
            self.texts |= set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", page.read_text()))))
        self._classes: dict[str, list[Module]] = {}
        for module in self.modules.values():
            for cls in module.members:
                self._classes.setdefault(cls, []).append(module)

    def unknown(self, module: Module) -> list[tuple[int, str]]:
        """Line and name of what a module's docstrings name and nobody has."""
        near = self._near(module)
        found: list[tuple[int, str]] = []
        for line, text in module.docstrings:
            for quoted in _QUOTED.finditer(text):
                if not self._is_there(quoted[2].strip(), module, near):
                    found.append((line + text.count("\n", 0, quoted.start()), quoted[2]))
        return found

    def _near(self, module: Module) -> list[Module]:
        """The module, what it imports, what stands beside it."""
        folder = module.path.parent
        wanted = {module.name, *module.imports}
        return [other for name, other in self.modules.items() if name in wanted or other.path.parent == folder]

    def _is_there(self, text: str, module: Module, near: list[Module]) -> bool:
        if _FILE.fullmatch(text):
            places = (self.root, module.path.parent, *module.path.parents)
            return any((place / text).exists() for place in places) or text in self.texts
        named = _NAME.fullmatch(text)
        if named is None:
            return True
        name = named[1]
        parts = name.split(".")
        if name in self.texts or keyword.iskeyword(name) or hasattr(builtins, parts[0]):
            return True
        if len(parts) == 1:
            return any(name in other.names or other.name.rpartition(".")[2] == name for other in near) or name in PACKAGES
        return self._dotted(parts, module, near)

    def _dotted(self, parts: list[str], module: Module, near: list[Module]) -> bool:
        for length in range(len(parts), 0, -1):
            found = self.modules.get(".".join(parts[:length]))
            if found is not None:
                return self._has(found, parts[length:])
        cls = parts[0] if parts[0] in self._classes else parts[0].title().replace("_", "")
        if cls in self._classes and self._has_member(cls, parts[1], set()):
            return True
        if parts[0] in self._classes:
            return False
        beside = [other for other in near if other.name.rpartition(".")[2] == parts[0]]
        if beside:
            return any(self._has(other, parts[1:]) for other in beside)
        if parts[0] in module.imports:
            return True  # a library's
        return all(any(part in other.names or part in other.texts for other in near) for part in parts)

    def _has(self, module: Module, rest: list[str]) -> bool:
        if not rest:
            return True
        if rest[0] not in module.top:
            return False
        return len(rest) == 1 or rest[0] not in module.members or self._has_member(rest[0], rest[1], set())

    def _has_member(self, cls: str, member: str, seen: set[str]) -> bool:
        if cls in seen:
            return False
        seen.add(cls)
        if cls not in self._classes:
            return True  # a library's: not looked into
        return any(
            member in module.members[cls]
            or any(base in self._classes and self._has_member(base, member, seen) for base in module.bases[cls])
            for module in self._classes[cls]
        )
