# SPDX-License-Identifier: GPL-2.0-or-later
"""The file, REFER, and how the call ends by what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.apps.announce_transfer import PLUGIN
from di.calls.call_info import CallOut
from di.calls.session import Session
from di.sip import records as sip
from tests.support.playbook import Playbook


@pytest.fixture
def book(tmp_path: Path) -> Playbook:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio/default.wav").write_bytes(b"RIFF")
    playbook = Playbook(conf_dir=tmp_path, mapping="^sip:=>announce_transfer\n")
    playbook.load(PLUGIN, "announce_path=audio/\ntransfer_timeout=20\n")
    return playbook


def referred(book: Playbook, *headers: tuple[str, str]) -> tuple[Session, sip.SendRequest]:
    """A call whose announcement is over, and its REFER."""
    session = book.up("anna", headers)
    book.media.finish_item(session.leg)
    book.run()
    (refer,) = book.sip.of(sip.SendRequest, session.call)
    assert refer.method == "REFER"
    return session, refer


def notify(book: Playbook, session: Session, body: bytes, event: str = "refer", kind: str = "message/sipfrag") -> int:
    """A NOTIFY comes; the code of its answer."""
    book.sessions.on_sip_event(sip.RequestReceived(session.call, 7, "NOTIFY", (("Event", event),), kind, body, True))
    book.run()
    return int(book.sip.of(sip.SendReply, session.call)[-1].code)


@pytest.mark.parametrize(
    ("headers", "target"),
    [
        ((), "sip:anna@here.example"),
        ((("P-App-Param", "Refer-To=sip:ben@there.example"),), "sip:ben@there.example"),
        ((("P-Refer-To", "<sip:carl@there.example>"),), "sip:carl@there.example"),
        ((("P-App-Param", "x=1"), ("P-Refer-To", "sip:carl@there.example")), "sip:anna@here.example"),
    ],
)
def test_where_to(book: Playbook, headers: tuple[tuple[str, str], ...], target: str) -> None:
    assert referred(book, *headers)[1].headers == (f"Refer-To: <{target}>",)


def test_what_is_no_uri(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    assert book.answers(book.offer("anna", (("P-Refer-To", "ben"),))) == [400]
    assert "Refer-To 'ben' is no SIP URI" in caplog.text


def test_the_transfer_succeeds(book: Playbook) -> None:
    session, refer = referred(book)
    book.sessions.on_sip_event(sip.ReplyReceived(session.call, refer.token, 202, "Accepted", (), b""))
    assert notify(book, session, b"SIP/2.0 100 Trying\r\n") == 200
    assert notify(book, session, b"what", "dialog") == 481
    assert notify(book, session, b"what", kind="text/plain") == 415
    assert notify(book, session, b"what") == 400
    assert not book.sip.of(sip.Hangup, session.call)
    assert notify(book, session, b"SIP/2.0 200 OK\r\n") == 200
    assert book.sip.of(sip.Hangup, session.call) and len(book.sessions) == 0


def test_the_transfer_fails(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    session, _ = referred(book)
    assert notify(book, session, b"SIP/2.0 486 Busy Here\r\n") == 200
    assert book.sip.of(sip.Hangup, session.call) and "transfer to sip:anna@here.example: 486" in caplog.text


def test_the_caller_refuses(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    session, refer = referred(book)
    book.sessions.on_sip_event(sip.ReplyReceived(session.call, refer.token, 603, "Decline", (), b""))
    book.run()
    assert book.sip.of(sip.Hangup, session.call) and "the caller refuses REFER to sip:anna@here.example: 603" in caplog.text


def test_nothing_comes_of_it(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    session, _ = referred(book)
    book.run(21)
    assert book.sip.of(sip.Hangup, session.call) and "no result of the transfer" in caplog.text


def test_a_notify_before_the_refer_is_no_business_of_ours(book: Playbook) -> None:
    session = book.up("anna")
    assert notify(book, session, b"SIP/2.0 200 OK\r\n") == 501 and not book.sip.of(sip.Hangup, session.call)


def test_a_call_out_says_where_to_by_its_parameters(book: Playbook) -> None:
    order = CallOut(
        "announce_transfer", "sip:anna@127.0.0.1", "<sip:us@here>", "<sip:anna@127.0.0.1>", params={"Refer-To": "sip:ben@x"}
    )
    session = book.sessions.dial(order)
    assert session is not None
    book.run()
    book.confirm(session.call)
    book.media.finish_item(session.leg)
    book.run()
    (refer,) = book.sip.of(sip.SendRequest, session.call)
    assert refer.headers == ("Refer-To: <sip:ben@x>",)
