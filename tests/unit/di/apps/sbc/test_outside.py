# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests outside calls: whose go on where, and what the dial control has to say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from di.apps.sbc.contacts import ContactHider
from di.kernel.clock import Tasks
from di.kernel.errors import ConfigError
from di.kernel.server_options import CoreOptions, parse_patterns
from di.sip.outside_records import OutsideReceived, OutsideReplied, ReplyOutside, SendOutside
from tests.unit.di.apps.sbc.test_app import Border

STRANGER, FRIEND = "198.51.100.7", "127.0.0.1"
ROUTE = "active_profile=one\nstrangers=route\n"
ALL = f"{ROUTE}strangers_requests=REGISTER,message,NOTIFY,OPTIONS\n"
HOP = "next_hop=registrar.example\n"


class OutsideBorder(Border):
    """Tells what becomes of requests outside calls."""

    def __init__(self, folder: Path, conf: str, profile: str = "") -> None:
        super().__init__(folder, conf, one=profile)
        self.book.sessions.spawn = Tasks().spawn  # type: ignore[method-assign]
        self.tokens = 0

    async def ask(self, method: str, source: str = STRANGER, uri: str = "sip:0900123@gw.example") -> int:
        """Code of the reply; 0: it has gone on."""
        self.tokens += 1
        party = "<sip:anna@x.example>;tag=a"
        contact = (("Contact", "<sip:anna@10.0.0.7>"),) if method == "REGISTER" else ()
        request = OutsideReceived(
            self.tokens, method, uri, party, "<sip:ben@y.example>", f"c{self.tokens}", source, 5060, contact
        )
        before = len(self.sent())
        self.book.sessions.on_sip_event(request)
        await self.settle()
        if (count := len(self.sent()) - before) and not self.codes():
            self.book.sessions.on_sip_event(OutsideReplied(self.sent()[-1].token, 299, "Fine", source_ip="192.0.2.9"))
            await self.settle()
        (code,) = self.codes()
        assert count == (code == 299), "answered or sent on"
        return 0 if code == 299 else code

    def codes(self) -> list[int]:
        return [one.code for one in self.book.sip.commands if isinstance(one, ReplyOutside) and one.token == self.tokens]

    def sent(self) -> list[SendOutside]:
        return [one for one in self.book.sip.commands if isinstance(one, SendOutside)]

    def limit(self, **options: object) -> None:
        self.book.sessions.toll.take(replace(CoreOptions(), **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("conf", "profile", "goes_on"),
    [
        ("active_profile=one\n", HOP, {}),
        (ROUTE, "", {}),
        (ROUTE, HOP, {"REGISTER"}),
        (ROUTE, "RURI_host=registrar.example\n", {"REGISTER"}),
        (f"{ROUTE}strangers_requests=\n", HOP, {}),
        (ALL, "", {"MESSAGE", "NOTIFY"}),
        (ALL, HOP, {"REGISTER", "MESSAGE", "NOTIFY", "OPTIONS"}),
    ],
)
async def test_what_strangers_may_send_and_where(tmp_path: Path, conf: str, profile: str, goes_on: set[str]) -> None:
    border = OutsideBorder(tmp_path, conf, profile)
    for method in ("REGISTER", "MESSAGE", "PUBLISH", "INFO", "NOTIFY", "OPTIONS"):
        assert await border.ask(method) == (0 if method in goes_on else 403), method
        assert await border.ask(method, FRIEND) == 0, method


async def test_strangers_may_ask_whether_this_server_is_there(tmp_path: Path) -> None:
    border = OutsideBorder(tmp_path, ROUTE)
    ip, port = border.book.sessions.interfaces.all[0].sip_ip, border.book.sessions.interfaces.all[0].sip_port
    assert await border.ask("OPTIONS", uri=f"sip:{ip}:{port}") == 200
    assert await border.ask("OPTIONS", uri=f"sip:somebody@{ip}:{port}") == 403


async def test_strangers_reach_whom_this_server_has_given_out(tmp_path: Path) -> None:
    border = OutsideBorder(tmp_path, f"{ALL}contact_hiding_secret=ours\n", "enable_contact_hiding=yes\n")
    user = ContactHider(b"ours").hidden("sip:phone@10.0.0.7", "", {})
    assert await border.ask("OPTIONS", uri=f"sip:{user}@here.example") == 0
    assert border.sent()[-1].request_uri == "sip:phone@10.0.0.7"


@pytest.mark.parametrize("source", [STRANGER, FRIEND])
async def test_the_dial_control_is_asked_about_messages(tmp_path: Path, caplog: pytest.LogCaptureFixture, source: str) -> None:
    caplog.set_level("INFO")
    border = OutsideBorder(tmp_path, ALL, HOP)
    toll = border.book.sessions.toll
    border.limit(dialout_deny=parse_patterns("^0900"), dialout_limit=1)
    toll.began("")  # a call more would be too many
    assert [await border.ask("MESSAGE", source), await border.ask("message", source)] == [403, 403]
    assert [await border.ask("MESSAGE", source, "sip:123@gw.example"), await border.ask("REGISTER", source)] == [0, 0]
    assert await border.ask("NOTIFY", source) == (403 if source == STRANGER else 0)
    assert toll.refused == {"destination": 3 if source == STRANGER else 2} and not toll.placed
    lines = [record.getMessage() for record in caplog.records if record.name == "cordboard.audit"]
    assert "way=message" in lines[0] and "app=sbc" in lines[0] and "decision=refused cause=destination" in lines[0]
    assert "decision=placed" in lines[2] and "to='sip:123@gw.example'" in lines[2]
    border.limit()
    toll.exposed.append("SIP at 192.0.2.1")
    assert await border.ask("MESSAGE", source) == 403 and toll.refused["off"] == 1


async def test_a_flood_of_messages_has_a_limit_of_its_own_and_few_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    border = OutsideBorder(tmp_path, ALL, HOP)
    border.limit(dialout_per_minute=3)
    assert [await border.ask("MESSAGE") for _ in range(40)] == [0] * 3 + [403] * 37
    assert caplog.text.count("cause=minute") == 10
    assert not border.book.sessions.toll.placed
    border.book.source_ip = FRIEND
    border.book.offer("ben")
    assert border.dialled(), "calls are counted apart"
    border.book.run(60)
    assert await border.ask("MESSAGE") == 0


def test_methods_that_are_none_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="FETCH is none of REGISTER, MESSAGE"):
        OutsideBorder(tmp_path, f"{ROUTE}strangers_requests=REGISTER,fetch\n")
