# SPDX-License-Identifier: GPL-2.0-or-later
"""What an application may read and write: its folders, whatever it writes for a path."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interfaces.apps.files import NoSuchFile, Reach


@pytest.fixture
def reach(tmp_path: Path) -> Reach:
    for name in ("own", "prompts", "recordings"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.wav").write_text(name)
    (tmp_path / "secret.wav").write_text("secret")
    return Reach(tmp_path / "own", tmp_path / "prompts", tmp_path / "recordings")


def test_its_own_file_comes_first_then_the_prompts(reach: Reach, tmp_path: Path) -> None:
    assert reach.readable("a.wav") == str(tmp_path / "own" / "a.wav")
    (tmp_path / "own" / "a.wav").unlink()
    assert reach.readable("a.wav") == str(tmp_path / "prompts" / "a.wav")
    assert reach.readable(str(tmp_path / "recordings" / "a.wav")) == str(tmp_path / "recordings" / "a.wav")


def test_a_link_that_leads_out_is_out(reach: Reach, tmp_path: Path) -> None:
    (tmp_path / "own" / "link.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(NoSuchFile):
        reach.readable("link.wav")
    (tmp_path / "recordings" / "deep").symlink_to(tmp_path)
    (tmp_path / "recordings" / "r.wav").symlink_to(tmp_path / "secret.wav")
    for name in ("deep/x.wav", "r.wav"):
        with pytest.raises(NoSuchFile):
            reach.writable(name)


def test_without_a_folder_nothing_is_recorded(reach: Reach) -> None:
    with pytest.raises(NoSuchFile, match="record_path"):
        Reach(reach.own, None, None).writable("a.wav")


@given(
    st.one_of(st.text(max_size=30), st.lists(st.sampled_from(["..", ".", "a.wav", "", "x", "/", "~"]), max_size=6).map("/".join))
)
@example("../secret.wav")
@example("/etc/hostname")
@example("a\0b")
def test_no_path_leads_out(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for one in ("own", "recordings"):
            (root / one).mkdir()
            (root / one / "a.wav").write_text(one)
        (root / "secret.wav").write_text("secret")
        reach = Reach(root / "own", None, root / "recordings")
        for function, folders in ((reach.readable, ("own", "recordings")), (reach.writable, ("recordings",))):
            try:
                path = Path(function(name)).resolve()
            except NoSuchFile:
                continue
            assert any(path.is_relative_to(root / one) for one in folders), path
