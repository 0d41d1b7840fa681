# SPDX-License-Identifier: GPL-2.0-or-later
"""The sockets between media processes: whole datagrams, nobody waits, nothing of a predecessor is heard, nothing compiles in a tick."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import numpy as np
import pytest

from media.control.play_items import PlayRoom
from media.control.records import Enqueue, SpanRoom
from media.engine import span_sums
from media.engine.warm import warm
from media.io.span_links import SpanLinks, parse_link
from tests.support.engine_rig import EngineRig

Pair = tuple[SpanLinks, SpanLinks]


@pytest.fixture
def ends() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)


@pytest.fixture
def links(ends: tuple[socket.socket, socket.socket]) -> Iterator[Pair]:
    first, second = SpanLinks({1: ends[0].detach()}), SpanLinks({0: ends[1].detach()})
    yield first, second
    first.close()
    second.close()


def spanning_rig(peer: int) -> EngineRig:
    rig = EngineRig()
    rig.connect(1, ("10.0.0.1", 5000))
    rig.do(Enqueue(1, (PlayRoom("r"),)), SpanRoom("r", 9, (peer,)))
    return rig


def test_sums_come_over_and_the_kernels_are_compiled_beforehand(links: Pair) -> None:
    warm()
    kernels = (span_sums.add_sums, span_sums.pack_sums, span_sums.begin_sums)
    compiled = [len(kernel.signatures) for kernel in kernels]
    rigs = [spanning_rig(1), spanning_rig(0)]
    for _ in range(5):
        for rig, link in zip(rigs, links, strict=True):
            link.read(rig.engine.spans)
            rig.tick()
            link.write(rig.engine.span_datagrams)
    for peer, rig in ((1, rigs[0]), (0, rigs[1])):
        arrivals = rig.engine.spans.arrivals[peer]
        assert (arrivals.missed, arrivals.dropped) == (0, 0)
        assert arrivals.delay_ticks == 0
    assert [len(kernel.signatures) for kernel in kernels] == compiled


def test_who_does_not_read_keeps_nobody_waiting(links: Pair) -> None:
    words = np.zeros(100, np.int32)
    for _ in range(20000):
        links[0].write([(1, words)])
    assert links[0].unsent > 0
    links[0].write([(7, words)])


def test_what_was_sent_to_a_predecessor_is_not_heard(ends: tuple[socket.socket, socket.socket]) -> None:
    for _ in range(3):
        ends[0].send(b"old sums")
    link = SpanLinks({0: ends[1].detach()})
    rig = spanning_rig(0)
    link.read(rig.engine.spans)
    assert rig.engine.spans.arrivals[0].dropped == 0
    ends[0].send(b"no sum")
    link.read(rig.engine.spans)
    assert rig.engine.spans.arrivals[0].dropped == 1
    ends[0].close()
    link.read(rig.engine.spans)
    link.write([(0, np.zeros(10, np.int32))])
    link.close()


@pytest.mark.parametrize("text", ["", "1", "1:", ":7", "a:b", "1:-3"])
def test_a_link_is_process_and_descriptor(text: str) -> None:
    assert parse_link("1:7") == (1, 7)
    with pytest.raises(ValueError, match="process:descriptor"):
        parse_link(text)
