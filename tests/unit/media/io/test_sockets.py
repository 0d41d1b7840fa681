# SPDX-License-Identifier: GPL-2.0-or-later
"""RTP ports: a taken one is no news, what no other port would mend is said with its cause."""

from __future__ import annotations

import errno
import resource
import socket
from random import Random

import pytest

from media.control.records import LegFailed, OpenLeg
from media.engine.engine import Engine
from media.engine.options import EngineOptions
from media.engine.ports import NoPort
from media.io.sockets import DESCRIPTORS_FOR_FILES, Sockets


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        assert Sockets("127.0.0.1", "").bind(False, taken.getsockname()[1]) is None


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(NoPort, match=r"RTP port 20000 on 192\.0\.2\.1: .*assign"):
        Sockets("192.0.2.1", "").bind(False, 20000)


def test_a_leg_without_a_descriptor_left_says_what_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", none_left)
    engine = Engine(EngineOptions(), Sockets("127.0.0.1", "").bind, Random(0))
    engine.handle(OpenLeg(1), 0)
    (failed,) = engine.take_events()
    assert isinstance(failed, LegFailed) and "Too many open files; raise the limit" in failed.reason
    assert len(engine.legs) == 0, "its row is free again"


def test_files_keep_their_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (DESCRIPTORS_FOR_FILES + 4, 1000))
    sockets, opened = Sockets("127.0.0.1", ""), 0
    with pytest.raises(NoPort, match="raise the limit of open files"):
        for port in range(47_000, 48_000, 2):
            opened += sockets.bind(False, port) is not None
    assert opened == 2
    sockets.close()
