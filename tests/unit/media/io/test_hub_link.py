# SPDX-License-Identifier: GPL-2.0-or-later
"""The media process's end of the stream to the hub: what it takes, and what ends it."""

import socket
from collections.abc import Iterator

import msgpack
import pytest

from media.control import records, wire
from media.io import hub_link
from media.io.hub_link import HubLink


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def linked(ours: socket.socket) -> tuple[HubLink, list[str]]:
    reasons: list[str] = []
    return HubLink(ours, reasons.append), reasons


def test_commands_are_kept_in_order_and_unknown_ones_left_out(ends: tuple[socket.socket, socket.socket]) -> None:
    link, reasons = linked(ends[0])
    codec = wire.RecordCodec(())
    sent = (wire.Hello(1, "hub", 2), wire.Unknown("x"), records.PlaylistEmptied(1), records.CloseLeg(3))
    ends[1].sendall(b"".join(codec.pack(record) for record in sent))
    link.read()
    link.read()  # nothing more is there
    assert list(link.pending) == [wire.Hello(1, "hub", 2), records.CloseLeg(3)]
    assert not reasons


@pytest.mark.parametrize("data", [msgpack.packb(5), b"\xc1", msgpack.packb({"a": 1})])
def test_what_is_no_record_ends_it_once(ends: tuple[socket.socket, socket.socket], data: bytes) -> None:
    link, reasons = linked(ends[0])
    ends[1].sendall(data)
    link.read()
    link.read()
    link.send(records.LegFailed(1, "too late"))
    link.write()
    assert link.socket is None and not link.wants_to_write
    assert len(reasons) == 1 and reasons[0].startswith("not understood: ")


def test_a_hub_that_closes_or_does_not_read_is_lost(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    link, reasons = linked(ends[0])
    ends[1].close()
    link.read()
    assert reasons == ["closed by the hub"]
    monkeypatch.setattr(hub_link, "MOST_BACKLOG_BYTES", 1000)
    ours, theirs = socket.socketpair()
    with theirs:
        link, reasons = linked(ours)
        for leg in range(100):
            link.send(records.LegFailed(leg, "no port"))
        assert reasons == ["the hub does not read"]


def test_what_the_hub_does_not_take_at_once_waits_and_none_is_lost(ends: tuple[socket.socket, socket.socket]) -> None:
    link, reasons = linked(ends[0])
    count = 2000
    for leg in range(count):
        link.send(records.LegFailed(leg, "x" * 500))
    link.write()
    assert link.wants_to_write
    got: list[object] = []
    codec = wire.RecordCodec(records.EVENTS)
    while len(got) < count:
        got += codec.feed(ends[1].recv(65536))
        link.write()
    assert got == [records.LegFailed(leg, "x" * 500) for leg in range(count)]
    assert not link.wants_to_write and not reasons
