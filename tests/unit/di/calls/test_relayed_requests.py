# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests between the two calls of a pair: the reply that comes, the one that does not, the one that comes too late."""

from __future__ import annotations

import pytest

from di.calls.application import Application
from di.calls.call_info import Target
from di.calls.pair import Pair
from di.calls.relayed_requests import PATIENCE_MS
from di.calls.session import Session
from di.sip import records as sip
from tests.support.playbook import Playbook


class Connects(Application):
    def on_session_start(self) -> None:
        Pair(self.session).connect([Target("sip:b@there.example")])

    def on_other_bye(self, headers: tuple[tuple[str, str], ...]) -> None:
        pass


@pytest.fixture
def book() -> Playbook:
    playbook = Playbook().with_monitoring()
    playbook.services.applications.register("connects", Connects)
    return playbook


@pytest.fixture
def pair(book: Playbook) -> tuple[Session, Session]:
    first = book.up("app-connects")
    book.run()
    second = next(session for session in book.sessions if session is not first)
    return first, book.confirm(second.call)


def ask(book: Playbook, session: Session, token: int = 7) -> sip.SendRequest:
    """A MESSAGE comes in one call; what the other one was sent."""
    book.sessions.on_sip_event(
        sip.RequestReceived(session.call, token, "MESSAGE", (("X-A", "b"),), "text/plain", b"hi", reply_wanted=True)
    )
    book.run()
    return [command for command in book.sip.commands if isinstance(command, sip.SendRequest)][-1]


def replies(book: Playbook) -> list[tuple[int, int, int]]:
    return [(c.call, c.token, c.code) for c in book.sip.commands if isinstance(c, sip.SendReply)]


def test_a_reply_in_time(book: Playbook, pair: tuple[Session, Session]) -> None:
    first, second = pair
    sent = ask(book, first)
    assert (sent.call, sent.body, sent.headers) == (second.call, b"hi", ("X-A: b",))
    book.run(PATIENCE_MS / 1000 - 1)
    book.sessions.on_sip_event(sip.ReplyReceived(second.call, sent.token, 202, "Accepted"))
    book.run(60)
    assert replies(book) == [(first.call, 7, 202)]


def test_no_reply_is_504_and_a_late_one_goes_no_further(
    book: Playbook, pair: tuple[Session, Session], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = pair
    sent = ask(book, second)
    book.run(PATIENCE_MS / 1000 + 0.1)
    assert replies(book) == [(second.call, 7, 504)]
    assert f"call {second.id}: MESSAGE gets no answer of the other side (call {first.id})" in caplog.text
    book.sessions.on_sip_event(sip.ReplyReceived(first.call, sent.token, 200, "OK"))
    book.run(60)
    assert replies(book) == [(second.call, 7, 504)] and not second.dialog.ending


def test_a_side_that_goes_leaves_no_timer(book: Playbook, pair: tuple[Session, Session]) -> None:
    first, second = pair
    ask(book, first)
    book.bye(second)
    book.run(60)
    assert replies(book) == [(first.call, 7, 481)]
