# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of mails: taken over whole, again after a crash, cleared when nobody needs them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from di.modules.mail import attachments
from di.stores.mailing import MailAttachment


def test_taking_over_links_and_may_be_done_again(tmp_path: Path) -> None:
    folder, source = tmp_path / "files", tmp_path / "message.wav"
    folder.mkdir()
    source.write_bytes(b"sound")
    (folder / "t-0.wav.part").write_bytes(b"what a crash left")
    for _ in range(2):
        [kept] = attachments.take_over(folder, "t", [MailAttachment(source, "../../m.wav")])
        assert (kept.file, os.listdir(folder)) == ("t-0.wav", ["t-0.wav"])
    assert (folder / "t-0.wav").samefile(source)
    source.unlink()
    assert attachments.read_all(folder, [kept]) == [b"sound"]


@pytest.mark.parametrize("suffix", ["wa/v", "..", "w\nav"])
def test_a_suffix_makes_no_path(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "x"
    source.write_bytes(b"sound")

    class Odd(type(source)):  # type: ignore[misc]
        suffix = ""

    odd = Odd(source)
    Odd.suffix = f".{suffix}"
    (tmp_path / "files").mkdir()
    [kept] = attachments.take_over(tmp_path / "files", "t", [MailAttachment(odd, "m")])
    assert kept.file == "t-0"


def test_another_disk_means_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_disk(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(attachments.os, "link", other_disk)
    source = tmp_path / "message.wav"
    source.write_bytes(b"sound")
    (tmp_path / "files").mkdir()
    attachments.take_over(tmp_path / "files", "t", [MailAttachment(source, "m.wav")])
    assert (tmp_path / "files" / "t-0.wav").read_bytes() == b"sound" and os.listdir(tmp_path / "files") == ["t-0.wav"]


def test_a_file_that_will_be_somebody_elses_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "message.wav"
    source.write_bytes(b"sound")
    (tmp_path / "files").mkdir()
    [kept] = attachments.take_over(tmp_path / "files", "t", [MailAttachment(source, "m.wav", copied=True)])
    assert not (tmp_path / "files" / kept.file).samefile(source) and os.listdir(tmp_path / "files") == ["t-0.wav"]


def test_a_file_that_is_gone_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"gone\.wav"):
        attachments.take_over(tmp_path, "t", [MailAttachment(tmp_path / "gone.wav", "m.wav")])
    assert os.listdir(tmp_path) == []


def test_old_files_that_belong_to_nothing_go(tmp_path: Path) -> None:
    for name in ("needed", "orphan"):
        (tmp_path / name).write_bytes(b"x")
    assert attachments.clear(tmp_path, {"needed"}, 0) == 0
    assert attachments.clear(tmp_path, {"needed"}, 4e9) == 1 and os.listdir(tmp_path) == ["needed"]
