# SPDX-License-Identifier: GPL-2.0-or-later
"""Being called back: who is, what he is asked, whom he reaches; no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from di.apps.callback import PLUGIN
from di.calls.session import Session
from di.kernel.errors import ConfigError
from di.sip import records as sip
from di.spoken.tones import write
from tests.support.playbook import Playbook

CONF = """
accept_caller_re="^sip:caller[0-9]+@there"
gw_user=us
gw_domain=gw.example:5070
auth_pwd=secret
cb_wait=3
welcome_prompt=ask.wav
digits_dir=digits/
busy_prompt=busy.wav
max_waiting=2
"""


@pytest.fixture
def book(tmp_path: Path) -> Playbook:
    for name in ("ask", "busy", *(f"digits/{digit}" for digit in "0123456789")):
        write(tmp_path / f"{name}.wav", ((1000, 20),))
    playbook = Playbook(conf_dir=tmp_path, mapping="^sip:=>callback\n").with_monitoring()
    playbook.load(PLUGIN, CONF)
    return playbook


def dials(book: Playbook) -> list[Any]:
    return [command for command in book.sip.commands if isinstance(command, sip.Dial)]


def called_back(book: Playbook) -> Session:
    assert book.answers(book.offer("us")) == [486]
    book.run(3)
    (session,) = book.sessions
    return book.confirm(session.call)


def played(book: Playbook, session: Session) -> None:
    """All that is queued has been played."""
    while session.leg in book.media.legs and book.media.current(session.leg) is not None:
        book.media.finish_item(session.leg)
        book.run()


def press(book: Playbook, session: Session, keys: str) -> None:
    for key in keys:
        book.media.press(session.leg, key)
        book.run(0.3)


def test_who_matches_is_called_back_later(book: Playbook) -> None:
    call = book.offer("us")
    assert [(c.code, c.reason) for c in book.sip.commands if isinstance(c, sip.Answer)] == [
        (486, "Busy here (call you back l8r)")
    ]
    book.run(2.9)
    assert not dials(book)
    book.run(0.2)
    (dial,) = dials(book)
    assert (dial.request_uri, dial.from_uri) == (f"sip:caller{call}@gw.example:5070", "<sip:us@gw.example:5070>")
    assert "X-Extra: fancy" in dial.headers and (dial.realm, dial.username, dial.password) == ("", "us", "secret")


def test_others_are_declined(book: Playbook) -> None:
    evil = "<sip:evil@there.example>;tag=t"
    offer = sip.CallOffered(
        1, "sip:us@h", evil, "<sip:us@h>", "id", "t", "sip:c@192.0.2.1", "127.0.0.1", 5060, (), b"", True, "", 0
    )
    book.sessions.on_sip_event(offer)
    book.run()
    assert book.answers(1) == [603]
    book.run(10)
    assert not dials(book)


def test_the_number_is_asked_read_back_and_called(book: Playbook) -> None:
    session = called_back(book)
    assert book.media.files(session.leg) == ["ask"]
    press(book, session, "#")
    assert book.media.files(session.leg) == ["ask"], "nothing entered: asked again"
    press(book, session, "42*")
    assert book.media.files(session.leg) == ["4", "2"] and len(dials(book)) == 1
    played(book, session)
    book.run()
    second = dials(book)[-1]
    assert (
        second.request_uri == "sip:42@gw.example:5070"
        and second.from_uri == "<sip:us@gw.example:5070>"
        and second.username == "us"
    )
    book.confirm(second.call)
    assert session.pair is not None and session.pair.bridged
    book.bye(session)
    assert len(book.sessions) == 0


def test_a_busy_number_has_its_prompt_and_the_call_ends(book: Playbook) -> None:
    session = called_back(book)
    press(book, session, "42#")
    played(book, session)
    book.run()
    book.fail(dials(book)[-1].call, 486)
    assert book.media.files(session.leg) == ["busy"]
    assert book.invoke("monitoring", "get", session.id)[0]["callee_result"] == "busy"
    played(book, session)
    book.run()
    assert len(book.sessions) == 0


def test_who_enters_nothing_is_let_go(book: Playbook) -> None:
    session = called_back(book)
    played(book, session)
    book.run(61)
    assert len(book.sessions) == 0


def test_each_is_called_once_at_a_time_and_again_afterwards(book: Playbook) -> None:
    def offer(number: int) -> list[int]:
        book._next_call = 2 * number - 1
        return book.answers(book.offer("us"))[-1:]

    assert [offer(1), offer(1), offer(2), offer(3)] == [[486], [486], [486], [603]]
    book.run(4)
    assert [dial.request_uri for dial in dials(book)] == ["sip:caller3@gw.example:5070", "sip:caller5@gw.example:5070"]
    for dial in dials(book):
        book.fail(dial.call, 486)
    assert offer(3) == [486]
    book.run(4)
    assert len(dials(book)) == 3


def test_a_call_back_that_may_not_be_placed_lets_the_next_one_be(book: Playbook) -> None:
    book.offer("us")
    book.invoke("core", "set_shutdownmode", True)
    book.run(4)
    assert not dials(book)
    book.invoke("core", "set_shutdownmode", False)
    book._next_call = -1
    book.offer("us")
    book.run(4)
    assert len(dials(book)) == 1


BAD = {
    "": "accept_caller_re",
    CONF.replace('"^sip:caller[0-9]+@there"', '"("'): "accept_caller_re",
    CONF.replace("gw.example", "a;b<"): "gw_domain",
}


@pytest.mark.parametrize(("text", "key"), BAD.items(), ids=range(3))
def test_a_configuration_that_cannot_be_used(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        Playbook(conf_dir=tmp_path).load(PLUGIN, text)
