# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls whose program has died: what `on_crash` makes of them, and of those that nobody would answer."""

from __future__ import annotations

import pytest

from di.calls.application import Application
from di.sip import records as sip
from interfaces.apps.bridged_call import BridgedCall
from interfaces.apps.orphans import Orphans
from tests.support.playbook import Playbook
from tests.support.program_call import up


class Lobby(Application):
    """What takes calls over."""

    begun = 0

    def on_session_start(self) -> None:
        """It has the call."""
        self.begun += 1


def orphan(book: Playbook, on_crash: str, *ids: str) -> None:
    if "lobby" not in book.services.applications.names():
        book.services.applications.register("lobby", Lobby)
    Orphans(book.sessions, book.services.applications, on_crash).take(set(ids), "it was killed")
    book.run()


def test_it_is_ended_and_says_why() -> None:
    book, _, session = up()
    orphan(book, "hangup", session.id, "nobody")
    assert session.dialog.ending and book.sip.of(sip.Hangup, session.call)


def test_it_stays_and_its_peer_still_ends_it() -> None:
    book, _, session = up()
    orphan(book, "stay", session.id)
    assert not session.dialog.ending and isinstance(session.app, BridgedCall)
    book.bye(session)
    assert session.gone


def test_another_application_has_it_and_begins() -> None:
    book, _, session = up()
    orphan(book, "app:lobby", session.id)
    assert isinstance(session.app, Lobby) and session.app.begun == 1 and session.application == "lobby"
    orphan(book, "hangup", session.id)
    assert not session.dialog.ending, "it is no program's any more"


def test_where_there_is_no_such_application_it_stays(caplog: pytest.LogCaptureFixture) -> None:
    book, _, session = up()
    orphan(book, "app:loby", session.id)
    assert not session.dialog.ending and "it goes on without a program: it was killed" in caplog.text


@pytest.mark.parametrize("on_crash", ["hangup", "stay", "app:lobby"])
def test_one_that_nobody_has_answered_is_ended(on_crash: str) -> None:
    book, _, session = up(answer=False)
    orphan(book, on_crash, session.id)
    assert book.answers(session.call) == [500]
