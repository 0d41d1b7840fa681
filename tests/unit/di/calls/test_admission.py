# SPDX-License-Identifier: GPL-2.0-or-later
"""Services that speak up by themselves, grants that are made anew at the answer, and how early a call is ended."""

from __future__ import annotations

import asyncio

import pytest

from di.calls.admitted import EndLead
from di.calls.application import Application
from di.calls.control import Grant
from di.calls.session import Session
from di.kernel.errors import Refused
from di.sip import records as sip
from media.control.records import MixIn
from tests.support.playbook import Playbook


class Reserving:
    """A control that grants at the beginning, and again at the answer."""

    name = "reserving"

    def __init__(self, first: Grant, later: Grant | Refused | None = None) -> None:
        self.first, self.later = first, later
        self.used_s: list[float] = []
        self.renewals: list[float] = []

    def admit(self, call: Session) -> Grant:
        return self.first

    def answered(self, call: Session) -> asyncio.Future[Grant | None] | None:
        if self.later is None:
            return None
        answer: asyncio.Future[Grant | None] = asyncio.get_running_loop().create_future()
        if isinstance(self.later, Refused):
            answer.set_exception(self.later)
        else:
            answer.set_result(self.later)
        return answer

    def renew(self, call: Session, used_s: float) -> Grant:
        self.renewals.append(round(used_s, 1))
        return Grant(50, ask_before_s=1)

    def ended(self, call: Session, end: sip.CallEnded, used_s: float) -> None:
        self.used_s.append(used_s)


@pytest.fixture
def book() -> Playbook:
    playbook = Playbook().with_monitoring()
    playbook.services.applications.register("plain", Application)
    return playbook


async def up(book: Playbook, control: Reserving) -> Session:
    book.sessions.control.controls.append(control)
    session = book.up("app-plain")
    for work in book.waiting:
        await work
    book.waiting.clear()
    book.run()
    return session


async def test_a_grant_made_at_the_answer_holds_instead_of_the_first(book: Playbook) -> None:
    control = Reserving(Grant(60, final=True), Grant(5, final=True))
    await up(book, control)
    book.run(4.9)
    assert len(book.sessions) == 1
    book.run(0.1)
    assert len(book.sessions) == 0 and 4.6 < control.used_s[0] <= 5


@pytest.mark.parametrize("later", [Refused(402, "Insufficient Credit"), Grant(0)])
async def test_nothing_left_at_the_answer_ends_the_call(book: Playbook, later: Grant | Refused) -> None:
    control = Reserving(Grant(60), later)
    await up(book, control)
    assert len(book.sessions) == 0 and control.used_s == [0.0]


async def test_a_service_ends_warns_limits_and_has_itself_asked(book: Playbook) -> None:
    control = Reserving(Grant(60, ask_before_s=1, warn_path="/warn.wav"))
    session = await up(book, control)
    admission = session.admission
    assert admission is not None and not admission.cut("another", "x")
    assert admission.warn("reserving") and admission.warn("reserving")
    book.run()
    assert len([command for command in book.media.commands if isinstance(command, MixIn)]) == 1, "once a grant"
    book.run(10)
    assert admission.ask_again("reserving")
    book.run()
    assert control.renewals == [10.0] and round(admission.granted_s() or 0) == 110
    assert admission.limit("reserving", 3)
    book.run(2.9)
    assert len(book.sessions) == 1
    book.run(0.1)
    assert len(book.sessions) == 0
    assert not admission.cut("reserving", "x"), "it is over"


async def test_a_service_ends_a_call_with_its_reason(book: Playbook) -> None:
    control = Reserving(Grant())
    session = await up(book, control)
    assert session.admission is not None and session.admission.cut("reserving", "low balance")
    book.run(1)
    (hangup,) = book.sip.of(sip.Hangup, session.call)
    assert len(book.sessions) == 0 and (hangup.code, hangup.reason) == (480, "low balance")
    assert any("cause=31" in header for header in hangup.headers)


def test_a_call_ends_so_much_earlier_as_timers_were_late_but_never_half_a_second() -> None:
    lead = EndLead()
    at_rest_ns = lead.ns(0)
    assert 0 < at_rest_ns < 100_000_000
    lead.note(40_000_000, 0)
    lead.note(0, 1)
    assert at_rest_ns < lead.ns(1) < 200_000_000
    lead.note(5_000_000_000, 2)
    assert lead.ns(2) < 500_000_000
    assert lead.ns(10**12) < at_rest_ns + 1_000_000, "a peak is forgotten"
