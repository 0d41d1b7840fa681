# SPDX-License-Identifier: GPL-2.0-or-later
"""DI `status`: processes, media counters, readiness."""

from __future__ import annotations

import os
from pathlib import Path

from di.calls.no_process import NoMedia
from di.kernel.ports import MEDIA_FIGURES
from di.server.status import usage
from tests.support.bare_hub import bare_services, invoke


def test_media_figures_are_those_of_the_last_report() -> None:
    services, _ = bare_services()
    assert invoke(services, "status", "media") == []
    services.capabilities.provide(MEDIA_FIGURES, lambda: {0: {"legs": 2, "cpu": 0.25}, 1: {"legs": 0, "cpu": 0.0}})
    assert invoke(services, "status", "media") == [{"number": 0, "legs": 2, "cpu": 0.25}, {"number": 1, "legs": 0, "cpu": 0}]


def test_processes_and_overview() -> None:
    services, clock = bare_services()
    (hub,) = invoke(services, "status", "processes")  # type: ignore[misc, assignment]
    assert isinstance(hub, dict) and (hub["role"], hub["pid"], hub["restarts"]) == ("hub", os.getpid(), 0)
    assert hub["memory_bytes"] > 1_000_000 and hub["cpu_s"] > 0  # type: ignore[operator]
    overview = invoke(services, "status", "overview")
    assert isinstance(services.sessions.media, NoMedia)
    assert overview == {
        "signature": "cordboard", "now": clock.epoch_s(), "plugins": [], "login": False,
        "problems": {"sip": "the SIP process is not up", "media": "the media process is not up"},
    }  # fmt: skip


def test_usage_of_processes_with_odd_names_and_of_none(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    tick_s = os.sysconf("SC_CLK_TCK")
    (tmp_path / "7" / "stat").write_text(f"7 (a) b (c) S {' '.join(['0'] * 10)} {3 * tick_s} {2 * tick_s} 0 0\n")
    (tmp_path / "7" / "statm").write_text("100 25 0 0 0 0 0\n")
    assert usage(7, tmp_path) == (5.0, 25 * os.sysconf("SC_PAGE_SIZE"))
    assert usage(8, tmp_path) == (0.0, 0)
