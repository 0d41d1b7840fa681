# SPDX-License-Identifier: GPL-2.0-or-later
"""Two parties connected from outside; no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from di.apps.click2dial import PLUGIN
from di.calls.session import Session
from di.kernel.errors import ConfigError
from di.modules.di_dial import PLUGIN as DI_DIAL
from di.sip import records as sip
from di.spoken.tones import write
from media.control import play_items
from tests.support.playbook import Playbook

ORDER = (
    "sale",
    "sip:shop@h.example",
    "sip:anna@h.example",
    "sip:anna@one.example",
    "sip:ben@two.example",
    "realm",
    "user",
    "secret",
)


@pytest.fixture
def book(tmp_path: Path) -> Playbook:
    for name in ("default", "sale", "one.example/vip", "no_answer"):
        write(tmp_path / f"{name}.wav", ((1000, 20),))
    playbook = Playbook(conf_dir=tmp_path).with_monitoring()
    playbook.load(PLUGIN, "announce_path=.\nno_answer_prompt=no_answer.wav\nring_time=30\n")
    playbook.load(DI_DIAL)
    return playbook


def click(book: Playbook, *changed: str) -> str:
    (tag,) = book.invoke("di_dial", "dial_auth_b2b", "click2dial", *changed, *ORDER[len(changed) :])
    return str(tag)


def dials(book: Playbook) -> list[Any]:
    return [command for command in book.sip.commands if isinstance(command, sip.Dial)]


def played(book: Playbook, session: Session) -> None:
    """All that is queued has been played."""
    while session.leg in book.media.legs and book.media.current(session.leg) is not None:
        book.media.finish_item(session.leg)
        book.run()


def announced(book: Playbook, *changed: str) -> Session:
    """The first party hears the announcement."""
    session = book.sessions.find(click(book, *changed))
    assert session is not None
    return book.confirm(session.call)


def connecting(book: Playbook) -> tuple[Session, int]:
    session = announced(book)
    played(book, session)
    return session, dials(book)[-1].call


@pytest.mark.parametrize(
    ("announcement", "file"), [("sale", "sale"), ("vip", "vip"), ("none", "default"), ("../../etc", "default")]
)
def test_the_announcement_is_chosen_by_host_and_name(book: Playbook, announcement: str, file: str) -> None:
    session = announced(book, announcement)
    assert book.media.files(session.leg) == [file]


def test_both_are_called_with_the_credentials_and_talk(book: Playbook) -> None:
    session, callee = connecting(book)
    first, second = dials(book)
    assert first.request_uri == "sip:anna@one.example" and first.from_uri == "<sip:shop@h.example>"
    assert second.request_uri == "sip:ben@two.example" and second.from_uri == "<sip:anna@h.example>"
    assert [(dial.realm, dial.username, dial.password) for dial in (first, second)] == [("realm", "user", "secret")] * 2
    book.progress(callee)
    assert isinstance(book.media.legs[session.leg].playlist[0], play_items.PlayTone), "it rings"
    book.confirm(callee)
    assert session.pair is not None and session.pair.bridged
    assert book.invoke("monitoring", "get", session.id)[0]["callee_result"] == "answered"
    book.bye(session)
    assert len(book.sessions) == 0


def test_nobody_answers(book: Playbook) -> None:
    session, callee = connecting(book)
    book.progress(callee)
    book.run(31)
    assert book.media.files(session.leg) == ["no_answer"]
    assert book.invoke("monitoring", "listFinished") and len(book.sessions) == 1
    played(book, session)
    assert len(book.sessions) == 0


def test_without_a_prompt_the_call_ends_at_once(book: Playbook) -> None:
    _, callee = connecting(book)
    book.fail(callee, 486)
    assert len(book.sessions) == 0


def test_the_first_party_hangs_up_while_the_second_one_is_called(book: Playbook) -> None:
    session, callee = connecting(book)
    book.bye(session)
    assert len(book.sessions) == 0 and book.sip.of(sip.Hangup, callee)


def test_a_failed_first_call_calls_nobody_else(book: Playbook) -> None:
    session = book.sessions.find(click(book))
    assert session is not None
    book.fail(session.call, 603)
    assert len(book.sessions) == 0 and len(dials(book)) == 1


def test_what_is_no_order_places_no_call(book: Playbook) -> None:
    assert book.answers(book.offer("app-click2dial")) == [606]
    assert book.invoke("di_dial", "dial", "click2dial", "u", "sip:a@h", "sip:b@h") == ["<failed>"]
    assert book.invoke("di_dial", "dial", "click2dial", "u", "sip:a@h", "sip:b@h", ["r", "u", "p", "nonsense"]) == ["<failed>"]
    assert not dials(book)
    with pytest.raises(ConfigError, match="default_announce"):
        Playbook().load(PLUGIN, "default_announce=none.wav\n")
