# SPDX-License-Identifier: GPL-2.0-or-later
"""From a change of a box to its NOTIFY and back, without a network."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from di.kernel.clock import Tasks
from di.kernel.errors import ConfigError, TypeMismatch
from di.modules.mwi import PLUGIN
from di.sip.outside_records import OutsideReplied, SendOutside
from di.stores.messages import MESSAGES, BoxOwner
from tests.support.boxes import MemoryMessages
from tests.support.playbook import Playbook

ANN, BEN = BoxOwner("shop.example", "ann"), BoxOwner("shop.example", "ben")


class Desk:
    """The module over a storage in memory."""

    def __init__(self, folder: Path, conf: str = "", messages: MemoryMessages | None = None) -> None:
        self.messages = messages or MemoryMessages(folder)
        self.book = Playbook(conf_dir=folder)
        self.book.sessions.spawn = Tasks().spawn  # type: ignore[method-assign]
        self.book.services.capabilities.provide(MESSAGES, self.messages)
        self.close = self.book.load(PLUGIN, f"presence_server=proxy.example\n{conf}")

    async def settle(self, seconds: float = 0.4) -> None:
        for _ in range(4):
            self.book.run(seconds / 4)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    def sent(self) -> list[tuple[str, str]]:
        lines = [(c.request_uri, c.body.decode().splitlines()[2]) for c in self.requests()]
        return [(uri.removeprefix("sip:"), line.removeprefix("Voice-Message: ").partition(" ")[0]) for uri, line in lines]

    def requests(self) -> list[SendOutside]:
        return [command for command in self.book.sip.commands if isinstance(command, SendOutside)]

    async def reply(self, code: int) -> None:
        self.book.sessions.on_sip_event(OutsideReplied(self.requests()[-1].token, code, "Reply"))
        await self.settle(0)


async def test_each_change_is_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for name in ("1.wav", "2.wav", "3.wav"):
        await desk.messages.store(ANN, name, tmp_path / "r")
    await desk.messages.store(ANN, "0.wav", None)
    await desk.settle()
    assert desk.sent() == [("ann@shop.example", "3/0")], "one for all, without the empty one"
    await desk.reply(200)
    await desk.messages.mark_read(ANN, "1.wav")
    await desk.settle()
    await desk.reply(200)
    await desk.messages.delete(ANN, "1.wav")
    await desk.settle()
    assert [counts for _, counts in desk.sent()] == ["3/0", "2/1", "2/0"]


async def test_what_is_not_taken_is_sent_again_with_what_is_true_then(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(tmp_path)
    await desk.messages.store(ANN, "1.wav", tmp_path / "r")
    await desk.settle()
    await desk.reply(503)
    desk.messages.put(ANN, "2.wav")
    await desk.settle(4)
    assert len(desk.sent()) == 1
    await desk.settle(1.5)
    assert [counts for _, counts in desk.sent()] == ["1/0", "2/0"]
    await desk.reply(404)
    await desk.settle(1000)
    assert len(desk.sent()) == 2
    assert [r.levelname for r in caplog.records] == ["WARNING", "WARNING"]
    assert "503 Reply" in caplog.text and "given up: proxy.example said 404 Reply" in caplog.text


async def test_publish(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.messages.put(ANN, "1.wav", new=False)
    assert await desk.book.services.registry.call("mwi", "publish", ["shop.example", "ann"]) == [0]
    await desk.settle()
    assert desk.sent() == [("ann@shop.example", "0/1")]
    with pytest.raises(TypeMismatch, match="no box of ben@shop"):
        await desk.book.services.registry.call("mwi", "publish", ["shop.example", "ben"])


async def test_greetings_and_boxes_in_trouble(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.messages.store(ANN.greetings, "vm.wav", tmp_path / "r")
    desk.messages.unreadable = True
    await desk.messages.store(ANN, "1.wav", tmp_path / "r")
    await desk.settle(2)
    assert desk.sent() == [], "nothing is said of a box that cannot be read"
    desk.messages.unreadable = False
    await desk.settle(6)
    assert desk.sent() == [("ann@shop.example", "1/0")]


async def test_at_the_start_full_boxes_are_told_of_at_an_even_pace(tmp_path: Path) -> None:
    messages = MemoryMessages(tmp_path)
    users = [BoxOwner("shop.example", f"user{number}") for number in range(6)]
    for owner in users:
        messages.put(owner, "1.wav", new=False)
    messages.put(BEN, "1.wav", size_bytes=0)
    messages.put(ANN.greetings, "vm.wav")
    desk = Desk(tmp_path, "at_start=2\ngather_ms=0\n", messages)
    await asyncio.sleep(0)
    await desk.settle(1.1)
    assert 2 <= len(desk.sent()) <= 4
    await desk.settle(4)
    assert sorted(box for box, _ in desk.sent()) == [str(owner) for owner in users]
    assert {counts for _, counts in desk.sent()} == {"0/1"}
    none = Desk(tmp_path, "at_start=0\n", messages)
    await none.settle(9)
    assert none.sent() == []


async def test_closed_nothing_is_sent(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.messages.store(ANN, "1.wav", tmp_path / "r")
    desk.close()
    await desk.settle(2)
    assert desk.sent() == [] and desk.messages.listeners == []


def test_without_a_storage(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="msg_storage before it"):
        Playbook(conf_dir=tmp_path).load(PLUGIN, "presence_server=proxy.example\n")
