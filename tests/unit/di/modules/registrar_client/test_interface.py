# SPDX-License-Identifier: GPL-2.0-or-later
"""registrar_client: every answer of spec applications.md §6, and what an event sink hears."""

from __future__ import annotations

from typing import Any

import pytest

from di.calls.events import EventPosted, QueueEvent
from di.kernel.errors import CallFailed, OutOfBounds
from di.modules.registrar_client import PLUGIN
from di.sip.outside_records import OutsideReplied, SendOutside
from tests.support.playbook import Playbook

DOMAIN = "example.net"


class Desk:
    def __init__(self, text: str = "") -> None:
        self.book = Playbook()
        self.book.load(PLUGIN, text)
        self.heard: list[dict[str, str]] = []
        self.book.services.queues.add("sink", self._hear)

    def _hear(self, event: QueueEvent) -> None:
        assert isinstance(event, EventPosted) and event.kind == "registration"
        self.heard.append(event.params)

    def call(self, method: str, *args: object) -> Any:
        return self.book.invoke("registrar_client", method, *args)

    def create(self, *more: object) -> str:
        answer = self.call("createRegistration", DOMAIN, "anna", "Anna", "login", "pw", "sink", *more)
        assert len(answer) == 1
        return str(answer[0])

    def sent(self) -> list[SendOutside]:
        return [command for command in self.book.sip.commands if isinstance(command, SendOutside)]

    def reply(self, code: int, expires: int = 600) -> None:
        sent = self.sent()[-1]
        headers = (("Contact", f"<sip:anna@127.0.0.1>;expires={expires}"),) if code == 200 and expires else ()
        self.book.sessions.on_sip_event(
            OutsideReplied(sent.token, code, "Reply", headers, source_ip="192.0.2.1", contact="sip:anna@127.0.0.1")
        )
        self.book.run()


def test_from_beginning_to_end() -> None:
    desk = Desk()
    assert desk.call("listRegistrations") is None and desk.call("getRegistrationState", "x") == [0]
    handle = desk.create("proxy.example.net", "sip:anna@192.0.2.9")
    assert desk.call("getRegistrationState", handle) == [1, 0, 0]
    desk.reply(200, 0)
    assert desk.heard == [{"type": "2", "handle": handle, "code": "200", "reason": "our contact is not in the reply"}]
    assert desk.call("getRegistrationState", handle) == [0]


def test_active_listed_and_removed() -> None:
    desk = Desk()
    assert desk.create("", "", "mine") == "mine"
    desk.reply(200)
    assert desk.call("getRegistrationState", "mine") == [1, 1, 600]
    assert desk.call("listRegistrations") == [
        {
            "handle": "mine", "domain": DOMAIN, "user": "anna", "name": "Anna", "auth_user": "login", "proxy": "",
            "event_sink": "sink", "contact": "",
        }
    ]  # fmt: skip
    assert desk.call("removeRegistration", "mine") is None and desk.call("removeRegistration", "unknown") is None
    desk.book.run(1)
    desk.reply(200, 0)
    assert [(one["type"], one["code"]) for one in desk.heard] == [("0", "200"), ("2", "200")]
    assert desk.call("listRegistrations") is None


def test_the_same_handle_again_replaces() -> None:
    desk = Desk()
    desk.create("", "", "mine")
    desk.reply(200)
    desk.call("createRegistration", "example.org", "ben", "", "", "", "", "", "", "mine")
    (listed,) = desk.call("listRegistrations")
    assert (listed["user"], listed["auth_user"], listed["event_sink"]) == ("ben", "ben", "")


@pytest.mark.parametrize(("code", "source", "type_"), [(403, "192.0.2.1", "1"), (503, "192.0.2.1", "1"), (408, "", "4")])
def test_failed_and_forgotten_as_sems_does(code: int, source: str, type_: str) -> None:
    desk = Desk()
    handle = desk.create()
    desk.book.sessions.on_sip_event(OutsideReplied(desk.sent()[-1].token, code, "No", source_ip=source))
    assert [(one["type"], one["handle"], one["code"]) for one in desk.heard] == [(type_, handle, str(code))]
    assert desk.call("getRegistrationState", handle) == [0]


def test_failed_and_kept() -> None:
    desk = Desk("keep_trying=yes\nrefused_interval=5\n")
    handle = desk.create()
    desk.reply(403)
    assert desk.call("getRegistrationState", handle) == [1, 2, 0]
    desk.book.run(8)
    desk.reply(200)
    assert [one["type"] for one in desk.heard] == ["1", "0"]


def test_timed_out() -> None:
    desk = Desk()
    handle = desk.create()
    desk.reply(200)
    while desk.call("getRegistrationState", handle) != [0]:
        desk.book.sessions.on_sip_event(OutsideReplied(desk.sent()[-1].token, 408, "No"))
        desk.book.run(10)
    assert "3" in [one["type"] for one in desk.heard]


@pytest.mark.parametrize("args", [("a b", "u"), ("d", ""), ("d", "u", "x\r\ny"), ("d", "u", "", "", "", "", "", "nowhere")])
def test_bad_values_are_named(args: tuple[str, ...]) -> None:
    desk = Desk()
    with pytest.raises(CallFailed, match=r"createRegistration: \w+"):
        desk.call("createRegistration", *(*args, *[""] * (6 - len(args))))
    with pytest.raises(OutOfBounds):
        desk.call("createRegistration", "d", "u")
    assert desk.call("listRegistrations") is None


def test_metrics() -> None:
    desk = Desk()
    desk.create()
    desk.reply(200)
    (source,) = desk.book.services.metric_sources
    (gauge,) = source()
    assert {sample.labels["state"]: sample.value for sample in gauge.samples}["active"] == 1
