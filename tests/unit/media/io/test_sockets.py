# SPDX-License-Identifier: GPL-2.0-or-later
"""RTP ports: a taken one is no news, what no other port would mend is said with its cause."""

from __future__ import annotations

import errno
import os
import resource
import socket
from random import Random

import pytest

from media.control.records import CloseLeg, ConnectLeg, LegFailed, LegOpened, OpenLeg, RtpAddress
from media.engine.engine import Engine
from media.engine.options import EngineOptions
from media.engine.ports import NoPort
from media.io.sockets import DESCRIPTORS_FOR_FILES, Sockets
from tests.support.engine_rig import rtp
from tests.support.ports import free_ports


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        assert Sockets("127.0.0.1").bind(0, taken.getsockname()[1]) is None


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(NoPort, match=r"RTP port 20000 on 192\.0\.2\.1: .*assign"):
        Sockets("192.0.2.1").bind(0, 20000)


def test_a_leg_without_a_descriptor_left_says_what_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", none_left)
    sockets = Sockets("127.0.0.1")
    engine = Engine(EngineOptions(), sockets.bind, sockets.unbind, Random(0))
    engine.handle(OpenLeg(1), 0)
    (failed,) = engine.take_events()
    assert isinstance(failed, LegFailed) and "Too many open files; raise the limit" in failed.reason
    assert len(engine.legs) == 0, "its row is free again"


def test_files_keep_their_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (DESCRIPTORS_FOR_FILES + 4, 1000))
    sockets, opened = Sockets("127.0.0.1"), 0
    with pytest.raises(NoPort, match="raise the limit of open files"):
        for port in range(47_000, 48_000, 2):
            opened += sockets.bind(0, port) is not None
    assert opened == 2
    sockets.close()


def test_a_closed_pair_gives_back_its_descriptors_and_its_index() -> None:
    sockets = Sockets("127.0.0.1")
    low = free_ports(6)
    assert [sockets.bind(0, low + number) for number in (0, 2)] == [0, 1]
    open_files = len(os.listdir("/proc/self/fd"))
    sockets.unbind(0)
    assert len(os.listdir("/proc/self/fd")) == open_files - 2
    assert sockets.bind(0, low + 4) == 0, "another port has the index"
    assert sockets.bind(0, low) == 2
    sockets.close()


def test_what_comes_to_a_port_opened_anew_is_read() -> None:
    """The descriptor, the index and the port may each have been another's."""
    low = free_ports(4)
    now_ns, options = 1_000_000_000, EngineOptions((RtpAddress(port_low=low, port_high=low + 3),), kept_ports=0)
    sockets = Sockets("127.0.0.1")
    engine = Engine(options, sockets.bind, sockets.unbind, Random(0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        remote = peer.getsockname()
        for leg in (1, 2, 3):
            engine.handle(OpenLeg(leg, *remote), now_ns)
            opened = next(event for event in engine.take_events() if isinstance(event, LegOpened))
            engine.handle(ConnectLeg(leg, *remote, "PCMU", 8000, 0, 0), now_ns)
            peer.sendto(rtp(1, 160, bytes(160)), ("127.0.0.1", opened.port))
            sockets.read(engine, now_ns)
            assert engine.leg_statistics(engine.by_number[leg])["packets_received"] == 1
            engine.handle(CloseLeg(leg), now_ns)
            now_ns += options.idle_ns
            engine.check_timeouts(now_ns)
            assert engine.statistics()["ports"] == 0
    sockets.close()
