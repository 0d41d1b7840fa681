# SPDX-License-Identifier: GPL-2.0-or-later
"""Callbacks and controls that do not return: after a while the call is ended properly, and the log says who holds it up, where."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from di.apps.keypad import Gather, Keypad
from di.calls.application import Application
from di.calls.control import Grant
from di.calls.late import describe
from di.calls.session import Session
from di.kernel.clock import Tasks
from di.kernel.server_options import CoreOptions
from di.sip import records as sip
from media.control.records import CloseLeg
from tests.support.playbook import Playbook

LIMIT_S = CoreOptions().callback_timeout


async def never() -> None:
    await asyncio.get_running_loop().create_future()


async def stubborn() -> None:
    """Does not even go when it is cancelled, once."""
    with contextlib.suppress(asyncio.CancelledError):
        await never()
    await never()


class Hung(Application):
    """Waits for ever in one callback."""

    hangs = ""
    seen: list[str]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.seen = []

    def _here(self, name: str) -> Any:
        self.seen.append(name)
        return {"never": never, "stubborn": stubborn}[self.how]() if name == self.hangs else None

    how = "never"

    async def on_invite(self, session: Session) -> None:
        if waiting := self._here("invite"):
            await waiting

    def on_session_start(self) -> Any:
        return self._here("start")

    def on_bye(self, headers: Any) -> Any:
        return self._here("bye")

    def on_cancel(self) -> Any:
        return self._here("cancel")

    def on_destroy(self) -> Any:
        return self._here("destroy")


class Desk:
    """A playbook whose waiting callbacks run as tasks."""

    def __init__(self) -> None:
        self.book = Playbook().with_monitoring()
        self.book.sessions.spawn = Tasks().spawn  # type: ignore[method-assign]

    def serve(self, hangs: str, how: str = "never") -> None:
        application = type("App", (Hung,), {"hangs": hangs, "how": how})
        self.book.services.applications.register("hung", application)

    async def pass_s(self, seconds: float = 0) -> None:
        """Time passes, and everybody has had his turn before and after."""
        for step in (0.0, seconds, 0.0):
            for _ in range(8):
                await asyncio.sleep(0)
            self.book.run(step)

    async def up(self) -> Session:
        call = self.book.offer("app-hung")
        await self.pass_s()
        self.book.confirm_if_there(call)
        await self.pass_s()
        return self.book.session(call)

    def hear(self, call: int, by: str) -> None:
        """The SIP process says that a call is over."""
        self.book.sessions.on_sip_event(sip.CallEnded(call, 200, "OK", by))

    def nothing_left(self) -> bool:
        opened = len(self.book.media.legs)
        return len(self.book.sessions) == 0 and opened == 0


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("how", ["never", "stubborn"])
async def test_an_invite_that_nobody_decides(desk: Desk, caplog: pytest.LogCaptureFixture, how: str) -> None:
    desk.serve("invite", how)
    call = desk.book.offer("app-hung")
    id = desk.book.session(call).id
    await desk.pass_s(LIMIT_S - 1)
    assert desk.book.answers(call) == []
    await desk.pass_s(2)
    assert desk.book.answers(call) == [504]
    desk.hear(call, "local")
    await desk.pass_s()
    assert desk.nothing_left()
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert f"call {id}: Hung.on_invite of hung" in line
    assert f"{LIMIT_S} s" in line and "never, test_late.py:" in line and "callback_timeout" in line


@pytest.mark.parametrize("by", ["cancel", "remote"])
async def test_the_caller_has_gone_meanwhile(desk: Desk, by: str) -> None:
    desk.serve("invite" if by == "cancel" else "start")
    call = desk.book.offer("app-hung")
    app: Any = desk.book.session(call).app
    await desk.pass_s()
    if by == "remote":
        desk.book.confirm_if_there(call)
        await desk.pass_s()
    desk.hear(call, by)
    await desk.pass_s(LIMIT_S - 1)
    assert len(desk.book.sessions) == 1
    await desk.pass_s(2)
    assert desk.nothing_left()
    assert app.seen[-2:] == [{"cancel": "cancel", "remote": "bye"}[by], "destroy"]


@pytest.mark.parametrize("how", ["never", "stubborn"])
@pytest.mark.parametrize("hangs", ["bye", "destroy"])
async def test_the_last_callbacks_do_not_keep_a_call(desk: Desk, hangs: str, how: str) -> None:
    desk.serve(hangs, how)
    session = await desk.up()
    app: Any = session.app
    desk.hear(session.call, "remote")
    await desk.pass_s(LIMIT_S + 1)
    assert desk.nothing_left() and app.seen[-2:] == ["bye", "destroy"]
    assert [type(c) for c in desk.book.media.commands if isinstance(c, CloseLeg)] == [CloseLeg]


@pytest.mark.parametrize("where", ["admit", "renew"])
async def test_a_control_that_does_not_answer(desk: Desk, where: str, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    class Prepaid:
        name = "prepaid"

        async def admit(self, call: Session) -> Grant:
            if where == "admit":
                await never()
            return Grant(5)

        def answered(self, call: Session) -> None:
            told.append("answered")

        async def renew(self, call: Session, used_s: float) -> Grant:
            await never()
            return Grant(5)

        def ended(self, call: Session, end: sip.CallEnded, used_s: float) -> None:
            told.append("ended")

    desk.serve("")
    desk.book.sessions.control.controls.append(Prepaid())
    call = desk.book.offer("app-hung")
    await desk.pass_s()
    if where == "renew":
        desk.book.confirm_if_there(call)
        await desk.pass_s(5)
    await desk.pass_s(LIMIT_S + 1)
    assert desk.book.sip.of(sip.Hangup, call)
    desk.hear(call, "local")
    await desk.pass_s()
    assert desk.nothing_left()
    assert told == ([] if where == "admit" else ["answered", "ended"])
    assert f"Prepaid.{where} of hung" in caplog.text and "never, test_late.py" in caplog.text


async def test_what_returns_in_time_is_left_alone(desk: Desk) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Slow(Application):
        async def on_invite(self, session: Session) -> None:
            await gate

    desk.book.services.applications.register("slow", Slow)
    call = desk.book.offer("app-slow")
    await desk.pass_s(LIMIT_S - 1)
    gate.set_result(None)
    await desk.pass_s(2 * LIMIT_S)
    assert desk.book.answers(call) == [200]


async def test_who_waits_is_named() -> None:
    async def outer() -> None:
        await asyncio.ensure_future(never())

    waiting = outer()
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)
    who, where = describe(waiting)
    assert who.endswith("outer") and "test_late.py:" in where
    task.cancel()
    assert describe(asyncio.get_running_loop().create_future())[0] == "a callback that returned Future"


async def test_keys_cannot_be_awaited_inside_a_callback(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """They would wait behind the callback: it raises at once, and in a coroutine of its own it works."""
    came: list[str] = []

    class Asks(Application):
        def __init__(self, session: Session) -> None:
            super().__init__(session)
            self.keypad = Keypad(session)

        async def ask(self) -> None:
            came.append((await self.keypad.gather(Gather(max_digits=2))).digits)

        async def on_invite(self, session: Session) -> None:
            if "inside" in session.info.request_uri:
                await self.ask()
            else:
                session.host.spawn(self.ask())

        def on_digit(self, event: int, duration_ms: int) -> None:
            self.keypad.on_digit(event)

    desk.book.services.applications.register("asks", Asks)
    inside = desk.book.offer("app-asks", domain="inside.example")
    await desk.pass_s()
    assert desk.book.answers(inside) == [500]
    assert "inside a callback" in caplog.text and "begin(…, done=…)" in caplog.text
    outside = desk.book.session(desk.book.offer("app-asks"))
    await desk.pass_s()
    for key in (4, 7):
        outside.run(lambda key=key: outside.app.on_digit(key, 100))  # type: ignore[misc]
    await desk.pass_s()
    assert came == ["47"]
