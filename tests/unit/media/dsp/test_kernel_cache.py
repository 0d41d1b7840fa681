# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiled kernels are good as long as nothing that is in their machine code has changed, and no longer."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from media.dsp import kernel_cache

ROOT = Path(__file__).parents[4]

LOOP = """
from media.dsp.kernel import kernel
from loops.inner import scaled

@kernel
def loop(value):
    return scaled(value) + 1

print(loop(10), sum(loop.stats.cache_hits.values()), sum(loop.stats.cache_misses.values()))
"""
INNER = """
from media.dsp.kernel import inline_kernel
from loops.numbers import SCALE

@inline_kernel
def scaled(value):
    return value * SCALE
"""


@pytest.fixture
def loops(tmp_path: Path) -> Path:
    """A package of its own: `loop`, which inlines `inner`, which has in it a constant of `numbers`; and `other`, which none needs."""
    package = tmp_path / "loops"
    package.mkdir()
    for name, text in {"__init__": "", "loop": LOOP, "inner": INNER, "numbers": "SCALE = 2\n", "other": "OTHER = 2\n"}.items():
        (package / f"{name}.py").write_text(text)
    return package


def run(package: Path) -> tuple[int, int, int]:
    """Call the kernel in a process of its own: what it returned, and how often its code was found and had to be compiled."""
    ours = {"PYTHONPATH": f"{package.parent}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", "import loops.loop"], env=ours, capture_output=True, text=True, check=True)
    value, hits, misses = map(int, done.stdout.split())
    return value, hits, misses


def test_a_changed_constant_of_an_import_is_compiled_in_and_an_unrelated_change_is_not(loops: Path) -> None:
    assert run(loops) == (21, 0, 1)
    assert run(loops) == (21, 1, 0)
    (loops / "other.py").write_text("OTHER = 3\n")
    (loops / "loop.py").touch()
    assert run(loops) == (21, 1, 0)
    (loops / "numbers.py").write_text("SCALE = 3\n")
    assert run(loops) == (31, 0, 1)
    assert run(loops) == (31, 1, 0)
    assert len(list(loops.glob("__pycache__/*.nbi"))) == 1


def test_what_only_a_compiler_needs_is_not_imported_for_machine_code_that_is_there(loops: Path) -> None:
    ours = {"PYTHONPATH": f"{loops.parent}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    program = [sys.executable, "-c", "import sys, loops.loop; print('numba.np.linalg' in sys.modules)"]
    for needed in ("True", "False"):
        done = subprocess.run(program, env=ours, capture_output=True, text=True, check=True)
        assert done.stdout.split()[0] == "21" and done.stdout.split()[-1] == needed


def changed() -> None:
    """A process asks for each file once; this one writes them anew."""
    for asked in (kernel_cache.stamp, kernel_cache._imported_by, kernel_cache._package_of, kernel_cache._digest):
        asked.cache_clear()


def test_every_way_of_importing_is_followed(loops: Path) -> None:
    for text in (
        "import loops.inner",
        "import loops.inner as more",
        "from loops import inner",
        "from loops import (\n    other,\n    inner,\n)",
        "from loops.inner import scaled",
        "def late():\n    from loops.inner import scaled",
        "if False:\n    import loops.inner",
    ):
        (loops / "start.py").write_text(text)
        changed()
        names = {file.name for file in kernel_cache.imported_files(loops / "start.py")}
        assert names - {"other.py"} == {"__init__.py", "start.py", "inner.py", "numbers.py"}, text


def test_a_relative_import_is_refused_rather_than_overlooked(loops: Path) -> None:
    (loops / "start.py").write_text("from .inner import scaled")
    changed()
    with pytest.raises(ValueError, match=r"start\.py:1: .*full names"):
        kernel_cache.stamp(loops / "start.py")


@pytest.mark.parametrize(
    "source", sorted({p for p in (ROOT / "media").rglob("*.py") if "\n@kernel\n" in p.read_text()}), ids=lambda p: p.stem
)
def test_kernels_import_kernels_and_constants_only(source: Path) -> None:
    """Else every change to the engine would compile for half a minute."""
    imported = {file.relative_to(ROOT / "media").parts[0] for file in kernel_cache.imported_files(source)}
    assert imported <= {"__init__.py", "dsp", "engine", "rtp", "io"}
    names = {file.stem for file in kernel_cache.imported_files(source)}
    assert not names & {"records", "engine", "leg", "players", "rooms", "connections"}


NOBODY = 65534


def run_as_nobody(package: Path, home: Path) -> tuple[int, int, int]:
    """The same as a user that may read the package and write nowhere but in `home`, if at all."""
    ours = {"PYTHONPATH": f"{package.parent}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(home)}
    drop = f"import os; os.setgid({NOBODY}); os.setuid({NOBODY}); import loops.loop"
    done = subprocess.run([sys.executable, "-c", drop], env=ours, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    value, hits, misses = map(int, done.stdout.split())
    return value, hits, misses


@pytest.fixture
def open_loops(loops: Path) -> Iterator[Path]:
    """`loops` where another user can come to: not below pytest's folder, which each run of pytest that begins closes to others."""
    if os.getuid() != 0:
        pytest.skip("becoming another user needs root")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield loops.rename(Path(folder) / "loops")


def test_another_user_reads_what_set_up_has_compiled(open_loops: Path) -> None:
    assert run(open_loops) == (21, 0, 1)
    assert run_as_nobody(open_loops, Path("/nonexistent")) == (21, 1, 0)


def test_a_user_who_can_write_nowhere_compiles_and_goes_on(open_loops: Path) -> None:
    assert run_as_nobody(open_loops, Path("/nonexistent")) == (21, 0, 1)


def test_a_user_with_a_home_keeps_there_what_set_up_has_not_compiled(open_loops: Path) -> None:
    home = open_loops.parent / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    assert [run_as_nobody(open_loops, home) for _ in range(2)] == [(21, 0, 1), (21, 1, 0)]
    assert not list(open_loops.glob("__pycache__/*.nbi"))


def test_a_file_cut_off_by_a_full_disk_does_not_stop_a_kernel(loops: Path) -> None:
    assert run(loops) == (21, 0, 1)
    (index,) = loops.glob("__pycache__/*.nbi")
    index.write_bytes(index.read_bytes()[:20])
    assert run(loops) == (21, 0, 1)
    assert run(loops) == (21, 1, 0)


PAIR = "from typing import NamedTuple\n\nclass Pair(NamedTuple):\n    one: int\n    other: int\n"
SUM = """
from media.dsp.kernel import kernel
from loops.{place} import Pair

@kernel
def loop(pair):
    return pair.one + pair.other

print(loop(Pair(1, 2)), sum(loop.stats.cache_hits.values()), sum(loop.stats.cache_misses.values()))
"""


def test_machine_code_of_an_older_version_whose_types_stood_elsewhere_is_not_read(loops: Path) -> None:
    (loops / "first.py").write_text(PAIR)
    (loops / "loop.py").write_text(SUM.format(place="first"))
    assert run(loops) == (3, 0, 1)
    (loops / "first.py").unlink()
    (loops / "second.py").write_text(PAIR)
    (loops / "loop.py").write_text(SUM.format(place="second"))
    assert run(loops) == (3, 0, 1)
    assert run(loops) == (3, 1, 0)
    assert len(list(loops.glob("__pycache__/*.nb?"))) == 2, "the older version's files are gone"
