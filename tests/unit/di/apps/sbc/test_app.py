# SPDX-License-Identifier: GPL-2.0-or-later
"""A call by a profile, step by step: who is asked, what is sent, who hears of what when it goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest

from di.apps.sbc import PLUGIN
from di.apps.sbc.contacts import ContactHider
from di.calls.control import Grant
from di.calls.control_modules import ControlAsk
from di.kernel.clock import Tasks
from di.kernel.errors import ConfigError, Refused
from di.modules.call_control import PLUGIN as CALL_CONTROL
from di.sip import records as sip
from di.sip.records import CallEnded
from tests.support.playbook import Playbook


class Thinker:
    """A control module that answers when it is told to."""

    mandatory: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.asked: list[ControlAsk] = []
        self.ended_after: list[str] = []
        self.answer: asyncio.Future[Grant]

    def authorize(self, ask: ControlAsk) -> Awaitable[Grant]:
        self.asked.append(ask)
        self.answer = asyncio.get_running_loop().create_future()
        return self.answer

    def answered(self, ask: ControlAsk) -> None: ...

    def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        return Grant()

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        self.ended_after.append(ask.call.id)


class Border:
    """A hub with profiles."""

    def __init__(self, folder: Path, conf: str = "", **profiles: str) -> None:
        for name, text in profiles.items():
            (folder / f"{name}.sbcprofile.conf").write_text(text)
        self.book = Playbook(mapping="^sip:=>sbc\n", conf_dir=folder).with_monitoring()
        self.thinker = Thinker()
        self.book.services.control_modules["thinker"] = self.thinker  # type: ignore[assignment]
        self.book.load(CALL_CONTROL, "")
        active = conf or f"active_profile={next(iter(profiles))}\n"
        self.close = self.book.load(PLUGIN, f'profiles="{",".join(profiles)}"\n{active}')

    def dialled(self) -> list[sip.Dial]:
        return [command for command in self.book.sip.commands if isinstance(command, sip.Dial)]

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
            self.book.run()


def test_what_the_second_leg_s_invite_says(tmp_path: Path) -> None:
    border = Border(tmp_path, one="From=<sip:firm@x.example>\nCall-ID=b-$ci\noutbound_proxy=proxy.example\n")
    call = border.book.offer("ben", (("Subject", "lunch"), ("Max-Forwards", "7"), ("P-App-Param", "p=secret")))
    (dial,) = border.dialled()
    assert (dial.request_uri, dial.from_uri, dial.to_uri) == (
        "sip:ben@here.example",
        "<sip:firm@x.example>",
        "<sip:ben@here.example>",
    )
    assert (dial.call_id, dial.next_hop) == (f"b-id{call}", "sip:proxy.example")
    assert dial.headers[:2] == ("Subject: lunch", "X-Cordboard-Hops: 6") and not any("secret" in line for line in dial.headers)
    assert border.book.answers(call) == []


@pytest.mark.parametrize(
    ("text", "headers", "code"),
    [
        ("refuse_with=486\n", (), 486),
        ('refuse_with="$H(X)"\n', (("X", "404 Not Here"),), 404),
        ('refuse_with="$H(X)"\n', (("X", "nonsense"),), 500),
        ('refuse_with="403 Not $H(X)"\n', (("X", "$you"),), 403),
        ("", (("Max-Forwards", "0"),), 483),
        ('next_hop="$H(X)"\npatch_ruri_next_hop=yes\n', (("X", "a/b/c"),), 500),
        ('next_hop="$H(X)"\n', (("X", "a/b/c"),), 500),
        ('outbound_interface="$H(X)"\n', (("X", "nowhere"),), 503),
        ('RURI="$H(X)"\n', (("X", "no uri"),), 503),
        ("call_control=$H(X)\n", (("X", "nobody;a=b"),), 500),
        ('call_control="$H(X)"\n', (("X", '"'),), 500),
    ],
)
def test_what_does_not_go_on(tmp_path: Path, text: str, headers: tuple[tuple[str, str], ...], code: int) -> None:
    border = Border(tmp_path, one=text)
    call = border.book.offer("ben", headers)
    assert border.book.answers(call) == [code] and not border.dialled()
    assert not list(border.book.sessions)


def test_a_flood_of_strangers_is_told_of_seldom(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    border = Border(tmp_path, one="")
    border.book.source_ip = "198.51.100.7"
    assert all(border.book.answers(border.book.offer("ben")) == [403] for _ in range(40))
    assert caplog.text.count("none of trusted_peers") == 10


@pytest.mark.parametrize("secret", ["", "ours"])
def test_only_our_own_secret_leads_to_a_hidden_contact(tmp_path: Path, secret: str) -> None:
    conf = f"active_profile=one\ncontact_hiding_secret={secret}\n"
    border = Border(tmp_path, conf, one='enable_contact_hiding=yes\nappend_headers="X-Var: $V(a)"\n')
    for signed_by in (b"ours", b"", b"contacts in addresses of ours"):
        border.book.offer(ContactHider(signed_by).hidden("sip:dear@198.51.100.1", "", {"a": "kept"}))
    led = [(dial.request_uri == "sip:dear@198.51.100.1", "X-Var: kept" in dial.headers) for dial in border.dialled()]
    assert led == [(bool(secret), bool(secret)), (False, False), (False, False)]


def test_aliases_that_end_with_this_run_are_said_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for conf in ("", "contact_hiding_secret=ours\n"):
        Border(tmp_path, f"active_profile=one\n{conf}", one="enable_reg_caching=yes\n")
    assert caplog.text.count("profile one hides or remembers contacts") == 1


def test_a_stranger_goes_nowhere_unless_all_are_let_in(tmp_path: Path) -> None:
    for conf, code in (("active_profile=one\n", [403]), ("active_profile=one\nstrangers=route\n", [])):
        border = Border(tmp_path, conf, one="")
        border.book.source_ip = "198.51.100.7"
        call = border.book.offer("ben")
        assert border.book.answers(call) == code and bool(border.dialled()) is not bool(code)


async def test_a_control_that_thinks_is_waited_for(tmp_path: Path) -> None:
    border = Border(tmp_path, one="call_control=first\nfirst_module=thinker\nfirst_account=$fU\n")
    border.book.sessions.spawn = Tasks().spawn  # type: ignore[method-assign]
    call = border.book.offer("ben")
    await border.settle()
    (ask,) = border.thinker.asked
    assert (ask.instance, ask.values) == ("first", {"account": f"caller{call}"}) and not border.dialled()
    border.thinker.answer.set_result(Grant(account="acme"))
    await border.settle()
    assert len(border.dialled()) == 1 and border.book.session(call).admission.charge()[0] == "acme"  # type: ignore[union-attr]


async def test_a_control_refuses(tmp_path: Path) -> None:
    border = Border(tmp_path, one="call_control=first\nfirst_module=thinker\n")
    border.book.sessions.spawn = Tasks().spawn  # type: ignore[method-assign]
    call = border.book.offer("ben")
    await border.settle()
    border.thinker.answer.set_exception(Refused(402, "Pay First"))
    await border.settle()
    assert border.book.answers(call) == [402] and not border.dialled()


async def test_the_caller_gives_up_while_a_control_thinks(tmp_path: Path) -> None:
    border = Border(tmp_path, one="call_control=first\nfirst_module=thinker\n")
    border.book.sessions.spawn = Tasks().spawn  # type: ignore[method-assign]
    call = border.book.offer("ben")
    await border.settle()
    border.book.sessions.on_sip_event(sip.CallEnded(call, 487, "Request Terminated", "cancel"))
    border.thinker.answer.set_result(Grant())
    await border.settle()
    assert not border.dialled() and not list(border.book.sessions) and len(border.thinker.ended_after) == 1


def test_nobody_answers_and_the_caller_hears_why(tmp_path: Path) -> None:
    border = Border(tmp_path, one='reply_translations="486=>480 Later"\n')
    call = border.book.offer("ben")
    border.book.fail(border.dialled()[0].call, 486, "Busy Here")
    refusals = [command for command in border.book.sip.commands if isinstance(command, sip.Hangup) and command.call == call]
    assert [(one.code, one.reason) for one in refusals] == [(480, "Later")]
    assert not list(border.book.sessions)


def test_teardown_by_either_leg(tmp_path: Path) -> None:
    border = Border(tmp_path, one="")
    for leg in (0, 1):
        call = border.book.offer("ben")
        second = border.dialled()[-1].call
        border.book.confirm(second)
        border.book.confirm(call)
        ids = [border.book.session(call).id, border.book.session(second).id]
        assert border.book.invoke("sbc", "postControlCmd", ids[leg], "nonsense") == [202, "Accepted"]
        assert len(list(border.book.sessions)) == 2
        assert border.book.invoke("sbc", "postControlCmd", ids[leg], "teardown") == [202, "Accepted"]
        assert not list(border.book.sessions)


def test_a_start_that_cannot_be_leaves_no_trace(tmp_path: Path) -> None:
    for text, said in (
        ("call_control=x\nx_module=nothing\n", "x_module: module 'nothing' is not loaded"),
        ("outbound_interface=nowhere\n", "outbound_interface: there is no interface 'nowhere' with SIP"),
        ("session_expires=60\n", "an interval is 90 s or more"),
    ):
        with pytest.raises(ConfigError, match=r"one[.]sbcprofile") as caught:
            Border(tmp_path, one=text)
        assert said in str(caught.value)
    with pytest.raises(ConfigError, match=r"active_profile: profile 'two' is not in profiles \(one\)"):
        Border(tmp_path, "active_profile=two\n", one="")
    with pytest.raises(ConfigError, match="cc_nothing: put it before sbc"):
        Border(tmp_path, "active_profile=one\nload_cc_plugins=cc_nothing.so;thinker\n", one="")
    border = Border(tmp_path, one="")
    border.close()
    assert border.book.services.applications.find("sbc") is None
