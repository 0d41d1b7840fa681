# SPDX-License-Identifier: GPL-2.0-or-later
"""On whose behalf calls and their second legs are;
calls of our own from Dial to the end: what is placed, called back, refused."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest

from di.calls.application import Application
from di.calls.call_info import Target
from di.calls.pair import Pair
from di.calls.state import Phase
from di.kernel.errors import CallFailed
from di.kernel.interfaces import NetInterface
from di.kernel.registry import INTERNAL, Caller
from di.kernel.server_options import CallerLimit, CoreOptions
from di.sip import records as sip
from di.sip.credentials import Credential
from media.control.records import OpenLeg, RtpAddress
from tests.support.diary import Diary, dial, diary, diary_book, record, register
from tests.support.playbook import Playbook


def test_second_legs_are_on_behalf_of_whom_their_first_leg_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    book = Playbook(replace(CoreOptions(), dialout_each_caller=CallerLimit(calls=2)))
    book.services.applications.register("plain", Application)

    def dialout(caller: Caller) -> str:
        arguments = ["plain", "u", "sip:a@there.example", "sip:me@here.example"]
        return str(book.services.registry.invoke("core", "dialout", arguments, caller))

    desk = Caller("desk", "xmlrpc2di", "127.0.0.1")
    first = book.sessions.find(dialout(desk))
    assert first is not None and first.on_behalf == "desk"
    book.run()
    book.confirm(first.call)
    pair = Pair(first)
    pair.connect([Target("sip:b@there.example"), Target("sip:c@there.example")])
    book.run()
    assert [session.on_behalf for session in pair.trying] == ["desk"], "the third call of two is refused"
    assert "way=pair caller=desk" in caplog.text and "caller desk may have 2 calls out at once" in caplog.text
    with pytest.raises(CallFailed):
        dialout(desk)
    inside = book.sessions.find(dialout(INTERNAL))
    assert inside is not None and inside.on_behalf == ""
    assert book.invoke("core", "dialout_status")["of_callers"] == {"desk": 2}
    book.bye(first)
    assert book.invoke("core", "dialout_status") == {"calls": 1, "of_callers": {}, "placed": 3, "refused": {"calls": 2}}


def test_whether_one_could_dial_is_asked_without_dialling() -> None:
    book = Playbook(replace(CoreOptions(), dialout_deny=("^900",)))
    assert book.invoke("core", "dialout_check", "sip:100@h") == {"allowed": True, "cause": "", "why": ""}
    denied = book.invoke("core", "dialout_check", "sip:9-0-0@h;user=phone")
    assert (denied["allowed"], denied["cause"]) == (False, "destination")
    assert book.invoke("core", "dialout_check", "nonsense")["cause"] == "malformed"
    assert not book.invoke("core", "dialout_status")["refused"] and not [c for c in book.sip.commands if isinstance(c, sip.Dial)]


def test_what_is_refused_before_it_is_a_call_is_counted_too(caplog: pytest.LogCaptureFixture) -> None:
    book = Playbook()
    with pytest.raises(CallFailed):
        book.invoke("core", "dialout", "x", "u", "sip:a@h?Route=%3Csip:evil%3E", "sip:me@h")
    book.invoke("core", "set_shutdownmode", True)
    with pytest.raises(CallFailed):
        book.invoke("core", "dialout", "x", "u", "sip:a@h", "sip:me@h")
    assert book.invoke("core", "dialout_status")["refused"] == {"malformed": 1, "gate": 1}
    assert caplog.text.count("audit dialout") == 2


@pytest.fixture
def book() -> Playbook:
    return diary_book()


def test_dialout_to_the_answer(book: Playbook) -> None:
    id = dial(book, headers="X-A: 1\r\nX-B: 2", credential=Credential("realm", "me", "pw"))
    session = book.sessions.find(id)
    assert session is not None
    placed = book.sip.of(sip.Dial, session.call)[0]
    assert placed.call % 2 == 0
    assert (placed.request_uri, placed.headers) == ("sip:callee@there.example", ("X-A: 1", "X-B: 2"))
    assert (placed.realm, placed.username, placed.password) == ("realm", "me", "pw")
    assert placed.media_port == book.media.legs[session.leg].port
    assert record(book, id)["dir"] == "out"
    assert record(book, id)["app"] == "diary"
    book.progress(session.call)
    assert session.dialog.phase is Phase.PROCEEDING
    book.confirm(session.call)
    assert diary(session) == ["on_outgoing_invite", "on_ringing", "on_connected", "on_session_start"]
    book.bye(session)
    assert len(book.sessions) == 0


def test_dialout_that_fails(book: Playbook) -> None:
    session = book.sessions.find(dial(book))
    assert session is not None
    book.fail(session.call)
    assert diary(session)[-2:] == ["on_failure", "on_destroy"]
    assert book.invoke("monitoring", "listFinished") == [session.id]


def test_dialout_without_media_or_stopped_at_once(book: Playbook) -> None:
    def stop(self: Application) -> None:
        self.session.stop()

    def broken(self: Application) -> None:
        raise ValueError("oops")

    register(book, "stops", on_outgoing_invite=stop)
    register(book, "breaks", on_outgoing_invite=broken)
    dial(book, application="stops")
    dial(book, application="breaks")
    book.media.fail_next_leg = "no port"
    dial(book)
    assert len(book.sessions) == 0
    assert not [c for c in book.sip.commands if isinstance(c, (sip.Dial, sip.Hangup))]
    assert len(book.invoke("monitoring", "listFinished")) == 3


def test_early_media_of_a_dialled_call_in_either_order(book: Playbook) -> None:
    for negotiated_first in (True, False):
        session = book.sessions.find(dial(book))
        assert session is not None
        for step in (0, 1) if negotiated_first else (1, 0):
            if step:
                book.progress(session.call, 183, "Session Progress", has_body=True)
            else:
                book.negotiate(session.call)
        assert diary(session).count("on_early_session_start") == 1
        book.confirm(session.call)
        assert diary(session).count("on_session_start") == 1


def test_dialout_with_a_chosen_id(book: Playbook) -> None:
    assert dial(book, id="mine") == "mine"
    assert dial(book, id="mine") == ""


@pytest.mark.parametrize(
    "values",
    [
        {"application": "none"},
        {"request_uri": "sip:a@h\r\nX: y"},
        {"request_uri": "nonsense"},
        {"from_header": "<sip:a@h>\r\nX: y>"},
        {"to_header": "<>"},
    ],
)
def test_dialout_that_cannot_be_placed(book: Playbook, values: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    assert dial(book, **values) == ""
    assert not [c for c in book.sip.commands if isinstance(c, sip.Dial)]
    assert caplog.text.count("audit dialout") == 1 and "decision=refused" in caplog.text


def test_dialout_is_off_beyond_loopback_until_there_is_a_cap() -> None:
    for cap, works in ((0, False), (1, True)):
        book = Playbook(dataclasses.replace(CoreOptions(), sip_ip="192.0.2.9", dialout_limit=cap))
        book.services.applications.register("diary", Diary)
        assert bool(dial(book)) is works
        assert dial(book) == ""


def test_a_call_out_leaves_from_the_interface_that_is_named() -> None:
    known = (
        NetInterface("in", RtpAddress("10.0.0.1"), "10.0.0.1"),
        NetInterface("out", RtpAddress("10.0.0.2"), "10.0.0.2"),
        NetInterface("media", RtpAddress("10.0.0.3")),
    )
    book = Playbook(replace(CoreOptions(), interfaces=known, outbound_interface="out"))
    book.services.applications.register("diary", Diary)
    for named, place, address in (
        ({}, 1, 1),
        ({"interface": "in"}, 0, 0),
        ({"interface": "in", "media_interface": "media"}, 0, 2),
    ):
        session = book.sessions.find(dial(book, **named))
        assert session is not None
        assert book.sip.of(sip.Dial, session.call)[0].place == place
        (opened,) = [one for one in book.media.commands if isinstance(one, OpenLeg) and one.leg == session.leg]
        assert opened.address == address
    assert dial(book, interface="media") == "" and dial(book, media_interface="nowhere") == ""
    with_one = diary_book()
    session = with_one.sessions.find(dial(with_one))
    assert session is not None and with_one.sip.of(sip.Dial, session.call)[0].place == -1
