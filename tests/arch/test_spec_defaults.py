# SPDX-License-Identifier: GPL-2.0-or-later
"""Every key of sems.conf that docs/spec/core.md §3 lists is known here, and has SEMS's default unless docs/differences.md says otherwise."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from di.kernel.options import describe
from di.kernel.server_options import CoreOptions, parse_limit

DOCS = Path(__file__).resolve().parents[2] / "docs"
DIFFERENT = {
    "sip_ip": "sip_ip", "media_ip": "sip_ip", "rtp_low_port": "rtp_low_port", "rtp_high_port": "rtp_high_port", "fork": "fork",
    "force_symmetric_rtp": "force_symmetric_rtp", "plugin_config_path": "", "daemon": "fork",
}  # fmt: skip
"""Key → the word under which docs/differences.md has it; empty: the spec's default is a path of its own installation."""
ELSEWHERE = {"interfaces", "daemon", "plugin_path"}
"""Keys that are read before these options are."""


def rows() -> Iterator[tuple[str, str]]:
    """Key and default of each row of §3's tables."""
    text = (DOCS / "spec" / "core.md").read_text()
    for line in text[text.index("\n## 3.") : text.index("\n## 4.")].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) < 3:
            continue
        keys = re.findall(r"`([A-Za-z0-9_]+)`", cells[0])
        for place, key in enumerate(keys):
            defaults = cells[1].split(" / ")
            yield key, defaults[place] if len(defaults) == len(keys) > 1 else cells[1]


def options() -> dict[str, Any]:
    """Our defaults by the key of the file."""
    return {info.key: info.default for info in describe(CoreOptions).values()}


def said(default: str) -> Any:
    """A default of the table as a value of ours."""
    text = default.strip("`")
    if text in ("–", "empty"):
        return None
    if text in ("yes", "no"):
        return text == "yes"
    number = re.fullmatch(r"([0-9]+)(?: (?:s|ms)| \(.*\))?", text)
    return int(number[1]) if number else text


def same(ours: Any, theirs: Any) -> bool:
    return not ours if theirs is None else ours == theirs


ROWS = sorted(set(rows()))


def test_the_tables_were_found() -> None:
    assert len(ROWS) > 70 and ("dead_rtp_time", "300 s") in ROWS


@pytest.mark.parametrize("key", sorted({key for key, _ in ROWS}))
def test_each_key_is_known(key: str) -> None:
    ignored = any(fnmatch.fnmatchcase(key, pattern) for pattern in CoreOptions.IGNORED)
    assert key in options() or ignored or key in ELSEWHERE


@pytest.mark.parametrize(("key", "default"), [(key, default) for key, default in ROWS if key in options()])
def test_each_default_is_the_same(key: str, default: str) -> None:
    if key in DIFFERENT:
        assert DIFFERENT[key] in (DOCS / "differences.md").read_text()
        assert not same(options()[key], said(default)), "no difference any more: take it out of the list"
    elif "session_limit" in key or key == "cps_limit":
        assert options()[key] == parse_limit("0;503;Server overload")
    elif key == "sip_timer_C":
        assert f"C {options()[key]}," in default
    elif key == "shutdown_mode_reply":
        assert " ".join(map(str, options()[key])) == said(default)
    else:
        assert same(options()[key], said(default)), f"{options()[key]!r}, SEMS has {default}"
