# SPDX-License-Identifier: GPL-2.0-or-later
"""The errands of registrations: when requests leave, what is logged and shown, what a lost SIP process does."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from di.calls.registering import Registering
from di.sip.outside_records import OutsideReplied, SendOutside
from di.sip.registration.account import RegisterAccount, RegisterPolicy
from di.sip.registration.pacing import RegisterPace
from tests.support.playbook import Playbook

ACCOUNT = RegisterAccount("h1", "example.net", "anna", "Anna", "login", "secret", "proxy.example.net")
OURS = "sip:anna@127.0.0.1:5060"


class Desk:
    def __init__(self, keep: bool = True) -> None:
        self.book = Playbook().with_monitoring()
        self.registering = Registering(self.book.sessions, RegisterPolicy(give_up=not keep), RegisterPace(0, 1, 0), "test")

    def sent(self) -> list[SendOutside]:
        self.book.run()
        return [command for command in self.book.sip.commands if isinstance(command, SendOutside)]

    def reply(self, code: int, *headers: tuple[str, str], source: str = "192.0.2.1") -> None:
        sent = self.sent()[-1]
        contact = OURS if sent.contact_user else ""
        self.book.sessions.on_sip_event(
            OutsideReplied(sent.token, code, "Reply", headers, source_ip=source, cseq=sent.cseq + 1, contact=contact)
        )
        self.book.run()

    def ok(self, expires: int = 600) -> None:
        self.reply(200, ("Contact", f"<{OURS}>;expires={expires}"))

    def record(self, handle: str = "h1") -> dict[str, Any]:
        return dict(self.book.invoke("monitoring", "get", handle)[0])


def test_a_request_as_it_leaves() -> None:
    desk = Desk()
    desk.registering.add(ACCOUNT)
    (sent,) = desk.sent()
    party = '"Anna" <sip:anna@example.net>'
    assert (sent.method, sent.request_uri, sent.from_uri, sent.to_uri) == ("REGISTER", "sip:example.net", party, party)
    assert (sent.headers, sent.next_hop, sent.contact_user, sent.from_tag) == (
        ("Expires: 3600",), "sip:proxy.example.net", "anna", "h1",
    )  # fmt: skip
    assert (sent.realm, sent.username, sent.password, sent.cseq) == ("", "login", "secret", 50) and sent.call_id
    assert desk.record()["reg_state"] == "pending"
    desk.ok()
    record = desk.record()
    assert (record["reg_state"], record["reg_code"], record["registration"]) == ("active", 200, "sip:anna@example.net")
    desk.book.run(301)
    assert [one.cseq for one in desk.sent()] == [50, 52] and desk.sent()[1].call_id == sent.call_id


def test_a_contact_of_ones_own() -> None:
    desk = Desk()
    desk.registering.add(RegisterAccount("h1", "example.net", "anna", contact="sip:x@192.0.2.9"))
    (sent,) = desk.sent()
    assert sent.headers == ("Contact: <sip:x@192.0.2.9>", "Expires: 3600") and sent.contact_user == ""
    desk.reply(200, ("Contact", "<sip:x@192.0.2.9>;expires=600"))
    desk.registering.remove("h1")
    assert desk.sent()[-1].headers == ("Contact: <sip:x@192.0.2.9>", "Expires: 0")


def test_lines_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk = Desk()
    desk.registering.add(ACCOUNT)
    desk.ok()
    for _ in range(3):
        desk.book.run(3600)
        desk.reply(401)
    desk.registering.remove("h1")
    lines = [(record.levelno, record.getMessage()) for record in caplog.records if "registration h1" in record.getMessage()]
    assert [level for level, _ in lines] == [
        logging.INFO,
        logging.WARNING,
        logging.WARNING,
        logging.DEBUG,
        logging.DEBUG,
        logging.INFO,
    ]
    assert lines[0][1].endswith("of sip:anna@example.net at sip:proxy.example.net: active for 600 s")
    assert (
        "not refreshed in time" in lines[1][1]
        and "401 Reply: user, password or realm is wrong there; tried again in" in lines[2][1]
    )
    assert "taken back" in lines[-1][1] and "secret" not in caplog.text


def test_what_cannot_leave_is_a_failure_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(keep=False)
    desk.registering.add(RegisterAccount("h1", "exa mple", "anna"))
    assert desk.sent() == [] and len(desk.registering.book) == 0 and "480 unable to send request" in caplog.text


def test_a_lost_sip_process_loses_nothing() -> None:
    desk = Desk(keep=False)
    desk.registering.add(ACCOUNT)
    desk.sent()
    sip = desk.book.sessions.sip
    desk.book.sessions.sip_lost("gone")
    desk.book.run(10)
    assert len(desk.sent()) == 1 and len(desk.registering.book) == 1
    desk.book.sessions.sip_up(sip)
    desk.book.run(4)
    assert [one.cseq for one in desk.sent()] == [50, 51]
    desk.ok()
    assert desk.record()["reg_state"] == "active"


def test_before_the_sip_process_is_up() -> None:
    desk = Desk()
    sip = desk.book.sessions.sip
    desk.book.sessions.sip_lost("not yet")
    desk.registering.add(ACCOUNT)
    desk.book.run(30)
    assert desk.sent() == []
    desk.book.sessions.sip_up(sip)
    desk.book.run(1)
    assert len(desk.sent()) == 1


async def test_all_are_taken_back_at_the_end() -> None:
    desk = Desk()
    for number in range(3):
        desk.registering.add(RegisterAccount(f"h{number}", "example.net", f"u{number}"))
        desk.sent()
        desk.ok()
    closing = asyncio.ensure_future(desk.registering.close())
    await asyncio.sleep(0)
    leaving = [one for one in desk.sent() if "Expires: 0" in one.headers]
    assert len(leaving) == 3 and not closing.done()
    for one in leaving:
        desk.book.sessions.on_sip_event(OutsideReplied(one.token, 200, "OK", source_ip="192.0.2.1"))
    desk.book.run()
    await asyncio.wait_for(closing, 30)
    desk.book.run(10_000)
    assert len(desk.sent()) == 6


async def test_left_as_they_are_at_the_end() -> None:
    desk = Desk()
    desk.registering.add(ACCOUNT)
    desk.sent()
    desk.ok()
    await desk.registering.close(leave=False)
    desk.book.run(10_000)
    assert len(desk.sent()) == 1


def flows_desk(**policy: Any) -> Desk:
    desk = Desk()
    desk.registering = Registering(desk.book.sessions, RegisterPolicy(**policy), RegisterPace(0, 1, 0), "test")
    return desk


def test_the_way_is_kept_open_and_a_silent_registrar_gets_a_register(caplog: pytest.LogCaptureFixture) -> None:
    desk = flows_desk(keepalive_s=30)
    desk.registering.add(ACCOUNT)
    desk.book.run(60)
    assert [one.method for one in desk.sent()] == ["REGISTER"], "nothing is open yet"
    desk.ok()
    desk.book.run(31)
    kept = desk.sent()[-1]
    assert (kept.method, kept.request_uri, kept.next_hop) == ("OPTIONS", "sip:example.net", "sip:proxy.example.net")
    desk.reply(405)
    desk.book.run(31)
    assert [one.method for one in desk.sent()] == ["REGISTER", "OPTIONS", "OPTIONS"], "any answer will do"
    desk.reply(408, source="")
    assert [one.method for one in desk.sent()][-1] == "REGISTER" and "nobody answers at the registrar" in caplog.text
    desk.ok()
    desk.registering.remove("h1")
    desk.reply(200)
    count = len(desk.sent())
    desk.book.run(100)
    assert len(desk.sent()) == count


def test_where_the_registrar_sees_us_is_registered() -> None:
    desk = flows_desk(learn_contact=True)
    desk.registering.add(ACCOUNT)
    seen = ("Via", "SIP/2.0/UDP 127.0.0.1:5060;rport=40123;received=203.0.113.5;branch=z9hG4bK1")
    desk.reply(200, seen, ("Contact", f"<{OURS}>;expires=600"))
    learned = desk.sent()[-1]
    new = "sip:anna@203.0.113.5:40123"
    assert (
        learned.headers == (f"Contact: <{new}>", f"Contact: <{OURS}>;expires=0", "Expires: 3600") and learned.contact_user == ""
    )
    desk.reply(200, seen, ("Contact", f"<{new}>;expires=600"))
    assert desk.record()["reg_contact"] == new and len(desk.sent()) == 2
    desk.book.run(301)
    assert desk.sent()[-1].headers == (f"Contact: <{new}>", "Expires: 3600")
    moved = ("Via", "SIP/2.0/UDP 127.0.0.1:5060;rport=40999;received=203.0.113.5;branch=z9hG4bK1")
    desk.reply(200, moved, ("Contact", f"<{new}>;expires=600"))
    assert (
        desk.sent()[-1].headers[0] == "Contact: <sip:anna@203.0.113.5:40999>"
        and f"<{new}>;expires=0" in desk.sent()[-1].headers[1]
    )
    desk.registering.remove("h1")


def test_a_nat_that_shows_another_port_each_time_is_not_followed_without_end() -> None:
    desk = flows_desk(learn_contact=True)
    desk.registering.add(ACCOUNT)
    port = 40_000

    def granted() -> None:
        nonlocal port
        port += 1
        bound = next((line[10:-1] for line in desk.sent()[-1].headers if line.startswith("Contact: ")), OURS)
        via = ("Via", f"SIP/2.0/UDP 127.0.0.1:5060;rport={port};received=203.0.113.5;branch=z9hG4bK1")
        desk.reply(200, via, ("Contact", f"<{bound}>;expires=600"))

    for refreshes in range(4):
        granted()
        assert len(desk.sent()) == 2 * refreshes + 2 and f"203.0.113.5:{port}>" in desk.sent()[-1].headers[0]
        granted()
        desk.book.run(200)
        assert len(desk.sent()) == 2 * refreshes + 2, "it waits for the refresh"
        desk.book.run(101)
        assert len(desk.sent()) == 2 * refreshes + 3


def test_a_contact_that_is_given_later_stays_too() -> None:
    desk = flows_desk(learn_contact=True)
    desk.registering.add(ACCOUNT)
    via = ("Via", "SIP/2.0/UDP 127.0.0.1:5060;rport=40123;received=203.0.113.5")
    desk.reply(200, via, ("Contact", f"<{OURS}>;expires=600"))
    desk.reply(200, via, ("Contact", "<sip:anna@203.0.113.5:40123>;expires=600"))
    given = RegisterAccount("h1", "example.net", "anna", contact="sip:x@192.0.2.9")
    desk.registering.change(given)
    desk.reply(200, via, ("Contact", "<sip:x@192.0.2.9>;expires=600"))
    assert desk.sent()[-1].headers == ("Contact: <sip:x@192.0.2.9>", "Expires: 3600")
    desk.registering.change(ACCOUNT)
    desk.sent()
    desk.registering.change(given)
    desk.reply(200, via, ("Contact", f"<{OURS}>;expires=600"))
    assert desk.sent()[-1].headers[0] == "Contact: <sip:x@192.0.2.9>", "it was changed while its request was under way"


def test_a_contact_that_was_given_stays() -> None:
    desk = flows_desk(learn_contact=True)
    desk.registering.add(RegisterAccount("h1", "example.net", "anna", contact="sip:x@192.0.2.9"))
    via = ("Via", "SIP/2.0/UDP 127.0.0.1:5060;rport=40123;received=203.0.113.5")
    desk.reply(200, via, ("Contact", "<sip:x@192.0.2.9>;expires=600"))
    assert len(desk.sent()) == 1
