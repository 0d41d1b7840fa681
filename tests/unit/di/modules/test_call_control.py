# SPDX-License-Identifier: GPL-2.0-or-later
"""The controls by themselves and in the chain: balances that add up, counters, answers of a web service, configurations."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from di.calls.application import Application
from di.calls.control import Grant
from di.calls.control_modules import ControlUnreachable
from di.kernel.errors import ConfigError, Refused
from di.modules.call_control.options import Options, WhenUnreachable, parse_names, parse_when
from di.modules.call_control.start import start
from di.modules.cc_call_timer import CallTimer
from di.modules.cc_http.answers import read_answer
from di.modules.cc_pcalls import ParallelCalls
from di.modules.cc_prepaid.balances import Balances
from di.modules.cc_prepaid.control import Prepaid
from di.modules.cc_prepaid.keeper import SCHEMA, BalanceKeeper, recover
from di.modules.cc_prepaid.options import Options as PrepaidOptions
from di.sip import records as sip
from tests.support.playbook import Playbook


# ------------------------------------------------------------------------------------------------------------------- balances
class AnyCalls(RuleBasedStateMachine):
    """Calls reserve, renew and end in any order on two accounts: nothing is spent twice, nothing is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, int] = {}
        self.balances = Balances(self.kept.__setitem__)
        self.paid = {"a": 0, "b": 0}
        self.given = {"a": 0, "b": 0}
        self.held: dict[str, tuple[str, int]] = {}
        self.count = 0

    @rule(account=st.sampled_from("ab"), seconds=st.integers(0, 200))
    def credit(self, account: str, seconds: int) -> None:
        self.balances.add(account, seconds)
        self.given[account] += seconds

    @rule(account=st.sampled_from("ab"), most=st.integers(1, 90))
    def begins(self, account: str, most: int) -> None:
        self.count += 1
        got = self.balances.reserve(f"c{self.count}", account, most)
        assert 0 <= got <= most
        if got:
            self.held[f"c{self.count}"] = (account, got)

    @rule(data=st.data(), most=st.integers(1, 90))
    def goes_on(self, data: st.DataObject, most: int) -> None:
        if self.held:
            charge = data.draw(st.sampled_from(sorted(self.held)))
            account, had = self.held[charge]
            self.held[charge] = (account, had + self.balances.reserve(charge, account, most))

    @rule(data=st.data(), share=st.floats(0, 1.5))
    def ends(self, data: st.DataObject, share: float) -> None:
        if self.held:
            charge = data.draw(st.sampled_from(sorted(self.held)))
            account, had = self.held.pop(charge)
            taken = self.balances.settle(charge, round(had * share))
            assert taken == min(had, round(had * share)) and self.balances.settle(charge, 99) == 0
            self.paid[account] += taken

    @invariant()
    def adds_up(self) -> None:
        for account in "ab":
            credit = self.balances.credit(account) or 0
            assert credit == self.given[account] - self.paid[account] == self.kept.get(account, 0)
            assert self.balances.free(account) == credit - sum(had for owner, had in self.held.values() if owner == account) >= 0


TestAnyCalls = AnyCalls.TestCase
TestAnyCalls.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


async def test_balances_on_disk_survive_and_calls_that_were_up_are_charged_for_what_is_known(tmp_path: Path) -> None:
    keeper = BalanceKeeper(tmp_path / "prepaid.db")
    assert await keeper.open() == {}
    keeper.changed("acme", 100)
    keeper.began("call/x", "acme", 1000.0)
    keeper.began("call/y", "acme", 1000.0)
    keeper.ended("call/y", "acme", 95)
    keeper.seen(1030.4)
    await keeper.database.close()  # and not a word of call/x: the server was killed
    again = BalanceKeeper(tmp_path / "prepaid.db")
    assert await again.open() == {"acme": 65}
    await again.database.close()
    third = BalanceKeeper(tmp_path / "prepaid.db")
    assert await third.open() == {"acme": 65}
    await third.database.close()


def test_recovery_never_goes_below_nothing() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    connection.execute("INSERT INTO balance VALUES ('a', 5)")
    connection.execute("INSERT INTO running VALUES ('c', 'a', 100, 160)")
    assert recover(connection) == [("c", "a", 60)]
    assert connection.execute("SELECT seconds FROM balance").fetchone() == (0,)
    connection.close()


# ------------------------------------------------------------------------------------------------------------------ in the chain
@pytest.fixture
def book() -> Playbook:
    playbook = Playbook().with_monitoring()
    playbook.services.applications.register("plain", Application)
    return playbook


def load(book: Playbook, **modules: object) -> None:
    book.services.control_modules.update(modules)  # type: ignore[arg-type]


def configure(book: Playbook, **keys: str) -> None:
    """As call_control.conf would."""
    names = parse_names(keys.pop("call_control"))
    more = {key: keys.pop(key) for key in ("direction",) if key in keys}
    when = parse_when(keys.pop("on_unreachable", "refuse"))
    deadline_ms = int(keys.pop("deadline_ms", "50"))
    start(book.services, Options(call_control=names, values=keys, on_unreachable=when, deadline_ms=deadline_ms, **more))


def prepaid(balances: Balances, **more: int) -> Prepaid:
    return Prepaid(balances, PrepaidOptions(**more), None, lambda: 0.0)  # type: ignore[arg-type]


def test_a_call_lasts_as_long_as_its_credit_and_pays_whole_seconds(book: Playbook) -> None:
    balances = Balances()
    balances.set("alice", 130)
    load(book, cc_prepaid=prepaid(balances))
    configure(book, call_control="money", money_module="cc_prepaid", money_uuid="$H(X-Account)")
    session = book.up("app-plain", headers=(("X-Account", "alice"),))
    book.run(70.4)
    book.bye(session)
    assert balances.credit("alice") == 60
    book.up("app-plain", headers=(("X-Account", "alice"),))
    book.run(59.9)
    assert len(book.sessions) == 1
    book.run(0.2)
    assert len(book.sessions) == 0 and balances.credit("alice") == 0
    assert book.answers(book.offer("app-plain", headers=(("X-Account", "alice"),))) == [402]
    assert book.answers(book.offer("app-plain", headers=(("X-Account", "nobody"),))) == [500]


def test_ten_calls_at_once_cannot_spend_one_credit_ten_times(book: Playbook) -> None:
    balances = Balances()
    balances.set("alice", 100)
    load(book, cc_prepaid=prepaid(balances, slice=10))
    configure(book, call_control="cc", cc_module="cc_prepaid", cc_uuid="alice")
    for _ in range(10):
        book.up("app-plain")
    book.run(9)
    assert len(book.sessions) == 10 and balances.free("alice") == 0
    book.run(2)
    assert len(book.sessions) == 0 and balances.credit("alice") == 0


def test_credit_that_is_added_meanwhile_lets_the_call_go_on(book: Playbook) -> None:
    balances = Balances()
    balances.set("alice", 10)
    load(book, cc_prepaid=prepaid(balances))
    configure(book, call_control="cc", cc_module="cc_prepaid", cc_uuid="alice")
    book.up("app-plain")
    book.run(9)
    balances.add("alice", 20)
    book.run(20)
    assert len(book.sessions) == 1
    book.run(2)
    assert len(book.sessions) == 0 and balances.credit("alice") == 0


def test_calls_at_once_are_counted_while_they_ring_and_given_back_when_another_control_refuses(book: Playbook) -> None:
    load(book, cc_pcalls=ParallelCalls(Refused(402, "Too Many Simultaneous Calls")), cc_call_timer=CallTimer(-1))
    configure(
        book, call_control="few,timer", few_module="cc_pcalls", few_uuid="$fh", few_max_calls="2", timer_module="cc_call_timer",
        timer_timer="$H(X-Timer)",
    )  # fmt: skip
    good, zero = (("X-Timer", "30"),), (("X-Timer", "0"),)
    for headers, right in ((zero, 503), (zero, 503), (zero, 503), ((("X-Timer", "x"),), 500), ((), 500)):
        assert book.answers(book.offer("app-plain", headers=headers)) == [right]
    assert book.answers(book.offer("app-plain", headers=good)) == book.answers(book.offer("app-plain", headers=good)) == [200]
    assert book.answers(book.offer("app-plain", headers=good)) == [402]


@pytest.mark.parametrize(("when", "first", "lasts_s"), [("refuse", 503, 0), ("allow 8", 200, 8), ("allow 8, go_on 5", 200, 13)])
async def test_a_control_that_does_not_answer(book: Playbook, when: str, first: int, lasts_s: int) -> None:
    class Down:
        mandatory = ()

        def authorize(self, ask: object) -> Grant:
            raise ControlUnreachable("no route to host")

        def renew(self, ask: object, used_s: float) -> Grant:
            raise ControlUnreachable("no route to host")

        def answered(self, ask: object) -> None: ...

        def ended(self, ask: object, end: sip.CallEnded, used_s: float) -> None: ...

    load(book, down=Down())
    configure(book, call_control="down", on_unreachable=when if "go_on" in when else f"{when}, go_on 0")
    call = book.offer("app-plain")
    assert book.answers(call) == [first]
    if lasts_s:
        book.confirm(call)
        book.run(lasts_s - 0.5)
        assert len(book.sessions) == 1
        book.run(1)
    assert len(book.sessions) == 0


async def test_a_control_that_is_silent_until_the_grant_is_used_up_is_unreachable_before_its_deadline(book: Playbook) -> None:
    """It is asked 0.4 s before the end, and may think 30 s: the call ends nowhere in the middle of that."""

    class Silent:
        mandatory = ()

        def authorize(self, ask: object) -> Grant:
            return Grant(10, ask_before_s=0.4)

        async def renew(self, ask: object, used_s: float) -> Grant:
            await asyncio.Event().wait()
            raise AssertionError

        def answered(self, ask: object) -> None: ...

        def ended(self, ask: object, end: sip.CallEnded, used_s: float) -> None: ...

    load(book, silent=Silent())
    configure(book, call_control="silent", on_unreachable="go_on 5", deadline_ms="30000")
    call = book.offer("app-plain")
    book.confirm(call)
    book.run(9.7)
    for work in book.waiting:
        await asyncio.wait_for(work, 20)
    book.run(4.8)
    assert len(book.sessions) == 1
    book.run(0.6)
    assert len(book.sessions) == 0


def test_only_the_calls_of_one_direction_are_asked_about(book: Playbook) -> None:
    load(book, cc_call_timer=CallTimer(0))
    configure(book, call_control="t", t_module="cc_call_timer", direction="out")
    assert book.answers(book.offer("app-plain")) == [200]


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"call_control": "x"}, "module 'x' is not loaded"),
        ({"call_control": "cc", "cc_module": "cc_pcalls"}, "cc_pcalls needs this value"),
        ({"call_control": "cc", "cc_module": "cc_pcalls", "cc_uuid": "a", "dd_uuid": "b"}, "there is no control of that name"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(book: Playbook, keys: dict[str, str], what: str) -> None:
    load(book, cc_pcalls=ParallelCalls(Refused(402, "x")))
    with pytest.raises(ConfigError, match=what):
        configure(book, **keys)


def test_what_on_unreachable_may_say() -> None:
    assert parse_when("refuse") == WhenUnreachable(0, 60)
    assert parse_when("allow 30,go_on 0") == WhenUnreachable(30, 0)
    for wrong in ("", "allow", "allow -1", "go_on x", "maybe"):
        with pytest.raises(ValueError):
            parse_when(wrong)


# --------------------------------------------------------------------------------------------------------- a service's answers
def test_answers_of_a_service() -> None:
    assert read_answer(b'{"allow": true}', "") == Grant(None, final=True)
    more = read_answer(b'{"allow":true,"seconds":60,"renew":true,"warn_seconds":10,"account":"a","charge_id":"7"}', "/w.wav")
    assert more == Grant(60.0, ask_before_s=5.0, warn_s=10.0, warn_path="/w.wav", account="a", charge_id="7")
    with pytest.raises(Refused) as refused:
        read_answer('{"allow":false,"code":403,"reason":"Nö"}'.encode(), "")
    assert (refused.value.code, refused.value.reason) == (403, "Nö")


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(), lambda v: st.lists(v, max_size=3), max_leaves=4
)
names = st.sampled_from(["allow", "seconds", "renew", "warn_seconds", "account", "charge_id", "code", "reason", "more"])


@given(st.one_of(st.binary(max_size=50), st.dictionaries(names, json_values).map(lambda answer: json.dumps(answer).encode())))
def test_any_answer_is_a_grant_a_refusal_or_none(text: bytes) -> None:
    try:
        grant = read_answer(text, "")
    except (Refused, ControlUnreachable) as error:
        assert "\n" not in str(error) and "\r" not in str(error)
    else:
        assert grant.seconds is None or 0 <= grant.seconds < 1e8
