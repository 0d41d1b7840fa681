# SPDX-License-Identifier: GPL-2.0-or-later
"""The file, then the second leg: it rings, answers, fails, or is never reached because the caller has gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.apps.ann_b2b import PLUGIN
from di.calls.session import Session
from di.sip import records as sip
from media.control import play_items
from tests.support.playbook import Playbook


@pytest.fixture
def book(tmp_path: Path) -> Playbook:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio/default.wav").write_bytes(b"RIFF")
    playbook = Playbook(conf_dir=tmp_path, mapping="^sip:=>ann_b2b\n")
    playbook.load(PLUGIN, "announce_path=audio/\nnext_hop=sip:127.0.0.1:5070\n")
    return playbook


def called(book: Playbook, *headers: tuple[str, str]) -> tuple[Session, sip.Dial]:
    """A call whose announcement is over, and its second INVITE."""
    session = book.up("anna", headers)
    assert isinstance(book.media.current(session.leg), play_items.PlayFile)
    book.media.finish_item(session.leg)
    book.run()
    (dial,) = (c for c in book.sip.commands if isinstance(c, sip.Dial))
    return session, dial


def test_the_second_leg_is_the_callers_call(book: Playbook) -> None:
    session, dial = called(book, ("P-App-Param", "usr=x"), ("Subject", "hello"))
    assert (dial.request_uri, dial.to_uri, dial.next_hop) == (
        "sip:anna@here.example",
        "<sip:anna@here.example>",
        "sip:127.0.0.1:5070",
    )
    assert "caller" in dial.from_uri and "tag=" not in dial.from_uri
    assert "Subject: hello" in dial.headers and not any(line.startswith("P-App") for line in dial.headers)
    book.progress(dial.call)
    assert isinstance(book.media.current(session.leg), play_items.PlayTone), "the caller hears that it rings"
    second = book.confirm(dial.call)
    assert book.media.current(session.leg) == play_items.PlayBridge(second.leg)
    book.bye(second)
    assert book.sip.of(sip.Hangup, session.call)


def test_nobody(book: Playbook) -> None:
    session, dial = called(book)
    book.fail(dial.call, 486, "Busy Here")
    assert book.sip.of(sip.Hangup, session.call) and len(book.sessions) == 0


def test_the_caller_goes_while_it_rings(book: Playbook) -> None:
    session, dial = called(book)
    book.progress(dial.call)
    book.bye(session)
    assert book.sip.of(sip.Hangup, dial.call) and len(book.sessions) == 0


def test_the_caller_goes_during_the_announcement(book: Playbook) -> None:
    session = book.up("anna")
    book.bye(session)
    assert not any(isinstance(c, sip.Dial) for c in book.sip.commands)


def test_a_call_that_comes_back(book: Playbook) -> None:
    assert book.answers(book.offer("anna", (("X-Announced", "sip:anna@here.example"),))) == [482]
