# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/unit mirrors the source: a test file stands where the module or the folder stands that it tests, under its name."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]

EXCEPTIONS = {
    "di/apps/test_shared_page.py": "runs the examples of docs/apps-shared.md",
    "clients/panel/test_scripts.py": "starts the panel's own tests, which are JavaScript",
    "di/dsm/test_presentation_2009.py": "two programs from outside, run through the whole of DSM",
    "di/dsm/test_vectors.py": "the specification's vectors, from tokens to a running diagram",
    "interfaces/test_half_characters.py": "one rule of all gateways",
}
"""A path below tests/unit and why it has no source of its name."""


def stray(tests: Path, root: Path) -> list[str]:
    """Test files below `tests` that have no source of their name below `root`."""
    found = []
    for test in sorted(tests.rglob("test_*.py")):
        place = root / test.relative_to(tests).parent
        name = test.stem.removeprefix("test_")
        if not any(source.exists() for source in (place / f"{name}.py", place / f"__{name}__.py", place / name)):
            found.append(str(test.relative_to(tests)))
    return found


def test_each_unit_test_stands_where_its_source_stands() -> None:
    assert stray(ROOT / "tests" / "unit", ROOT) == sorted(EXCEPTIONS)


def test_a_stray_one_would_be_found(tmp_path: Path) -> None:
    for name in (
        "source/part.py",
        "source/folder/x.py",
        "tests/source/test_part.py",
        "tests/source/test_folder.py",
        "tests/test_gone.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert stray(tmp_path / "tests", tmp_path) == ["test_gone.py"]
