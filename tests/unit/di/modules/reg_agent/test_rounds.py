# SPDX-License-Identifier: GPL-2.0-or-later
"""reg_agent: which accounts of the file are registered, when, and what a changed file does."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest

from di.kernel.errors import ConfigError
from di.modules import reg_agent, registrar_client
from di.modules.reg_agent.options import Options, read_accounts
from di.sip.outside_records import OutsideReplied, SendOutside
from tests.support.playbook import Playbook

TWO = "domain=a.example\nuser=anna\npwd=1\ndomain1=b.example\nuser1=ben\nauth_user1=login\npwd1=2\nproxy1=p.example\n"


class Desk:
    """The two modules, and registrars that grant 600 s."""

    def __init__(self, text: str = TWO) -> None:
        self.book = Playbook()
        self.book.load(registrar_client.PLUGIN)
        self.book.load(reg_agent.PLUGIN, text)
        self._answered: set[int] = set()

    def registered(self, seconds: float) -> list[str]:
        """Addresses of requests that leave in that time, with a minus what is taken back."""
        found = []
        for _ in range(20):
            self.book.run(seconds / 20)
            found += [self._answer(one) for one in self.sent() if one.token not in self._answered]
        return found

    def sent(self) -> list[SendOutside]:
        return [command for command in self.book.sip.commands if isinstance(command, SendOutside)]

    def _answer(self, sent: SendOutside) -> str:
        self._answered.add(sent.token)
        gone, contact = "Expires: 0" in sent.headers, f"sip:{sent.contact_user}@127.0.0.1"
        headers = () if gone else (("Contact", f"<{contact}>;expires=600"),)
        self.book.sessions.on_sip_event(
            OutsideReplied(sent.token, 200, "OK", headers, source_ip="192.0.2.1", contact=contact if sent.contact_user else "")
        )
        return ("-" if gone else "") + sent.to_uri


def options(keys: Mapping[str, str]) -> Options:
    return Options(dict(keys))


def test_after_two_seconds() -> None:
    desk = Desk()
    assert desk.registered(1.9) == [] and desk.registered(0.3) == ["<sip:anna@a.example>", "<sip:ben@b.example>"]
    values = [(one.username, one.password, one.next_hop) for one in desk.sent()]
    assert values == [("anna", "1", ""), ("login", "2", "sip:p.example")]
    assert desk.registered(100) == []


def test_one_that_somebody_removed_comes_back() -> None:
    desk = Desk()
    desk.registered(3)
    handle = desk.book.invoke("registrar_client", "listRegistrations")[0]["handle"]
    desk.book.invoke("registrar_client", "removeRegistration", handle)
    assert desk.registered(12) == ["-<sip:anna@a.example>", "<sip:anna@a.example>"]


def test_read_anew() -> None:
    """What binds the same is not taken back: for the registrar that would be the end of the new one."""
    desk = Desk()
    desk.registered(3)
    take = desk.book.services.reloaders["reg_agent"]
    take(options({"domain": "a.example", "user": "anna", "pwd": "new", "domain1": "c.example", "user1": "cleo"}))
    assert sorted(desk.registered(1)) == ["-<sip:ben@b.example>", "<sip:anna@a.example>", "<sip:cleo@c.example>"]
    assert sorted(one["user"] for one in desk.book.invoke("registrar_client", "listRegistrations")) == ["anna", "cleo"]
    assert [one.password for one in desk.sent()].count("new") == 1


def test_without_registrar_client_a_line_each_round(caplog: pytest.LogCaptureFixture) -> None:
    book = Playbook()
    book.load(reg_agent.PLUGIN, TWO)
    book.run(13)
    lines = [record for record in caplog.records if "registrar_client is not loaded" in record.getMessage()]
    assert len(lines) == 2 and all(record.levelno == logging.ERROR for record in lines)


def test_reading_stops_at_the_first_gap(caplog: pytest.LogCaptureFixture) -> None:
    keys = {"domain": "a", "user": "u", "domain1": "b", "domain2": "c", "user2": "v", "pwd2": "secret", "colour": "red"}
    assert [account.user for account in read_accounts(options(keys), "f")] == ["u"]
    assert "domain1, domain2, pwd2, user2: left out" in caplog.text and "unknown key colour" in caplog.text
    assert "secret" not in caplog.text
    many = {f"{key}{number or ''}": "x" for number in range(105) for key in ("domain", "user")}
    assert len(read_accounts(options(many), "f")) == 100


def test_what_cannot_be_registered_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="contact1"):
        read_accounts(options({"domain": "a", "user": "u", "domain1": "a", "user1": "v", "contact1": "x y"}), "reg_agent.conf")
