# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls in, from INVITE to the end, event by event: what is answered, called back, logged, given back."""

from __future__ import annotations

import dataclasses

import pytest

from di.calls.application import Application
from di.calls.call_info import CallOut
from di.calls.events import EventPosted
from di.calls.session import Session
from di.calls.state import Phase
from di.kernel.errors import Refused
from di.kernel.event_log import EventFilter, LoggedEvent
from di.kernel.server_options import CoreOptions, Limit
from di.sip import records as sip
from media.control.recording_records import RecordingStopped
from media.control.records import AnnounceFailed
from tests.support.diary import Diary, dial, diary, diary_book, record, register
from tests.support.playbook import Playbook


@pytest.fixture
def book() -> Playbook:
    return diary_book()


# ------------------------------------------------------------------------------------------------------------------ incoming
def test_a_call_in_is_answered_with_our_address_and_started(book: Playbook) -> None:
    call = book.offer("app-diary")
    answer = book.sip.commands[-1]
    leg = book.session(call).leg
    assert (answer.code, answer.media_ip, answer.media_port) == (200, "127.0.0.1", book.media.legs[leg].port)
    session = book.confirm(call)
    assert session.dialog.phase is Phase.CONNECTED
    connected = book.media.legs[leg].connected
    assert connected is not None
    assert (connected.codec, connected.remote_port, connected.dtmf_receive, connected.send) == ("PCMU", 4000 + call, 101, True)
    assert diary(session) == ["on_invite", "on_connected", "on_session_start"]


def test_what_is_logged_for_every_call(book: Playbook) -> None:
    session = book.up("app-diary")
    assert record(book, session.id) == {
        "app": "diary",
        "dir": "in",
        "ruri": "sip:app-diary@here.example",
        "from": f"<sip:caller{session.call}@there.example>;tag=t{session.call}",
        "to": "<sip:app-diary@here.example>",
        "callid": f"id{session.call}",
        "ltag": f"local{session.call}",
        "rtag": f"t{session.call}",
    }
    assert book.invoke("monitoring", "listActive") == [session.id]
    book.bye(session)
    assert book.invoke("monitoring", "listFinished") == [session.id]


def test_the_end_by_the_peer_gives_everything_back(book: Playbook) -> None:
    session = book.up("app-diary")
    book.bye(session)
    assert diary(session)[-2:] == ["on_bye", "on_destroy"]
    assert len(book.sessions) == 0
    assert book.media.legs == {}
    assert session.id not in book.services.queues
    assert book.invoke("core", "calls") == 0
    assert not book.sip.of(sip.Hangup, session.call)
    assert [e.type for e in book.services.events.ring if e.type.startswith("call.")] == [
        "call.started",
        "call.answered",
        "call.ended",
    ]


def test_stop_says_bye_once_and_no_callback_but_destroy(book: Playbook) -> None:
    session = book.up("app-diary")
    session.stop()
    session.stop()
    book.run()
    assert len(book.sip.of(sip.Hangup, session.call)) == 1
    assert diary(session)[3:] == ["on_destroy"]
    assert len(book.sessions) == 0


def test_cancel_before_the_answer(book: Playbook) -> None:
    lines: list[str] = []
    register(book, "late", on_invite=lambda self, s: s.dialog.defer_answer(), on_cancel=lambda self: lines.append("cancel"))
    call = book.offer("app-late")
    assert book.answers(call) == []
    book.sessions.on_sip_event(sip.CallEnded(call, 487, "Request Terminated", "cancel"))
    book.run()
    assert lines == ["cancel"]
    assert len(book.sessions) == 0


def test_an_application_that_answers_later(book: Playbook) -> None:
    register(
        book, "late", on_invite=lambda self, s: s.dialog.defer_answer(), on_event=lambda self, event: self.session.dialog.accept()
    )
    call = book.offer("app-late")
    book.session(call).post_event({"go": "on"})
    book.run()
    assert book.answers(call) == [200]


def test_early_media_starts_early_and_then_fully(book: Playbook) -> None:
    def invite(self: Application, session: Session) -> None:
        session.dialog.defer_answer()
        session.dialog.early_media()

    starts: list[str] = []
    callbacks = {
        "on_invite": invite,
        "on_early_session_start": lambda self: starts.append("early"),
        "on_session_start": lambda self: starts.append("full"),
    }
    register(book, "early", **callbacks)
    call = book.offer("app-early")
    assert book.answers(call) == [183]
    book.negotiate(call)
    assert starts == ["early"]
    book.session(call).dialog.accept()
    book.confirm(call)
    assert starts == ["early", "full"]
    assert book.answers(call) == [183, 200]


def test_reinvite_tells_the_leg_and_the_application(book: Playbook) -> None:
    session = book.up("app-diary")
    book.negotiate(session.call, send=False, receive=True)
    connected = book.media.legs[session.leg].connected
    assert connected is not None
    assert (connected.send, connected.receive) == (False, True)
    assert diary(session)[-1] == "on_media_changed"


# -------------------------------------------------------------------------------------------------------------- refusals
def test_unknown_application_and_unmapped_uri_are_404(book: Playbook) -> None:
    for user in ("app-nothing", "unmapped"):
        call = book.offer(user)
        assert book.answers(call) == [404]
    assert len(book.sessions) == 0
    assert book.invoke("monitoring", "list") == []


def test_refused_in_the_factory_leaves_no_record(book: Playbook) -> None:
    def refuse(session: Session) -> Application:
        raise Refused(486, "Busy Here", ("X-Why: full",))

    book.services.applications.register("busy", refuse)
    call = book.offer("app-busy")
    answer = book.sip.of(sip.Answer, call)[0]
    assert (answer.code, answer.reason, answer.headers) == (486, "Busy Here", ("X-Why: full",))
    assert book.invoke("monitoring", "list") == []


def test_refused_in_on_invite(book: Playbook) -> None:
    def invite(self: Application, session: Session) -> None:
        raise Refused(603, "Decline", ("X-Why: no",))

    register(book, "no", on_invite=invite)
    call = book.offer("app-no")
    hangup = book.sip.of(sip.Hangup, call)[0]
    assert (hangup.code, hangup.reason, hangup.headers) == (603, "Decline", ("X-Why: no",))
    assert len(book.sessions) == 0


@pytest.mark.parametrize("place", ["factory", "on_invite"])
def test_a_fault_before_the_answer_is_500(book: Playbook, place: str, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> Application:
        raise KeyError("oops")

    if place == "factory":
        book.services.applications.register("broken", broken)
    else:
        register(book, "broken", on_invite=broken)
    call = book.offer("app-broken")
    assert book.answers(call) == [500]
    assert len(book.sessions) == 0
    assert "broken" in caplog.text
    assert "oops" in caplog.text


def test_a_fault_in_a_call_ends_that_call_only(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    def broken(self: Application, event: EventPosted) -> None:
        raise ValueError("oops")

    register(book, "broken", on_event=broken)
    bad, good = book.up("app-broken"), book.up("app-diary")
    bad.post_event({})
    book.run()
    assert [s.id for s in book.sessions] == [good.id]
    assert f"call {bad.id}: broken failed: ValueError: oops" in caplog.text


def test_a_fault_at_the_end_still_gives_everything_back(book: Playbook) -> None:
    def broken(self: Application, *_: object) -> None:
        raise ValueError("oops")

    register(book, "broken", on_bye=broken, on_destroy=broken)
    book.bye(book.up("app-broken"))
    assert len(book.sessions) == 0
    assert book.media.legs == {}
    assert book.invoke("core", "calls") == 0


def test_limits_and_shutdown_mode() -> None:
    core = dataclasses.replace(CoreOptions(), session_limit=Limit(1, 480, "Full"), options_session_limit=Limit(1, 481, "Nearly"))
    book = Playbook(core)
    book.services.applications.register("diary", Diary)
    first = book.up("app-diary")
    assert book.answers(book.offer("app-diary")) == [480]
    assert book.sip.commands[-2] == sip.SetOptionsReply(481, "Nearly") or sip.SetOptionsReply(481, "Nearly") in book.sip.commands
    book.bye(first)
    assert book.sip.commands[-1] == sip.SetOptionsReply(200, "OK")
    assert book.invoke("core", "set_shutdownmode", True) == "200 OK"
    assert book.answers(book.offer("app-diary")) == [503]
    assert book.sip.commands[-2] == sip.SetOptionsReply(503, "Server shutting down")
    assert book.sessions.dialout(CallOut("diary", "sip:a@h", "<sip:b@h>", "<sip:a@h>")) == ""


def test_no_media_is_503(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    book.media.fail_next_leg = "no port is free between 10000 and 10001; raise rtp_high_port"
    call = book.offer("app-diary")
    assert book.answers(call) == [503]
    assert "raise rtp_high_port" in caplog.text
    assert len(book.sessions) == 0


# ------------------------------------------------------------------------------------------------------- lost processes
def test_a_lost_sip_process_ends_all_calls(book: Playbook) -> None:
    sessions = [book.up("app-diary") for _ in range(3)]
    book.sessions.sip_lost("sip process lost")
    book.run()
    assert len(book.sessions) == 0
    assert len(book.invoke("monitoring", "listFinished")) == 3
    assert all("on_remote_disappeared" in diary(s) for s in sessions)
    assert book.media.legs == {}
    assert dial(book) == ""


def test_a_lost_media_process_says_bye(book: Playbook) -> None:
    session = book.up("app-diary")
    book.sessions.media_lost("media process lost")
    book.run()
    assert len(book.sip.of(sip.Hangup, session.call)) == 1
    assert len(book.sessions) == 0


def test_a_recordings_end_is_told_after_its_call(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    session, told = book.up("app-diary"), []
    session.audio.record("/tmp/a.wav", on_end=told.append)
    book.bye(session)
    assert len(book.sessions) == 0 and not told
    ended = RecordingStopped(session.leg, "/tmp/a.wav", 1000, 16044, "closed")
    book.sessions.on_media_event(ended)
    book.sessions.on_media_event(ended)
    assert told == [ended] and not len(book.sessions.recording_ends)


def test_who_waits_for_a_recording_and_fails_stops_nobody_else(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    def fails(record: RecordingStopped) -> None:
        raise OSError("no disk")

    session = book.up("app-diary")
    session.audio.record("/tmp/a.wav", on_end=fails)
    book.sessions.on_media_event(RecordingStopped(session.leg, "/tmp/a.wav", 1000, 16044, "asked"))
    book.run()
    assert "recording /tmp/a.wav is complete, and who waits for it failed" in caplog.text
    assert "on_recording_stopped" in diary(session)


def test_a_recording_without_media_process_ends_at_once(book: Playbook) -> None:
    session, told = book.up("app-diary"), []
    book.sessions.media_lost("media process lost")
    session.audio.record("/tmp/a.wav", on_end=told.append)
    assert [record.reason for record in told] == ["no media process is up"]


def test_shutdown_event_ends_calls(book: Playbook) -> None:
    session = book.up("app-diary")
    book.sessions.broadcast("shutdown")
    book.run()
    assert len(book.sip.of(sip.Hangup, session.call)) == 1


def test_what_a_room_could_not_be_played_is_said_once_and_published(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    heard = book.services.events.subscribe(EventFilter(frozenset({"room.announce_failed"})))
    book.sessions.on_media_event(AnnounceFailed("r", "/none.wav", "No such file or directory"))
    assert caplog.messages == ["room r: /none.wav is not played: No such file or directory"]
    event = heard.take()
    assert isinstance(event, LoggedEvent) and heard.take() is None
    assert (event.room, event.attributes) == ("r", {"path": "/none.wav", "reason": "No such file or directory"})


def test_no_playout_buffer_but_those_there_are(book: Playbook) -> None:
    session = book.up("app-diary")
    with pytest.raises(ValueError, match="no playout buffer 'simpel'"):
        session.audio.set_playout("simpel")
