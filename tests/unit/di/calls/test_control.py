# SPDX-License-Identifier: GPL-2.0-or-later
"""The chain of controls: who lets a call begin, how long it lasts, and that each is told of the end exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from di.calls.application import Application
from di.calls.call_info import Target
from di.calls.control import Grant
from di.calls.pair import Pair
from di.calls.session import Session
from di.kernel.errors import Refused
from di.sip import records as sip
from media.control.play_items import PlayFile
from media.control.records import MixIn
from tests.support.playbook import Playbook


class Link:
    """A control that grants what it is given, one grant a question, and writes down what it is told."""

    def __init__(self, name: str, *grants: Grant | Refused | Awaitable[Grant]) -> None:
        self.name = name
        self.grants = list(grants)
        self.told: list[Any] = []

    def _next(self) -> Any:
        grant = self.grants.pop(0) if self.grants else Grant()
        if isinstance(grant, Refused):
            raise grant
        return grant

    def admit(self, call: Session) -> Any:
        self.told.append(("admit", call.info.direction))
        return self._next()

    def answered(self, call: Session) -> None:
        self.told.append("answered")

    def renew(self, call: Session, used_s: float) -> Any:
        self.told.append(("renew", used_s))
        return self._next()

    def ended(self, call: Session, end: sip.CallEnded, used_s: float) -> None:
        self.told.append(("ended", end.code, round(used_s * 2) / 2))  # it was ended a moment early: EndLead


@pytest.fixture
def book() -> Playbook:
    playbook = Playbook().with_monitoring()
    playbook.services.applications.register("plain", Application)
    return playbook


def warnings(book: Playbook) -> list[MixIn]:
    return [command for command in book.media.commands if isinstance(command, MixIn)]


def chain(book: Playbook, *links: Link) -> None:
    book.sessions.control.controls.extend(links)


def test_every_control_is_told_of_begin_answer_and_end_once(book: Playbook) -> None:
    one, two = Link("one"), Link("two")
    chain(book, one, two)
    session = book.up("app-plain")
    book.run(3)
    book.bye(session)
    assert one.told == two.told == [("admit", "in"), "answered", ("ended", 200, 3.0)]


def test_a_refusal_ends_the_call_and_tells_who_admitted_it(book: Playbook) -> None:
    one, two, three = Link("one"), Link("two", Refused(402, "Payment Required")), Link("three")
    chain(book, one, two, three)
    call = book.offer("app-plain")
    assert book.answers(call) == [402]
    assert one.told == [("admit", "in"), ("ended", 402, 0.0)]
    assert two.told == [("admit", "in")]
    assert three.told == []
    assert not book.media.legs


def test_the_smallest_grant_holds_and_is_renewed(book: Playbook) -> None:
    long, short = Link("long", Grant(100)), Link("short", Grant(10), Grant(20), Grant(0))
    chain(book, long, short)
    session = book.up("app-plain")
    book.run(29.9)
    assert not book.sip.of(sip.Hangup, session.call)
    assert short.told[2:] == [("renew", 10.0)]
    book.run(0.2)
    (hangup,) = book.sip.of(sip.Hangup, session.call)
    assert "granted time is used up" in hangup.headers[0]
    assert short.told[-2:] == [("renew", 30.0), ("ended", 402, 30.0)]
    assert long.told[-1] == ("ended", 402, 30.0)
    assert not [told for told in long.told if told[0] == "renew"]


def test_time_counts_from_the_answer(book: Playbook) -> None:
    chain(book, Link("short", Grant(10), Refused(403, "Forbidden")))
    call = book.offer("app-plain")
    book.run(60)
    assert not book.sip.of(sip.Hangup, call)
    book.confirm(call)
    book.run(10)
    assert book.sip.of(sip.Hangup, call)


async def test_a_control_that_waits_holds_back_its_call_only(book: Playbook) -> None:
    answer: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
    slow = Link("slow", answer, Grant(None), Grant(None))
    chain(book, slow)
    first = book.offer("app-plain")
    assert book.answers(first) == []
    slow.grants.insert(0, Grant(None))
    assert book.answers(book.offer("app-plain")) == [200]
    answer.set_result(Grant(5))
    await book.waiting.pop(0)
    book.run()
    assert book.answers(first) == [200]


async def test_a_caller_who_gives_up_meanwhile_is_told_to_the_control_once(book: Playbook) -> None:
    answer: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
    slow = Link("slow", answer)
    chain(book, slow)
    call = book.offer("app-plain")
    book.sessions.on_sip_event(sip.CallEnded(call, 487, "cancelled", "cancel"))
    answer.set_result(Grant(5))
    await book.waiting.pop(0)
    book.run()
    assert slow.told == [("admit", "in"), ("ended", 487, 0.0)]
    assert len(book.sessions) == 0


async def test_while_one_control_thinks_the_grants_of_others_go_on(book: Playbook) -> None:
    answer: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
    slow, other = Link("slow", Grant(10), answer), Link("other", Grant(12), Grant(30), Grant(0))
    chain(book, slow, other)
    session = book.up("app-plain")
    book.run(10)
    assert slow.told[-1] == ("renew", 10.0)
    book.run(5)
    assert other.told[-1] == ("renew", 12.0)
    answer.set_result(Grant(50))
    await book.waiting.pop(0)
    book.run(30)
    assert other.told[-2:] == [("renew", 42.0), ("ended", 402, 42.0)] and book.sip.of(sip.Hangup, session.call)


async def test_who_hangs_up_while_a_control_thinks_is_gone_at_once(book: Playbook) -> None:
    answer: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
    slow = Link("slow", Grant(10), answer)
    chain(book, slow)
    session = book.up("app-plain")
    book.run(11)
    book.bye(session)
    assert slow.told[-1] == ("ended", 200, 11.0) and len(book.sessions) == 0
    answer.set_result(Grant(50))
    await book.waiting.pop(0)
    book.run(60)
    assert slow.told[-1] == ("ended", 200, 11.0)


async def test_more_is_asked_for_beforehand_and_counts_from_where_the_last_ended(book: Playbook) -> None:
    answer: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
    slow = Link("slow", Grant(10, ask_before_s=4), answer, Refused(402, "Payment Required"))
    chain(book, slow)
    session = book.up("app-plain")
    book.run(7)
    assert slow.told[-1] == ("renew", 6.0)
    answer.set_result(Grant(10, ask_before_s=4))
    await book.waiting.pop(0)
    book.run(12.5)
    assert slow.told[-1] == ("renew", 16.0) and not book.sip.of(sip.Hangup, session.call), "what was granted is its"
    book.run(1)
    assert slow.told[-1] == ("ended", 402, 20.0)


@pytest.mark.parametrize(("go_on_s", "ends_s"), [(0.0, 10.0), (7.0, 17.0)])
async def test_no_answer_ends_the_call_when_the_grant_does_or_as_much_later_as_was_said(
    book: Playbook, go_on_s: float, ends_s: float
) -> None:
    silence: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
    slow = Link("slow", Grant(10, ask_before_s=4, go_on_s=go_on_s), silence)
    chain(book, slow)
    book.up("app-plain")
    book.run(30)
    assert slow.told == [("admit", "in"), "answered", ("renew", 6.0), ("ended", 504, ends_s)]
    silence.set_result(Grant(99))
    await book.waiting.pop(0)


def test_a_final_grant_is_warned_of_and_nobody_is_asked(book: Playbook) -> None:
    link = Link("link", Grant(10, final=True, warn_s=3, warn_path="/prompts/last.wav"))
    chain(book, link)
    book.up("app-plain")
    book.run(6.9)
    assert not warnings(book)
    book.run(0.2)
    (warning,) = warnings(book)
    assert warning.items == (PlayFile("/prompts/last.wav"),)
    book.run(5)
    assert len(warnings(book)) == 1
    assert link.told == [("admit", "in"), "answered", ("ended", 402, 10.0)]


def test_an_operator_gives_a_call_more_time_and_less(book: Playbook) -> None:
    chain(book, Link("one", Grant(10, final=True)), Link("two", Grant(20, final=True)))
    session = book.up("app-plain")
    book.run(9)
    assert session.admission is not None and session.admission.extend(30)
    book.run(9)
    assert session.admission.granted_s() == 40
    session.admission.extend(-15)
    book.run(6)
    assert book.sip.of(sip.Hangup, session.call) == []
    book.run(2)
    assert book.sip.of(sip.Hangup, session.call)


def test_a_control_that_grants_next_to_nothing_for_ever_ends_the_call(book: Playbook) -> None:
    link = Link("link", Grant(5), *[Grant(1e-10)] * 5)
    chain(book, link)
    book.up("app-plain")
    book.run(6)
    assert link.told[-1] == ("ended", 402, 5.0) and len(link.grants) == 4


def test_second_legs_go_through_the_chain_too(book: Playbook) -> None:
    book.services.applications.register(
        "connects",
        type("C", (Application,), {"on_session_start": lambda self: Pair(self.session).connect([Target("sip:b@there.example")])}),
    )
    link = Link("link", Grant(), Refused(403, "Forbidden"))
    chain(book, link)
    session = book.up("app-connects")
    book.run()
    assert link.told == [("admit", "in"), "answered", ("admit", "out")]
    assert list(book.sessions) == [session]
    assert not [one for one in book.sip.commands if isinstance(one, sip.Dial)]


def test_a_control_that_fails_at_the_end_costs_nobody_else_the_news(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Link):
        def ended(self, call: Session, end: sip.CallEnded, used_s: float) -> None:
            raise ValueError("no disk")

    broken, other = Broken("broken"), Link("other")
    chain(book, broken, other)
    session = book.up("app-plain")
    book.bye(session)
    assert other.told[-1] == ("ended", 200, 0.0)
    assert f"call {session.id}: control broken failed: no disk" in caplog.text
    assert len(book.sessions) == 0


@pytest.mark.parametrize("refusal", [Refused(402, "Payment Required"), Grant(0.0)])
def test_controls_behind_one_that_ends_the_call_are_told_too(book: Playbook, refusal: Refused | Grant) -> None:
    links = [Link("a", Grant(10.0), refusal), Link("b", Grant(10.0))]
    book.sessions.control.controls.extend(links)
    book.up("app-plain")
    book.run(11)
    assert list(book.sessions) == []
    for link in links:
        assert [told for told in link.told if told[0] == "ended"] == [("ended", 402, 10.0)], link.name


def test_a_control_that_fails_to_renew_is_told_of_the_end(book: Playbook) -> None:
    class Broken(Link):
        def renew(self, call: Session, used_s: float) -> Grant:
            raise ValueError("no such account")

    link = Broken("a", Grant(10.0))
    book.sessions.control.controls.append(link)
    book.up("app-plain")
    book.run(11)
    assert list(book.sessions) == []
    assert [told for told in link.told if told[0] == "ended"] == [("ended", 500, 10.0)]
