# SPDX-License-Identifier: GPL-2.0-or-later
"""Every back-quoted name in a docstring exists; the rules are those of `docstring_names`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.arch.docstring_names import Tree

ROOT = Path(__file__).parents[2]
SKIPPED = ("di/apps/api.py",)
"""It names modules of `di/apps` that are still to come; empty this then."""


@pytest.fixture(scope="module")
def tree() -> Tree:
    return Tree(ROOT)


def test_named_things_exist(tree: Tree) -> None:
    found: list[str] = []
    for module in tree.modules.values():
        place = module.path.relative_to(ROOT).as_posix()
        if not place.startswith(SKIPPED):
            found += [f"{place}:{line}: there is no `{name}`" for line, name in tree.unknown(module)]
    assert not found, "\n" + "\n".join(found)


SOURCE = '''"""`Speaker.say`, `beside.listen(…)`, `di.beside`, `beside.py`; `two words`, `-x`, `"text"` and `$(name)` are text."""


class Base:
    def say(self, word: str) -> str:
        """Say `word`."""
        return word + "polite"


class Speaker(Base):
    """`say` is %s."""
'''


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        ("word", True),
        ("polite", True),
        ("listen", True),
        ("Base.say", True),
        ("di.beside.listen", True),
        ("gone", False),
        ("Base.gone", False),
        ("Gone.say", False),
        ("beside.gone", False),
        ("di.beside.gone", False),
        ("di.gone", False),
        ("gone.py", False),
        ("gone()", False),
    ],
)
def test_a_name_that_is_gone_is_found(tmp_path: Path, name: str, fine: bool) -> None:
    (tmp_path / "di").mkdir()
    (tmp_path / "di" / "beside.py").write_text("def listen() -> None:\n    pass\n")
    (tmp_path / "di" / "here.py").write_text(SOURCE % f"`{name}`")
    tree = Tree(tmp_path)
    assert tree.unknown(tree.modules["di.here"]) == ([] if fine else [(11, name)])
