# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP process's loop around a server that does nothing: when it looks at pjsip's descriptor, and how often."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace

import pytest

from clients.app.testing import virtual_time
from di.sip.records import EVENTS, CallConfirmed, CallTried, Hangup, Listen, Listening, Stop
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

    def poll(self, look: bool = True) -> int:
        self.polls += look
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


def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process does to the interpreter it has for itself is not done to ours."""
    monkeypatch.setattr(process, "readiness_descriptor", int)
    monkeypatch.setattr(process.gc, "disable", lambda: None)
    monkeypatch.setattr(process.gc, "freeze", lambda: None)
    monkeypatch.setattr(process.faulthandler, "dump_traceback_later", lambda seconds: None)


def run(monkeypatch: pytest.MonkeyPatch, server: Idle, seconds: float) -> None:
    """Let the process run for so many seconds of a clock that jumps: however loaded the machine is, all happens at its time."""
    monkeypatch.setattr(process, "SipServer", lambda emit, now_ns, look_up, epoch_us: server)
    calm(monkeypatch)
    virtual_time.run(_run(monkeypatch, server, seconds))


async def _run(monkeypatch: pytest.MonkeyPatch, server: Idle, seconds: float) -> None:
    async with serving(monkeypatch):
        await asyncio.sleep(seconds)


@contextlib.asynccontextmanager
async def serving(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[RecordLink[object, object], asyncio.Queue[object]]]:
    """The hub's end of a process that listens, and what comes there; then it is stopped."""
    now_s = asyncio.get_running_loop().time
    monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=now_s, monotonic_ns=lambda: round(now_s() * 1e9)))
    ours, theirs = socket.socketpair()
    served = asyncio.create_task(process.serve(theirs))
    events: asyncio.Queue[object] = asyncio.Queue()
    link: RecordLink[object, object] = await RecordLink.open(ours, EVENTS, events.put_nowait, lambda: None)
    link.send(Listen("127.0.0.1", 0))
    while not isinstance(await events.get(), Listening):
        pass
    yield link, events
    link.send(Stop(0))
    assert await asyncio.wait_for(served, 50) == 0
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


class Calls(Idle):
    """A server that tells the hub of whatever it handles, in order."""

    def __init__(self, descriptor: int, emit: Callable[[object], None]) -> None:
        super().__init__(descriptor)
        self.emit = emit
        self.looked: list[bool] = []
        self.polled = asyncio.Event()

    def handle(self, command: Hangup) -> None:
        self.emit(CallTried(command.call))

    def poll(self, look: bool = True) -> int:
        self.looked.append(look)
        self.polled.set()
        if not look:
            return 0
        with contextlib.suppress(BlockingIOError):
            came = os.eventfd_read(self.descriptor)
            self.emit(CallConfirmed(came, 200, "OK"))
            return 1
        return 0


async def _messages(
    monkeypatch: pytest.MonkeyPatch, servers: list[Calls], descriptor: int, count: int
) -> tuple[bool, list[tuple[str, int]]]:
    """So many messages come, each when the hub knows of the one before; then a command, and one message more.

    Whether the process looked at what had come when it had carried out the command, and what the hub was told.
    """
    told: list[tuple[str, int]] = []
    async with serving(monkeypatch) as (link, events):

        async def next_event() -> None:
            event = await events.get()
            assert isinstance(event, CallConfirmed | CallTried)
            told.append((type(event).__name__, event.call))

        for number in range(1, count + 1):
            os.eventfd_write(descriptor, number)
            await next_event()
        servers[0].looked.clear()
        servers[0].polled.clear()
        link.send(Hangup(7))
        await servers[0].polled.wait()
        looked = servers[0].looked[0]
        os.eventfd_write(descriptor, 99)
        await next_event()
        await next_event()
    return looked, told


@pytest.mark.parametrize(("count", "commands_look"), [(3, True), (30, False)])
def test_behind_much_that_comes_commands_are_carried_out_at_once_and_nothing_is_lost_or_out_of_order(
    monkeypatch: pytest.MonkeyPatch, count: int, commands_look: bool
) -> None:
    servers: list[Calls] = []
    descriptor = os.eventfd(0, os.EFD_NONBLOCK)

    def make(emit: Callable[[object], None], *_: object) -> Calls:
        servers.append(Calls(descriptor, emit))
        return servers[0]

    monkeypatch.setattr(process, "SipServer", make)
    calm(monkeypatch)
    looked, told = virtual_time.run(_messages(monkeypatch, servers, descriptor, count))
    os.close(descriptor)
    assert looked is commands_look
    assert told == [*(("CallConfirmed", number) for number in range(1, count + 1)), ("CallTried", 7), ("CallConfirmed", 99)]
