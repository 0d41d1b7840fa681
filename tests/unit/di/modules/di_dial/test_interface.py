# SPDX-License-Identifier: GPL-2.0-or-later
"""di_dial: who is called, as whom, with which parameters, and every answer of spec applications.md §3."""

from __future__ import annotations

from typing import Any

import pytest

from di.calls.application import Application
from di.calls.session import Session
from di.kernel.errors import OutOfBounds
from di.modules.di_dial import PLUGIN
from di.sip import records as sip
from tests.support.playbook import Playbook

PINS = 'dialout_pin0="47;u;realm.example;me;pw"\ndialout_pin1="48;u;r;m;p;"\ndialout_pin2="broken;x"\ndialout_pin3="49;u;r;m;p"\n'


@pytest.fixture
def book() -> Playbook:
    playbook = Playbook()
    playbook.services.applications.register("app", Application)
    playbook.load(PLUGIN, PINS)
    return playbook


def placed(book: Playbook, *args: object) -> tuple[Any, Session]:
    answer = book.invoke("di_dial", *args)
    assert len(answer) == 1
    session = book.sessions.find(answer[0])
    assert session is not None, answer
    return book.sip.of(sip.Dial, session.call)[0], session


def test_dial(book: Playbook) -> None:
    dial, session = placed(book, "dial", "app", "user", "sip:a@h", "sip:b@h2", {"var": "1"})
    assert (dial.from_uri, dial.to_uri, dial.request_uri) == ("<sip:a@h>", "<sip:b@h2>", "sip:b@h2")
    assert session.params == {"var": "1"}
    assert session.info.user == "user"


def test_dial_auth(book: Playbook) -> None:
    dial, session = placed(book, "dial_auth", "app", "user", "sip:a@h", "sip:b@h2", "r", "u", "p")
    assert (dial.realm, dial.username, dial.password) == ("r", "u", "p")
    assert session.params is None
    _, session = placed(book, "dial_auth", "app", "user", "sip:a@h", "sip:b@h2", "r", "u", "p", {"x": "y"})
    assert session.params == {"x": "y"}
    assert (session.dialog.plan.realm, session.dialog.plan.username, session.dialog.plan.password) == ("r", "u", "p")


def test_dial_auth_b2b(book: Playbook) -> None:
    dial, session = placed(
        book, "dial_auth_b2b", "app", "ann", "sip:a@h", "sip:b@h", "sip:caller@h", "sip:callee@h", "r", "u", "p"
    )
    assert dial.request_uri == "sip:caller@h"
    assert session.params == ["r", "u", "p", "sip:callee@h"]


def test_dial_pin(book: Playbook) -> None:
    dial, _ = placed(book, "dial_pin", "app", "47", "user", "bob")
    assert (dial.from_uri, dial.to_uri) == ("<sip:me@realm.example>", "<sip:bob@realm.example>")
    assert (dial.realm, dial.username, dial.password) == ("realm.example", "me", "pw")
    placed(book, "dial_pin", "app", "48", "user", "bob")
    for pin in ("broken", "49", ""):  # reading stops at the first malformed line
        assert book.invoke("di_dial", "dial_pin", "app", pin, "user", "bob") == ["incorrect dialout pin.\n"]


def test_failures(book: Playbook) -> None:
    assert book.invoke("di_dial", "dial", "none", "u", "sip:a@h", "sip:b@h") == ["<failed>"]
    assert book.invoke("di_dial", "dial_auth", "none", "u", "sip:a@h", "sip:b@h", "r", "u", "p") == ["<failed>\n"]
    assert book.invoke("di_dial", "dial_pin", "none", "47", "u", "bob") == ["<failed>\n"]
    with pytest.raises(OutOfBounds):
        book.invoke("di_dial", "dial", "app", "u", "sip:a@h")


def test_help_and_list(book: Playbook) -> None:
    assert len(book.invoke("di_dial", "help")) == 4
    assert book.invoke("di_dial", "_list") == ["dial", "dial_auth", "dial_auth_b2b", "dial_pin", "help"]


def test_the_session_interval_of_the_application(book: Playbook) -> None:
    assert placed(book, "dial", "app", "user", "sip:a@h", "sip:b@h2")[0].timer is None
    book.services.applications.timers["app"] = sip.SessionTimer(300, 100)
    assert placed(book, "dial", "app", "user", "sip:a@h", "sip:b@h2")[0].timer == sip.SessionTimer(300, 100)
