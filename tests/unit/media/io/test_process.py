# SPDX-License-Identifier: GPL-2.0-or-later
"""The media process's loop: what it has done before it waits."""

from __future__ import annotations

import contextlib
import select
import socket
from types import SimpleNamespace

import pytest

from media import codecs
from media.control import records, wire
from media.control.records import CloseLeg, LegOpened, OpenLeg, RtpAddress, Shutdown
from media.engine.options import EngineOptions
from media.io import process
from tests.support.ports import free_ports


class Waits:
    """Stands for `select`: each time the process would wait, the hub looks at what it has got and sends its next command."""

    def __init__(self, hub: socket.socket, commands: list[object]) -> None:
        self.got: list[list[object]] = []
        """What had come when the process began to wait, each time."""
        self._hub, self._commands = hub, commands
        self._codec = wire.RecordCodec((*records.EVENTS, *records.COMMANDS))

    def select(
        self, readers: list[int], writers: list[int], others: list[int], _seconds: float
    ) -> tuple[list[int], list[int], list[int]]:
        with contextlib.suppress(BlockingIOError):
            self.got.append([])
            self.got[-1] += self._codec.feed(self._hub.recv(65536))
        if not self._commands:
            return [], [], []
        self._hub.send(self._codec.pack(self._commands.pop(0)))
        return select.select(readers, writers, others, 30)


def test_an_answer_is_sent_before_the_process_waits_and_not_with_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, link = socket.socketpair()
    hub.setblocking(False)
    waits = Waits(hub, [OpenLeg(1, "127.0.0.1", 4000), OpenLeg(2, "127.0.0.1", 4002), CloseLeg(1), CloseLeg(2), Shutdown()])
    monkeypatch.setattr(process, "select", SimpleNamespace(select=waits.select))
    low = free_ports(8)
    options = EngineOptions(addresses=(RtpAddress("127.0.0.1", low, low + 7),))
    assert process.MediaProcess(link, options, 1 << 20, 1000).run() == 0
    hub.close()
    opened = [[record.leg for record in got if isinstance(record, LegOpened)] for got in waits.got]
    assert opened == [[], [1], [2], [], [], []]


def test_a_file_that_waits_for_its_recording_does_not_keep_the_end_from_being_told() -> None:
    hub, link = socket.socketpair()
    options = EngineOptions(addresses=(RtpAddress("127.0.0.1", *[free_ports(2)] * 2),))
    media = process.MediaProcess(link, options, 1 << 20, 1000)
    media._awaited.append(("a.wav", codecs.ALL[0], lambda audio, error: None))
    media._engine._parts.events.append(records.LegDropped(1, "the last word"))
    media._close()
    hub.setblocking(False)
    told = list(wire.RecordCodec((*records.EVENTS, *records.COMMANDS)).feed(hub.recv(65536)))
    assert told == [records.LegDropped(1, "the last word")]
    hub.close()
