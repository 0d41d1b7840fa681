# SPDX-License-Identifier: GPL-2.0-or-later
"""Supervision of a child process, with small children of its own: greeting, death, back-off, refusal, orderly end."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from di.kernel.child import Child, ChildKind, StartFailed
from di.kernel.errors import ConfigError
from media.control import records
from media.control.link import RecordLink

GOOD = """
import socket, sys
from media.control import records, wire
link = socket.socket(fileno=int(sys.argv[sys.argv.index("--fd") + 1]))
codec = wire.RecordCodec((*records.COMMANDS, *records.EVENTS))
link.sendall(codec.pack(wire.Hello(wire.VERSION, "media", 1)))
while data := link.recv(4096):
    for record in codec.feed(data):
        if isinstance(record, wire.Ping):
            link.sendall(codec.pack(wire.Pong(record.number)))
        if isinstance(record, records.QueryStatistics):
            link.sendall(codec.pack(records.Statistics(record.request, 0, {"legs": 7.0})))
        if isinstance(record, records.Shutdown):
            sys.exit(0)
"""
DEAF = (
    GOOD.replace("isinstance(record, records.Shutdown)", "False")
    .replace("import socket", "import signal, socket")
    .replace("while data", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile data")
)
OLD = GOOD.replace("wire.Hello(wire.VERSION,", "wire.Hello(0,")
SILENT = "import sys; sys.exit(3)"


class Watch:
    """What a child did."""

    def __init__(self) -> None:
        self.records: asyncio.Queue[object] = asyncio.Queue()
        self.links: asyncio.Queue[RecordLink] = asyncio.Queue()
        self.losses: asyncio.Queue[str] = asyncio.Queue()

    async def up(self, link: RecordLink) -> None:
        self.links.put_nowait(link)


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    yield Watch()


def child(
    folder: Path,
    text: str,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    on_silent: Callable[[str], None] = lambda why: None,
    replace_s: float = 0.0,
) -> Child:
    (folder / "small_child.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    kind = ChildKind("media", "small_child", (), records.EVENTS)
    return Child(kind, watch.records.put_nowait, watch.up, watch.losses.put_nowait, on_silent, replace_s)


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def command_of(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


async def test_a_process_that_leaves_when_it_is_insisted_on(
    tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves between the end of the grace and the signal: the stop is an orderly one all the same."""
    one = child(tmp_path, GOOD, watch, monkeypatch)
    await one.spawn()
    await one.ready()
    pid = one.pid

    async def too_late(process: asyncio.subprocess.Process, seconds: float) -> None:
        await process.wait()
        await asyncio.sleep(0.1)  # its transport is closed

    monkeypatch.setattr("di.kernel.child._wait", too_late)
    await one.stop(records.Shutdown(), 5.0)
    assert gone(pid)


async def test_up_records_and_orderly_end(tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    one = child(tmp_path, GOOD, watch, monkeypatch)
    await one.spawn()
    await one.ready()
    link = await watch.links.get()
    link.send(records.QueryStatistics(5))
    assert await watch.records.get() == records.Statistics(5, 0, {"legs": 7.0})
    pid = one.pid
    await one.stop(records.Shutdown(), 10)
    assert gone(pid)
    assert watch.losses.empty()


async def test_a_killed_child_is_told_and_started_again(
    tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = child(tmp_path, GOOD, watch, monkeypatch)
    await one.spawn()
    await one.ready()
    await watch.links.get()
    for count in (1, 2):
        first = one.pid
        os.kill(first, signal.SIGKILL)
        assert await watch.losses.get() == "media process lost"
        await watch.links.get()
        assert one.pid not in (0, first)
        assert one.restarts in (count - 1, count)  # counted just after the link is handed over
    assert f"the media process is lost (pid {first}, signal SIGKILL)" in caplog.text
    await one.stop(records.Shutdown(), 10)


async def test_a_child_that_does_not_leave_is_ended(tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    one = child(tmp_path, DEAF, watch, monkeypatch)
    await one.spawn()
    await one.ready()
    pid = one.pid
    await one.stop(records.Shutdown(), 0.1)
    assert gone(pid)


@pytest.mark.parametrize(
    ("text", "reason"), [(SILENT, "exit status 3"), (OLD, "speaks version 0"), ("syntax error", "exit status 1")]
)
async def test_a_child_that_cannot_start(
    tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    one = child(tmp_path, text, watch, monkeypatch)
    await one.spawn()
    with pytest.raises(StartFailed, match=reason):
        await one.ready()
    await one.stop(records.Shutdown(), 10)
    assert one.pid == 0


async def test_the_interpreter_is_the_same(tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    one = child(tmp_path, GOOD, watch, monkeypatch)
    await one.spawn()
    await one.ready()
    assert command_of(one.pid)[0] == sys.executable.encode()
    await one.stop(records.Shutdown(), 10)


async def test_a_child_that_cannot_serve_again_is_tried_again(
    tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when another program took the SIP port meanwhile."""
    one = child(tmp_path, GOOD, watch, monkeypatch)
    await one.spawn()
    await one.ready()
    await watch.links.get()
    refusals = [ConfigError("sems.conf", 4, "sip_port", "in use")]

    async def refuse_once(link: RecordLink) -> None:
        if refusals:
            raise refusals.pop()
        await watch.up(link)

    one._on_up = refuse_once
    os.kill(one.pid, signal.SIGKILL)
    await watch.links.get()
    assert "sems.conf:4: sip_port: in use; next try" in caplog.text
    await one.stop(records.Shutdown(), 10)


async def test_a_child_that_does_not_answer_is_told_and_replaced(
    tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()
    one = child(tmp_path, GOOD, watch, monkeypatch, said.put_nowait, 6.0)
    await one.spawn()
    await one.ready()
    await watch.links.get()
    first = one.pid
    os.kill(first, signal.SIGSTOP)
    assert await asyncio.wait_for(said.get(), 40) == "the media process does not answer"
    os.kill(first, signal.SIGCONT)
    assert await asyncio.wait_for(said.get(), 40) == ""
    assert "answers again" in caplog.text and watch.losses.empty()
    os.kill(first, signal.SIGSTOP)
    assert await asyncio.wait_for(watch.losses.get(), 40) == "media process lost"
    await asyncio.wait_for(watch.links.get(), 40)
    assert re.search(rf"\(pid {first}\) has not answered for \d+ s: it is replaced", caplog.text)
    assert [said.get_nowait() for _ in range(said.qsize())][-1] == "", "nothing is silent any more"
    await one.stop(records.Shutdown(), 10)


@pytest.mark.parametrize("failing", ["socketpair", "create_subprocess_exec"])
async def test_a_child_comes_again_after_the_limit_of_open_files_was_reached(
    tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    one = child(tmp_path, GOOD, watch, monkeypatch)
    await one.spawn()
    await one.ready()
    await watch.links.get()
    place = socket if failing == "socketpair" else asyncio
    whole, refusals = getattr(place, failing), [OSError(errno.EMFILE, "Too many open files")] * 2

    def refuse_twice(*arguments: object, **more: object) -> object:
        if refusals:
            raise refusals.pop()
        return whole(*arguments, **more)

    monkeypatch.setattr(place, failing, refuse_twice)
    os.kill(one.pid, signal.SIGKILL)
    await asyncio.wait_for(watch.links.get(), 40)
    assert "cannot be started: Too many open files; raise the limit of open files" in caplog.text
    await one.stop(records.Shutdown(), 10)
