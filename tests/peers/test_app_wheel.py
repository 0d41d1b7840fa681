# SPDX-License-Identifier: GPL-2.0-or-later
"""The wheel of clients/app in an environment that has nothing but it, msgpack and pytest: as who writes an application has it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.server import ROOT

pytestmark = pytest.mark.peers

NEEDED = ("msgpack", "pytest", "_pytest", "py.py", "pluggy", "iniconfig", "packaging", "pygments")
"""What pip would fetch: msgpack, and the extra `test`."""


def run(*command: str | Path, cwd: Path) -> str:
    """Run to the end, which must be a good one."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(cwd)}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment's."""
    folder = tmp_path_factory.mktemp("wheel")
    run(ROOT / "etc" / "setup" / "wheel.sh", folder / "dist", cwd=ROOT)
    (wheel,) = (folder / "dist").glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "fresh", cwd=folder)
    python = folder / "fresh" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", wheel, cwd=folder)
    others = folder / "others"
    others.mkdir()
    for name in NEEDED:
        (others / name).symlink_to(Path(sysconfig.get_path("purelib")) / name)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    (Path(site) / "others.pth").write_text(f"{others}\n")
    return python


def test_an_application_is_made_and_tested(python: Path, tmp_path: Path) -> None:
    command = python.parent / "cordboard-app"
    assert "card.py" in run(command, "new", "card", cwd=tmp_path)
    assert "2 passed" in run(python, "-m", "pytest", "-q", ".", cwd=tmp_path)
    again = subprocess.run([command, "new", "card"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 1 and "card.py is there already" in again.stderr
    (tmp_path / "card.py").write_text((tmp_path / "card.py").read_text().replace("thanks.wav", "bye.wav"))
    failed = subprocess.run([python, "-m", "pytest", "-q", "."], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "thanks.wav was not heard, but bye.wav, and the call has ended" in failed.stdout
    assert "──► key #" in failed.stdout and "◄── log code=42" in failed.stdout


def test_what_it_has_is_typed(python: Path, tmp_path: Path) -> None:
    run(python.parent / "cordboard-app", "new", "card", cwd=tmp_path)
    with (tmp_path / "card.py").open("a") as file:
        file.write("reveal_type(app.handler)\n")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--python-executable",
        python,
        "--cache-dir",
        tmp_path / "cache",
        "card.py",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "clients.app.call.Call" in done.stdout and "error" not in done.stdout, done.stdout + done.stderr


def test_nothing_else_is_needed_until_it_attaches(python: Path, tmp_path: Path) -> None:
    run(python, "-c", "import clients.app.worker, clients.app.testing, clients.app.command", cwd=tmp_path)
    listed = subprocess.run(
        [python.parent / "cordboard-app", "list", "--url", "http://127.0.0.1:9/jsonrpc"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert listed.returncode == 1 and "127.0.0.1:9" in listed.stderr
    (tmp_path / "a.py").write_text("")
    worker = [python, "-m", "clients.app.worker", "--attach", "ws://127.0.0.1:9/apps", tmp_path / "a.py"]
    refused = subprocess.run(worker, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 1 and "cordboard-app[attach]" in refused.stderr and "Traceback" not in refused.stderr
