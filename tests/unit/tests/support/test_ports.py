# SPDX-License-Identifier: GPL-2.0-or-later
"""Lanes of ports, and what happens where others sit on one."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest

from tests.support import ports
from tests.support.ports import Lanes


def test_where_others_hold_a_lane_a_further_one_is_taken_and_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    low = ports.free_ports(16)
    monkeypatch.setattr(ports, "FIRST", low)
    monkeypatch.setattr(ports, "LANE", 8)
    lanes = Lanes(tmp_path, 2)
    with contextlib.ExitStack() as stack:
        for port in range(low, low + 8, 2):
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", port))
        assert lanes.take(4, True) == low + 8
        said = capfd.readouterr().err
        assert f"no 4 ports in a row are free from {low} to {low + 7}: " in said and f"{os.getpid()} (" in said
        assert lanes.take(1, False) == low + 1, "single ones are left in the first"
        with pytest.raises(AssertionError, match="no 9 ports in a row"):
            lanes.take(9, False)
