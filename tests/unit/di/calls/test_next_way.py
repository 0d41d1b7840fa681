# SPDX-License-Identifier: GPL-2.0-or-later
"""Orders of events while a call out is sent from one address to the next: given up, answered late, the SIP process lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from types import SimpleNamespace

import pytest

from di.calls.application import Application
from di.calls.call_changes import CallChanges
from di.calls.call_info import CallOut, Target
from di.calls.changed import change_target
from di.calls.session import Session
from di.calls.ways import Ways
from di.kernel.server_options import CoreOptions
from di.sip import records as sip
from di.sip.credentials import Credential
from di.sip.locate import LookupFailed, Naptr, Srv
from tests.support.playbook import Playbook


class Zone:
    """Three addresses of one service; `fails`: nobody answers."""

    fails = False

    async def naptr(self, name: str) -> Sequence[Naptr]:
        return []

    async def srv(self, name: str) -> Sequence[Srv]:
        return [Srv(n, 0, 5060 + n, f"h{n}.example") for n in (1, 2, 3)] if name.startswith("_sip._udp.three") else []

    async def addresses(self, name: str, ipv6: bool) -> Sequence[str]:
        if self.fails:
            raise LookupFailed("A of it: no answer")
        return [f"192.0.2.{name[1] if name.startswith('h') else 1}"]


class Told(Application):
    """Keeps what it hears of its failure."""

    failures: list[int]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.failures = []

    def on_failure(self, code: int, reason: str) -> None:
        self.failures.append(code)


class Book(Playbook):
    """A playbook whose names are looked up in a zone."""

    def __init__(self, **core: object) -> None:
        options = replace(CoreOptions(), redirects=2, **core)  # type: ignore[arg-type]
        super().__init__(options)
        self.zone = Zone()
        self.sessions.ways = Ways(options, Random(1), self.zone)
        self.services.applications.register("told", Told)
        self.with_monitoring()

    async def look_up(self) -> None:
        """The name server answers."""
        while self.waiting:
            await self.waiting.pop(0)
        self.run()

    def dial(self, uri: str = "sip:b@three.example", **more: object) -> Session:
        order = CallOut("told", uri, "<sip:a@here.example>", f"<{uri}>", **more)  # type: ignore[arg-type]
        session = self.sessions.dial(order)
        assert session is not None
        self.run()
        return session

    @property
    def sent(self) -> list[str]:
        return [command.way for command in self.sip.commands if isinstance(command, sip.Dial)]

    @property
    def last(self) -> sip.Dial:
        return [command for command in self.sip.commands if isinstance(command, sip.Dial)][-1]

    def ends(self, call: int, code: int, by: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.ended(call, code, "No", by, headers)


ONE, TWO, THREE = (f"sip:192.0.2.{n}:{5060 + n};transport=udp" for n in (1, 2, 3))


@pytest.fixture
def book() -> Book:
    return Book()


async def started_by(book: Book, **more: object) -> Session:
    session = book.dial("sip:b@there.example", **more)
    await book.look_up()
    return session


async def started(book: Book, uri: str = "sip:b@three.example") -> Session:
    session = book.dial(uri)
    await book.look_up()
    return session


async def test_each_address_in_its_turn_and_the_last_one_s_failure(book: Book) -> None:
    session = await started(book)
    assert book.sent == [ONE]
    book.ends(session.call, 503, "error")
    book.run(8)
    assert book.sent == [ONE, TWO, THREE], "a transport error at once, silence after timer M"
    assert book.sip.of(sip.Hangup, 4), "the silent one is given up"
    book.run(60)
    assert book.sent == [ONE, TWO, THREE], "the last one has its time"
    book.ends(session.call, 408, "timeout")
    assert isinstance(session.app, Told) and session.app.failures == [408] and session.result == "unreachable"
    assert len(book.sessions) == 0 and book.invoke("core", "dialout_status")["calls"] == 0


async def test_each_of_the_hops_that_an_order_names(book: Book) -> None:
    session = await started_by(book, hops="192.0.2.7:5080/tcp,192.0.2.8")
    assert book.sent == ["sip:192.0.2.7:5080;transport=tcp"] and not book.last.next_hop, "no Route says so"
    book.ends(session.call, 503, "error")
    assert book.sent[1:] == ["sip:192.0.2.8:5060;transport=udp"] and book.last.request_uri == "sip:b@there.example"


class Controlled:
    """A first leg whose controls have changed something."""

    id = "first"

    def __init__(self, **changes: str) -> None:
        self.admission = SimpleNamespace(left_changes=lambda: CallChanges(**changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "proxy", "hops"),
    [
        ({"next_hop": "10.0.0.1,10.0.0.2"}, "", "10.0.0.1,10.0.0.2"),
        ({"next_hop": "10.0.0.1", "outbound_proxy": "sip:p.example;lr"}, "sip:p.example;lr", "10.0.0.1"),
        ({"outbound_proxy": "sip:p.example;lr"}, "sip:p.example;lr", ""),
        ({"from_header": "<sip:x@y.example>"}, "sip:own.example;lr", ""),
    ],
)
def test_a_control_says_where_second_legs_go(changes: dict[str, str], proxy: str, hops: str) -> None:
    target = Target("sip:b@there.example", next_hop="sip:own.example;lr" if "from_header" in changes else "")
    changed = change_target(Controlled(**changes), target)  # type: ignore[arg-type]
    assert (changed.next_hop, changed.hops) == (proxy, hops)


async def test_who_has_said_100_is_waited_for(book: Book) -> None:
    session = await started(book)
    book.sessions.on_sip_event(sip.CallTried(session.call))
    book.run(60)
    assert book.sent == [ONE]
    book.ends(session.call, 408, "timeout")
    assert len(book.sessions) == 0, "it has the call"


async def test_503_after_100_leads_on_and_after_early_media_does_not(book: Book) -> None:
    session = await started(book)
    book.sessions.on_sip_event(sip.CallTried(session.call))
    book.ends(session.call, 503, "remote")
    assert book.sent == [ONE, TWO] and session.info.signalling == ("192.0.2.2",)
    book.progress(session.call, 183, "Progress", has_body=True)
    book.ends(session.call, 503, "remote")
    assert len(book.sessions) == 0 and book.sent == [ONE, TWO]


async def test_what_the_old_one_still_says_is_nothing(book: Book) -> None:
    session = await started(book)
    old = session.call
    book.run(8)
    assert book.sent == [ONE, TWO] and session.call != old
    book.progress(old)
    book.sessions.on_sip_event(sip.CallConfirmed(old, 200, "OK"))
    book.ends(old, 487, "local")
    assert session in list(book.sessions) and not session.dialog.answered
    book.confirm(session.call)
    assert session.result == "answered"
    book.run(60)
    assert book.sent == [ONE, TWO]


async def test_given_up_while_the_name_is_looked_up(book: Book) -> None:
    session = book.dial()
    session.run(session.stop)
    book.run()
    await book.look_up()
    assert not book.sent and session.result == "cancelled" and len(book.sessions) == 0


async def test_no_address(book: Book) -> None:
    book.zone.fails = True
    session = book.dial("sip:b@gone.example")
    await book.look_up()
    assert isinstance(session.app, Told) and session.app.failures == [502]
    assert session.result == "unreachable" and not book.sent and len(book.sessions) == 0


async def test_the_sip_process_is_lost(book: Book) -> None:
    session = await started(book)
    book.sessions.sip_lost("it died")
    book.run()
    assert session.result == "unreachable" and len(book.sessions) == 0 and book.sent == [ONE]
    assert not book.sessions.ways.dead.last([], 0) and not book.sessions.ways.dead._until_ns, "no address is to blame"


async def test_a_ringing_time_goes_over_all_addresses(book: Book) -> None:
    session = book.dial(ring_ms=10_000)
    await book.look_up()
    book.run(9)
    assert book.sent == [ONE, TWO]
    book.run(2)
    assert session.result == "unreachable" and len(book.sessions) == 0


MOVED = (("Contact", "<sip:c@three.example>;q=0.5"), ("Contact", "<sip:d@192.0.2.9>;q=0.9"))


async def test_a_redirection_to_an_address_then_to_a_name(book: Book) -> None:
    session = book.dial("sip:b@192.0.2.7")
    assert book.sent == [""]
    book.ends(session.call, 302, "remote", MOVED)
    assert book.last.request_uri == "sip:d@192.0.2.9" and book.last.way == ""
    assert session.info.signalling == ("192.0.2.9",), "its media may come from there"
    book.ends(session.call, 486, "remote")
    await book.look_up()
    assert book.last.request_uri == "sip:c@three.example" and book.last.way == ONE
    book.ends(session.call, 486, "remote")
    assert session.result == "busy" and len(book.sessions) == 0
    assert book.invoke("core", "dialout_status")["placed"] == 3


async def test_given_up_while_the_contact_is_looked_up(book: Book) -> None:
    session = book.dial("sip:b@192.0.2.7")
    book.ends(session.call, 302, "remote", MOVED[:1])
    session.run(session.stop)
    session.stop()
    await book.look_up()
    assert len(book.sessions) == 0 and session.result == "cancelled" and len(book.sent) == 1


@pytest.mark.parametrize("how", ["never", "fault"])
async def test_a_look_up_of_a_contact_that_comes_to_no_end_costs_the_call(book: Book, how: str) -> None:
    """No INVITE is out that the SIP process could end: the call, and its place in the limits, would stay."""
    session = book.dial("sip:b@192.0.2.7")
    asked = asyncio.Event()

    async def addresses(name: str, ipv6: bool) -> list[str]:
        if how == "fault":
            raise RuntimeError("a fault")
        asked.set()
        await asyncio.Event().wait()
        return []

    book.zone.addresses = addresses  # type: ignore[method-assign, assignment]
    book.ends(session.call, 302, "remote", MOVED[:1])
    looking = asyncio.ensure_future(book.waiting.pop(0))
    if how == "never":
        await asked.wait()
        book.run(120)
    await asyncio.wait([looking])
    book.run()
    assert len(book.sessions) == 0 and book.invoke("core", "dialout_status")["calls"] == 0
    assert isinstance(session.app, Told) and len(session.app.failures) == 1


async def test_a_contact_without_address(book: Book) -> None:
    session = book.dial("sip:b@192.0.2.7")
    book.zone.fails = True
    book.ends(session.call, 302, "remote", (("Contact", "<sip:c@gone.example>"),))
    await book.look_up()
    assert session.result == "unreachable" and len(book.sessions) == 0


async def test_a_6xx_is_for_all_contacts(book: Book) -> None:
    session = book.dial("sip:b@192.0.2.7")
    book.ends(session.call, 302, "remote", MOVED)
    book.ends(session.call, 603, "remote")
    assert session.result == "rejected" and len(book.sessions) == 0


@pytest.mark.parametrize(
    ("realm", "contact", "kept"), [("", "192.0.2.9", False), ("", "192.0.2.7", True), ("here", "192.0.2.9", True)]
)
async def test_credentials_go_to_another_host_only_for_their_realm(book: Book, realm: str, contact: str, kept: bool) -> None:
    session = book.dial("sip:b@192.0.2.7", credential=Credential(realm, "me", "secret"))
    book.ends(session.call, 302, "remote", (("Contact", f"<sip:d@{contact}>"),))
    assert bool(book.last.password) is kept


async def test_a_full_limit_does_not_keep_a_call_from_being_redirected() -> None:
    book = Book(dialout_limit=1)
    session = book.dial("sip:b@192.0.2.7")
    book.ends(session.call, 302, "remote", MOVED)
    assert book.last.request_uri == "sip:d@192.0.2.9"
