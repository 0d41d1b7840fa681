# SPDX-License-Identifier: GPL-2.0-or-later
"""Session timer keys in an application's own file."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.apps.echo.app import Options
from di.kernel.config import ConfigFile, parse
from di.kernel.errors import ConfigError
from di.kernel.options import load
from di.sip.records import SessionTimer


def read(text: str) -> Options:
    conf = ConfigFile("echo.conf")
    parse(text, conf, Path("/"), lambda path: "")
    return load(Options, conf, {}, "echo")


def test_an_interval_only_where_it_is_switched_on() -> None:
    assert read("").session_timer() is None and read("session_expires=200").session_timer() is None
    assert read("enable_session_timer=yes").session_timer() == SessionTimer(120, 90)
    assert read("enable_session_timer=yes\nsession_expires=600\nminimum_timer=300").session_timer() == SessionTimer(600, 300)
    text = "enable_session_timer=yes\nmaximum_timer=0\nsession_refresh_method=INVITE\naccept_501_reply=no"
    assert read(text).session_timer() == SessionTimer(120, 90, 0, "INVITE", accept_501=False)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("session_expires=100\nminimum_timer=120", "session_expires: 100 is below minimum_timer=120"),
        ("session_expires=89", "session_expires"),
        ("minimum_timer=10", "minimum_timer"),
        ("maximum_timer=100\nminimum_timer=120\nsession_expires=120", "maximum_timer: 100 is below minimum_timer=120"),
        ("session_refresh_method=BYE", "session_refresh_method"),
    ],
)
def test_what_cannot_be_is_named(text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read(f"enable_session_timer=yes\n{text}").session_timer()
