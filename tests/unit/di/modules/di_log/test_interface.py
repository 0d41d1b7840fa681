# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from di.kernel.config import ConfigFile
from di.kernel.errors import CallFailed, ConfigError, NotImplementedInDI, OutOfBounds, TypeMismatch
from di.kernel.options import load
from di.modules import di_log
from di.server.services import Services
from tests.support.bare_hub import bare_services, invoke

log = logging.getLogger("test.di_log")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dumps" / "sub").mkdir(parents=True)
    return tmp_path / "dumps"


@pytest.fixture
def services(folder: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Services]:
    caplog.set_level(logging.INFO)
    services, _ = bare_services()
    close: Any = di_log.PLUGIN.start(services, di_log.Options(dump_directory=folder))
    yield services
    close()


def lines(services: Services) -> list[str]:
    (text,) = invoke(services, "di_log", "dumplog")  # type: ignore[misc]
    assert isinstance(text, str)
    return text.splitlines()


def test_lines_come_as_logged_oldest_first(services: Services) -> None:
    log.info("first")
    log.error("second %d", 2)
    log.debug("below the level")
    first, second = lines(services)
    assert first.endswith("] INFO: first") and first[:4].isdigit() and " hub [" in first
    assert second.endswith("] ERROR: second 2")


def test_the_ring_keeps_1000_lines_of_256_characters(services: Services) -> None:
    log.info("x" * 1000)
    assert len(lines(services)[0]) == 256
    for number in range(1500):
        log.info("line %d", number)
    kept = lines(services)
    assert len(kept) == 1000
    assert kept[0].endswith("line 500") and kept[-1].endswith("line 1499")


def test_a_traceback_takes_one_line(services: Services) -> None:
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("it failed")
    assert [line.rpartition("] ")[2] for line in lines(services)] == ["ERROR: it failed"]


def test_help_and_list(services: Services) -> None:
    assert invoke(services, "di_log", "help") == ["dumplog\ndumplogtodisk <path>\n"]
    with pytest.raises(NotImplementedInDI):
        invoke(services, "di_log", "_list")
    with pytest.raises(OutOfBounds):
        invoke(services, "di_log", "dumplogtodisk")
    with pytest.raises(TypeMismatch):
        invoke(services, "di_log", "dumplogtodisk", 1)


def test_dump_to_disk(services: Services, folder: Path) -> None:
    log.info("hello")
    target = folder / "sub" / "log"
    target.write_text("x" * 10000)
    assert invoke(services, "di_log", "dumplogtodisk", str(target)) == ["dumped to disk.\n"]
    assert target.read_text().endswith("INFO: hello\n") and "x" * 100 not in target.read_text()
    invoke(services, "di_log", "dumplogtodisk", str(folder / "new"))
    assert (folder / "new").stat().st_mode & 0o777 == 0o600


def test_dump_to_disk_answers_the_same_when_it_cannot(services: Services, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert invoke(services, "di_log", "dumplogtodisk", str(folder / "none" / "log")) == ["dumped to disk.\n"]
    assert "cannot be written: No such file" in caplog.text


def escapes(folder: Path) -> list[str]:
    """Paths that lead out of the folder, or to something that is no file."""
    out = folder.parent / "out"
    ups = [str(folder / "/".join([".."] * n) / "out") for n in range(1, 12)]
    mixed = [f"{folder}/sub/{up}/out" for up in ("../..", "./../..", "..//..", "../sub/../..", "../../dumps/..")]
    plain = [
        str(out),
        "/etc/passwd",
        "/dev/null",
        "/proc/self/mem",
        "relative",
        "./log",
        "..",
        "",
        ".",
        "/",
        "//",
        "~/.profile",
        str(folder),
    ]
    links = [str(folder / "link"), str(folder / "folderlink" / "out"), str(folder / "folderlink" / ".." / "out")]
    odd = [
        f"{folder}\0/log",
        f"{folder}/../dumps2/log",
        f"{folder}/..",
        f"{folder}/sub/..",
        f"{folder}2/log",
        "\\\\host\\x",
        "file:///etc/x",
    ]
    encoded = [f"{folder}/%2e%2e/%2e%2e/out", f"{folder}/..%2fout", f"{folder}/..\\out", f"{folder}/．．/out"]
    loops = [
        str(folder / "loop" / "x"),
        str(folder / "fifo"),
        "/" * 50 + "etc/x",
        "/../" * 20 + "etc/x",
        f"{folder}/sub/../../../" + "x/" * 3,
    ]
    return [
        *ups,
        *mixed,
        *plain,
        *links,
        *odd,
        *encoded,
        *loops,
        f"{folder}/a\nb/../../../out",
        f"/proc/self/cwd{folder}/../out",
        f"/tmp/../{out}",
    ]


def test_no_path_leads_out_of_the_folder(services: Services, folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent / "out")
    (folder / "folderlink").symlink_to(folder.parent)
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "fifo")
    before = sorted(p.name for p in folder.parent.iterdir())
    paths = escapes(folder)
    assert len(paths) >= 50
    for path in paths:
        with contextlib.suppress(CallFailed):
            invoke(services, "di_log", "dumplogtodisk", path)
        assert sorted(p.name for p in folder.parent.iterdir()) == before, path
    made = {p.name for p in folder.iterdir()} - {"sub", "link", "folderlink", "loop", "fifo"}
    assert made == {"..%2fout", "..\\out"}, "odd names, but inside"


def test_options(tmp_path: Path) -> None:
    conf = tmp_path / "di_log.conf"
    conf.write_text(f"dump_directory={tmp_path}\n")
    assert load(di_log.Options, ConfigFile.read(conf), {}, "di_log").dump_directory == tmp_path
    conf.write_text("dump_directory=relative\n")
    with pytest.raises(ConfigError, match="absolute path of a folder"):
        load(di_log.Options, ConfigFile.read(conf), {}, "di_log")


def test_nothing_is_kept_after_the_end() -> None:
    services, _ = bare_services()
    before = list(logging.getLogger().handlers)
    close: Any = di_log.PLUGIN.start(services, di_log.Options())
    assert len(logging.getLogger().handlers) == len(before) + 1
    close()
    assert logging.getLogger().handlers == before
    assert services.registry.interface("di_log") is None
