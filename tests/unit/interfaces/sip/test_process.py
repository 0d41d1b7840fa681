# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP process's loop around a server that does nothing: when it looks at pjsip's descriptor, and how often."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from clients.app.testing import virtual_time
from di.sip.records import EVENTS, Listen, Listening, Stop
from interfaces.sip import process
from media.control.link import RecordLink


class Idle:
    """A server whose descriptor is readable though nothing can be read, as an epoll set with a connection that was reset."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.polls = self.seconds = 0
        self.handles = 0
        self.idle_for_s = 3600.0
        self.endpoint = self.library = self
        self.hub_silent = False

    def libGetSipIoqueueHandle(self) -> int:
        return self.descriptor

    def start(self, _listen: Listen) -> Listening:
        return Listening((), 1, "none")

    def poll(self) -> int:
        self.polls += 1
        handled, self.handles = self.handles, 0
        return handled

    def idle_s(self, finest_s: float, longest_s: float) -> float:
        return min(max(self.idle_for_s, finest_s), longest_s)

    def second_passed(self) -> None:
        self.seconds += 1

    def hang_up_all(self) -> None:
        pass

    def busy(self) -> bool:
        return False


def run(monkeypatch: pytest.MonkeyPatch, server: Idle, seconds: float) -> None:
    """Let the process run for so many seconds of a clock that jumps: however loaded the machine is, all happens at its time."""
    monkeypatch.setattr(process, "SipServer", lambda emit, now_ns, look_up, epoch_us: server)
    monkeypatch.setattr(process, "readiness_descriptor", int)
    monkeypatch.setattr(process.gc, "disable", lambda: None)
    monkeypatch.setattr(process.gc, "freeze", lambda: None)
    monkeypatch.setattr(process.faulthandler, "dump_traceback_later", lambda seconds: None)
    virtual_time.run(_run(monkeypatch, server, seconds))


async def _run(monkeypatch: pytest.MonkeyPatch, server: Idle, seconds: float) -> None:
    monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=asyncio.get_running_loop().time))
    ours, theirs = socket.socketpair()
    serving = asyncio.create_task(process.serve(theirs))
    events: asyncio.Queue[object] = asyncio.Queue()
    link: RecordLink[object, object] = await RecordLink.open(ours, EVENTS, events.put_nowait, lambda: None)
    link.send(Listen("127.0.0.1", 0))
    while not isinstance(await events.get(), Listening):
        pass
    await asyncio.sleep(seconds)
    link.send(Stop(0))
    assert await asyncio.wait_for(serving, 50) == 0
    link.close()


@pytest.fixture
def quiet() -> Iterator[Idle]:
    """A server whose descriptor is never readable."""
    server = Idle(os.eventfd(0))
    yield server
    os.close(server.descriptor)


def test_a_descriptor_that_stays_readable_is_not_spun_on(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Idle(os.eventfd(1))
    run(monkeypatch, server, 1.0)
    os.close(server.descriptor)
    assert 5 < server.polls < 1000  # some hundred times a second it would be anyway


def test_an_idle_process_looks_once_a_second(monkeypatch: pytest.MonkeyPatch, quiet: Idle) -> None:
    run(monkeypatch, quiet, 10.5)
    assert quiet.polls <= 2 * 11 + 2 and 10 <= quiet.seconds <= 11


@pytest.mark.parametrize("idle_for_s", [0.05, 0.6, 0.98, 0.999999])
def test_pjsips_next_timer_wakes_it_and_makes_it_miss_no_second(
    monkeypatch: pytest.MonkeyPatch, quiet: Idle, idle_for_s: float
) -> None:
    quiet.idle_for_s = idle_for_s
    run(monkeypatch, quiet, 10.5)
    assert 10 <= quiet.seconds <= 11
    assert 10.5 / idle_for_s - 1 < quiet.polls < 10.5 / idle_for_s + 2 * 11 + 2
