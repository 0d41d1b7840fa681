# SPDX-License-Identifier: GPL-2.0-or-later
"""The two streams that an application can see, and what happens to what it does not take: every request, every reply, news of the audio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from di.calls.application import Application
from di.calls.call_info import CallOut
from di.calls.session import Session
from di.sip import records as sip
from media.control import recording_records, records
from tests.support.playbook import Playbook


class Watcher(Application):
    """Writes down both streams; `takes` are methods and codes that it takes over."""

    takes: tuple[object, ...] = ()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.seen: list[Any] = []

    def on_sip_request(self, request: sip.RequestReceived) -> bool:
        self.seen.append(request.method)
        return request.method in self.takes

    def on_sip_reply(self, reply: Any) -> bool:
        self.seen.append((reply.method, reply.code))
        return reply.code in self.takes

    def on_invite(self, session: Session) -> None:
        self.seen.append("invite")

    def on_bye(self, headers: object) -> None:
        self.seen.append("bye")

    def on_cancel(self) -> None:
        self.seen.append("cancel")

    def on_ringing(self, progress: object) -> None:
        self.seen.append("ringing")

    def on_failure(self, code: int, reason: str) -> None:
        self.seen.append("failure")

    def on_connected(self, confirmed: object) -> None:
        self.seen.append("connected")


@pytest.fixture
def book() -> Playbook:
    return Playbook()


def watching(book: Playbook, *takes: object) -> Callable[[Session], list[Any]]:
    book.services.applications.register("watcher", type("W", (Watcher,), {"takes": takes}))
    return lambda session: session.app.seen  # type: ignore[attr-defined, no-any-return]


def request(book: Playbook, session: Session, method: str, *more: Any) -> None:
    book.sessions.on_sip_event(sip.RequestReceived(session.call, 9, method, (), *(more or ("", b"")), method != "INVITE"))
    book.run()


def replies(book: Playbook, session: Session) -> list[int]:
    return [reply.code for reply in book.sip.of(sip.SendReply, session.call)]


def test_every_request_of_a_call_in_is_seen(book: Playbook) -> None:
    seen = watching(book)
    session = book.up("app-watcher")
    for method in ("INVITE", "MESSAGE", "OPTIONS", "REFER"):
        request(book, session, method)
    request(book, session, "INFO", "application/dtmf-relay", b"Signal=1\r\nDuration=100\r\n")
    book.bye(session)
    assert seen(session) == ["INVITE", "invite", "connected", "INVITE", "MESSAGE", "OPTIONS", "REFER", "INFO", "BYE", "bye"]
    assert replies(book, session) == [501, 200, 501, 200]


def test_what_is_taken_over_goes_no_further(book: Playbook) -> None:
    seen = watching(book, "INVITE", "MESSAGE", "BYE")
    call = book.offer("app-watcher")
    session = book.session(call)
    assert seen(session) == ["INVITE"] and book.answers(call) == []
    session.dialog.accept()
    book.confirm(call)
    request(book, session, "MESSAGE")
    assert replies(book, session) == []
    book.bye(session)
    assert seen(session) == ["INVITE", "connected", "MESSAGE", "BYE"]
    assert len(book.sessions) == 0


def test_cancel_is_a_request_too(book: Playbook) -> None:
    seen = watching(book)
    call = book.offer("app-watcher")
    session = book.session(call)
    book.sessions.on_sip_event(sip.CallEnded(call, 487, "cancelled", "cancel"))
    book.run()
    assert seen(session)[-2:] == ["CANCEL", "cancel"]


def out(book: Playbook) -> Session:
    id = book.sessions.dialout(CallOut("watcher", "sip:b@there.example", "<sip:a@h>", "<sip:b@there.example>"))
    book.run()
    session = book.sessions.find(id)
    assert session is not None
    return session


def test_every_reply_of_a_call_out_is_seen(book: Playbook) -> None:
    seen = watching(book)
    session = out(book)
    book.progress(session.call, 180)
    book.progress(session.call, 183, has_body=True)
    book.confirm(session.call)
    token = session.dialog.send("MESSAGE")
    book.sessions.on_sip_event(sip.ReplyReceived(session.call, token, 202, "Accepted"))
    book.run()
    assert seen(session) == [
        ("INVITE", 180),
        "ringing",
        ("INVITE", 183),
        "ringing",
        ("INVITE", 200),
        "connected",
        ("MESSAGE", 202),
    ]


def test_a_failure_is_a_reply_and_may_be_taken(book: Playbook) -> None:
    seen = watching(book, 486, 180)
    session = out(book)
    book.progress(session.call, 180)
    book.fail(session.call, 486)
    assert seen(session) == [("INVITE", 180), ("INVITE", 486)]
    assert len(book.sessions) == 0


def test_a_reply_with_a_handler_of_its_own_goes_only_there(book: Playbook) -> None:
    seen = watching(book)
    session = book.up("app-watcher")
    got: list[tuple[str, int]] = []
    token = session.dialog.send("OPTIONS", on_reply=lambda reply: got.append((reply.method, reply.code)))
    for _ in range(2):
        book.sessions.on_sip_event(sip.ReplyReceived(session.call, token, 200, "OK"))
    book.run()
    assert got == [("OPTIONS", 200)]
    assert seen(session)[-1] == ("", 200)  # the second one answers nothing that is open


def test_a_late_ringing_changes_nothing(book: Playbook) -> None:
    seen = watching(book)
    session = out(book)
    book.confirm(session.call)
    book.progress(session.call, 180)
    assert seen(session) == [("INVITE", 200), "connected"]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            lambda leg: records.ItemFailed(leg, "/srv/none.wav", "No such file"),
            "/srv/none.wav cannot be played and is skipped: No such file",
        ),
        (
            lambda leg: recording_records.RecordingStopped(leg, "/srv/r.wav", 10, 100, "No space left"),
            "recording /srv/r.wav ended: No space left",
        ),
    ],
)
def test_news_that_nobody_handles_leave_a_line_with_the_call_s_id(
    book: Playbook, caplog: pytest.LogCaptureFixture, event: Callable[[int], Any], text: str
) -> None:
    book.services.applications.register("plain", Application)
    session = book.up("app-plain")
    book.sessions.on_media_event(event(session.leg))
    book.run()
    assert f"call {session.id}: {text}" in caplog.text
    assert not session.dialog.ending


def test_a_recording_that_ended_in_order_says_nothing(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    book.services.applications.register("plain", Application)
    session = book.up("app-plain")
    session.audio.record("/srv/r.wav")
    book.sessions.on_media_event(recording_records.RecordingStopped(session.leg, "/srv/r.wav", 10, 100, "length"))
    book.run()
    assert session.audio.recording == "" and session.audio.recorded_ms() is None
    assert "recording" not in caplog.text


async def test_what_a_callback_awaits_is_cancelled(book: Playbook) -> None:
    class Waiting(Application):
        async def on_event(self, event: object) -> None:
            work = asyncio.get_running_loop().create_future()
            work.cancel()
            await work

    book.services.applications.register("waiting", Waiting)
    session = book.up("app-waiting")
    session.post_event({})
    book.run()
    await asyncio.gather(*book.waiting, return_exceptions=True)
    book.run()
    assert list(book.sessions) == [], "a fault of its application ends the call"


@pytest.mark.parametrize("rings", [0, 2])
def test_a_call_out_that_is_never_answered_ends(book: Playbook, rings: int, caplog: pytest.LogCaptureFixture) -> None:
    """RFC 3261 §16.6 timer C: three minutes, from each provisional reply anew."""
    seen = watching(book)
    order = CallOut("watcher", "sip:b@there.example", "<sip:a@here.example>", "<sip:b@there.example>")
    session = book.sessions.dial(order)
    assert session is not None
    book.run()
    for _ in range(rings):
        book.run(170)
        book.progress(session.call)
    book.run(179)
    assert not book.sip.of(sip.Hangup, session.call)
    book.run(2)
    assert [hangup.code for hangup in book.sip.of(sip.Hangup, session.call)] == [408]
    book.fail(session.call, 408, "Request Timeout")
    assert len(book.sessions) == 0 and seen(session).count("ringing") == rings


def test_a_call_that_was_answered_in_time_stays(book: Playbook) -> None:
    watching(book)
    session = book.sessions.dial(CallOut("watcher", "sip:b@there.example", "<sip:a@here.example>", "<sip:b@there.example>"))
    assert session is not None
    book.run()
    book.confirm(session.call)
    book.run(600)
    assert not book.sip.of(sip.Hangup, session.call)
