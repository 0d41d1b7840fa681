# SPDX-License-Identifier: GPL-2.0-or-later
"""What a caller from outside can have loaded: what lies in folders that dsm.conf names. Code runs only for scripts that dsm.conf trusts."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.dsm.load.jail import CODE_MODULES, Jail, inside
from tests.support.dsm_server import server

HARMLESS = "initial state A;"
EVIL = "import(mod_sys); initial state A enter { sys.popen($x=id) };"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dsm").mkdir()
    (tmp_path / "away").mkdir()
    return tmp_path


def test_inside_follows_links_and_dots(tmp_path: Path) -> None:
    jail, away = tmp_path / "jail", tmp_path / "jailer"
    jail.mkdir()
    away.mkdir()
    (jail / "link").symlink_to(away)
    (away / "back").symlink_to(jail)
    allowed = (str(jail),)
    for path, expected in {
        jail: True, jail / "x": True, jail / "no" / "such": True, away / "back" / "x": True, away: False, jail / "link" / "x": False,
        jail / ".." / "jailer": False, "": False, "x\0": False,
    }.items():  # fmt: skip
        assert inside(str(path), allowed) is expected, path
    assert not inside(str(jail), ()) and not inside(str(jail), ("",))


@pytest.mark.parametrize("function", ["loadDSMWithPath", "loadDSMWithPaths"])
@pytest.mark.parametrize("way", ["the folder itself", "dots", "a link"])
def test_a_script_from_anywhere_is_refused(folder: Path, function: str, way: str) -> None:
    away = folder / "away"
    (away / "more.dsm").write_text(HARMLESS)
    (folder / "dsm" / "link").symlink_to(away)
    path = {"the folder itself": away, "dots": folder / "dsm" / ".." / "away", "a link": folder / "dsm" / "link"}[way]
    book = server(folder, {"t": HARMLESS})
    code, text = book.invoke("dsm", function, "more", str(path), "")
    assert code == 500 and "load_folders in dsm.conf" in text
    assert book.invoke("dsm", "hasDSM", "more") == ["0"]


def test_the_module_folder_is_jailed_alike(folder: Path) -> None:
    (folder / "away" / "mod_mine.py").write_text("raise SystemExit('the code has run')\n")
    (folder / "dsm" / "more.dsm").write_text("import(mod_mine); initial state A;")
    book = server(folder, {"t": HARMLESS})
    for arguments in (
        ("loadDSMWithPath", "more", str(folder / "dsm"), str(folder / "away")),
        ("preloadModule", "mod_mine", str(folder / "away")),
        ("preloadModule", "mod_mine", ""),
    ):
        code, text = book.invoke("dsm", *arguments)
        assert code == 500 and "load_folders" in text
    assert book.invoke("dsm", "preloadModule", "mod_utils", "")[0] == 200


def test_a_configuration_from_anywhere_is_refused(folder: Path) -> None:
    away = folder / "away"
    (away / "evil.dsm").write_text(EVIL)
    (away / "evil.conf").write_text(f"diag_path={away}/\nload_diags=evil\nrun_system_dsms=evil\n")
    book = server(folder, {"t": HARMLESS})
    assert book.invoke("dsm", "loadConfig", str(away / "evil.conf"), "evil.conf") == [500, "reload config failed"]
    book = server(folder, {"t": HARMLESS}, f"load_folders={away}")
    assert book.invoke("dsm", "loadConfig", str(away / "evil.conf"), "evil.conf")[0] == 500, "mod_sys is another permission"
    (away / "evil.dsm").write_text(HARMLESS)
    assert book.invoke("dsm", "loadConfig", str(away / "evil.conf"), "evil.conf")[0] == 200


@pytest.mark.parametrize("module", sorted(CODE_MODULES))
def test_code_needs_a_folder_that_allows_it(folder: Path, module: str) -> None:
    script = f"import({module}); initial state A;"
    (folder / "away" / "more.dsm").write_text(script)
    (folder / "dsm" / "own.dsm").write_text(script)
    book = server(folder, {"t": HARMLESS}, "load_folders=away")
    assert book.invoke("dsm", "loadDSM", "own")[0] == 200, "diag_path is trusted where code_folders is not set"
    code, text = book.invoke("dsm", "loadDSMWithPath", "more", str(folder / "away"), "")
    assert code == 500 and module in text and "code_folders" in text
    book = server(folder, {"t": HARMLESS}, "load_folders=away\ncode_folders=away")
    assert book.invoke("dsm", "loadDSMWithPath", "more", str(folder / "away"), "")[0] == 200
    assert book.invoke("dsm", "loadDSM", "own")[0] == 500, "now only what it names"


def test_an_empty_jail_lets_nothing_through() -> None:
    with pytest.raises(Exception, match="none of the folders"):
        Jail((), ()).check_load("/", "it")
