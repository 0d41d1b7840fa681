# SPDX-License-Identifier: GPL-2.0-or-later
"""What comes in a call: keys, requests, timers, posted events, one at a time and in order."""

from __future__ import annotations

import asyncio

import pytest

from di.calls.application import Application
from di.calls.events import EventPosted
from di.calls.mailbox import MAX_POSTED
from di.calls.session import Session
from di.sip import records as sip
from media.control import records
from tests.support.diary import diary, diary_book, register
from tests.support.playbook import Playbook


@pytest.fixture
def book() -> Playbook:
    return diary_book()


def test_keys_from_rtp_and_info_count_once(book: Playbook) -> None:
    keys: list[tuple[int, int]] = []
    register(book, "keys", on_digit=lambda self, event, ms: keys.append((event, ms)))
    session = book.up("app-keys")
    book.media.press(session.leg, "5")
    info = sip.RequestReceived(session.call, 7, "INFO", (), "application/dtmf-relay", b"Signal=5\r\nDuration=100\r\n", True)
    book.sessions.on_sip_event(info)
    book.run()
    assert keys == [(5, 100)]
    assert [(r.token, r.code) for r in book.sip.of(sip.SendReply, session.call)] == [(7, 200)]
    assert [e.attributes["key"] for e in book.services.events.ring if e.type == "dtmf"] == [5]


@pytest.mark.parametrize(
    ("method", "content_type", "code"),
    [
        ("INFO", "text/plain", 415),
        ("INFO", "application/dtmf-relay", 400),
        ("INFO", "application/dtmf", 400),
        ("MESSAGE", "text/plain", 501),
        ("REFER", "", 501),
    ],
)
def test_requests_that_nobody_takes(book: Playbook, method: str, content_type: str, code: int) -> None:
    session = book.up("app-diary")
    book.sessions.on_sip_event(sip.RequestReceived(session.call, 3, method, (), content_type, b"", True))
    book.run()
    assert [r.code for r in book.sip.of(sip.SendReply, session.call)] == [code]


def test_keys_are_looked_for_in_the_audio_of_phones_without_telephone_event(book: Playbook) -> None:
    class Keys(Application):
        def on_digit(self, event: int, duration_ms: int) -> None:
            pass

    class Silent(Keys):
        def on_invite(self, session: Session) -> None:
            session.audio.detect_digits(inband=False)

    for name, app, dtmf, switched in (
        ("keys", Keys, -1, [True]), ("keys", Keys, 101, []), ("deaf", Application, -1, []), ("silent", Silent, -1, []),
    ):  # fmt: skip
        book.services.applications.find(name) or book.services.applications.register(name, app)
        call = book.offer(f"app-{name}")
        del book.media.commands[:]
        book.negotiate(call, dtmf=dtmf)
        book.negotiate(call, dtmf=dtmf)
        found = [command.inband for command in book.media.commands if isinstance(command, records.SetDigitDetection)]
        assert found == switched, (name, dtmf)


def test_timers(book: Playbook) -> None:
    ids: list[int] = []
    register(book, "timers", on_timer=lambda self, id: ids.append(id))
    session = book.up("app-timers")
    for id, ms in ((1, 1000), (2, 2000), (3, 500), (-1, 1500)):
        session.timers.set(id, ms)
    session.timers.set(1, 3000)
    session.timers.remove(3)
    book.run(2.5)
    assert ids == [-1, 2]
    session.timers.set(-2, 100)
    session.timers.remove_all()
    book.run(5)
    assert ids == [-1, 2, -2]


def test_session_timeout_ends_the_call(book: Playbook) -> None:
    session = book.up("app-diary")
    book.sessions.on_sip_event(sip.SessionTimedOut(session.call))
    book.run()
    assert session.gone and len(book.sip.of(sip.Hangup, session.call)) == 1


def test_rtp_timeout_ends_the_call(book: Playbook) -> None:
    session = book.up("app-diary")
    assert book.media.legs[session.leg].rtp_timeout_ms == 300_000
    assert not any(isinstance(command, records.SetRtpTimeout) for command in book.media.commands), (
        "said with the connection: one record less a call"
    )
    book.sessions.on_media_event(records.RtpTimedOut(session.leg, 300_000))
    book.run()
    assert len(book.sip.of(sip.Hangup, session.call)) == 1


async def test_events_of_a_session_are_handled_one_at_a_time_in_order() -> None:
    book = Playbook()
    lines: list[str] = []

    async def slow(self: Application, event: EventPosted) -> None:
        lines.append(f"begin {event.params['n']}")
        await asyncio.sleep(0)
        lines.append(f"end {event.params['n']}")

    register(book, "slow", on_event=slow)
    session, other = book.up("app-slow"), book.up("app-slow")
    session.post_event({"n": "1"})
    session.post_event({"n": "2"})
    other.post_event({"n": "other"})
    book.run()
    while book.waiting:
        await book.waiting.pop(0)
    own = [line for line in lines if "other" not in line]
    assert own == ["begin 1", "end 1", "begin 2", "end 2"]


def test_events_after_the_end_are_dropped(book: Playbook) -> None:
    session = book.up("app-diary")
    book.bye(session)
    session.post_event({"too": "late"})
    book.run()
    assert "on_event" not in diary(session)


async def test_what_comes_from_outside_cannot_fill_a_call_that_does_not_return(
    book: Playbook, caplog: pytest.LogCaptureFixture
) -> None:
    """Its own queue is bounded for events, requests, keys and orders of RPC; one order to hang up always has its place."""

    returns = asyncio.Event()

    async def wait(self: Application, event: EventPosted) -> None:
        await returns.wait()

    register(book, "stuck", on_event=wait)
    session = book.up("app-stuck")
    session.post_event({})
    book.run()
    for _ in range(MAX_POSTED):
        session.post_event({})
    calls = 3 * MAX_POSTED
    for number in range(calls):
        info = sip.RequestReceived(session.call, number + 1, "INFO", (), "text/plain", b"x" * 1000, True)
        book.sessions.on_sip_event(info)
        book.sessions.on_media_event(records.DigitPressed(session.leg, 5, 100, "rtp"))
        assert not session.ask(lambda: None) and not session.post_event({})
        session.hang_up()
    assert len(session._mailbox) <= MAX_POSTED + 1
    replies = book.sip.of(sip.SendReply, session.call)
    assert len(replies) == calls and {(reply.code, reply.headers) for reply in replies} == {(503, ("Retry-After: 5",))}
    assert sum("events wait" in line for line in caplog.messages) == 1
    returns.set()
    while book.waiting:
        await book.waiting.pop(0)
    book.run()
    assert session.ask(lambda: None) or session.dialog.ending, "when it returns, it hears what waited"
    assert len(book.sip.of(sip.Hangup, session.call)) == 1


def test_a_key_for_a_peer_that_takes_none_is_not_sent_and_said_once(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    session = book.up("app-diary")
    session.audio.send_digit(1)
    book.negotiate(session.call, dtmf=-1)
    session.audio.send_digit(2)
    session.audio.send_digit(3)
    book.negotiate(session.call, dtmf=101)
    session.audio.send_digit(4)
    assert [command.event for command in book.media.commands if isinstance(command, records.SendDigit)] == [1, 4]
    assert caplog.text.count(f"call {session.id}: a key was not sent") == 1
