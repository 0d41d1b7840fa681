# SPDX-License-Identifier: GPL-2.0-or-later
"""precoded_announce: which payloads it speaks, and definitions that it refuses to start with."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.apps.precoded_announce.app import payloads_of
from media.control.predef import PredefError


def test_payloads_are_those_of_the_definition_in_its_order(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "x.predef").write_text("9;G722;16000;1;;20;160;a\n8;pcma;8000;1;;20;160;b\n")
    assert payloads_of(tmp_path / "x.predef") == ("G722/8000", "PCMA/8000")


@pytest.mark.parametrize(("text", "says"), [("", "no payload"), ("8;PCMA;8000;1;;20;160;gone\n", "x.predef:1: there is no file")])
def test_what_cannot_be_announced_stops_the_start(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "x.predef").write_text(text)
    with pytest.raises(PredefError, match=says):
        payloads_of(tmp_path / "x.predef")
    with pytest.raises(PredefError, match="No such file"):
        payloads_of(tmp_path / "none.predef")
