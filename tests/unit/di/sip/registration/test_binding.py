# SPDX-License-Identifier: GPL-2.0-or-later
"""One registration, from its REGISTER to its end: every kind of answer, at every state."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from di.sip.registration.account import RegisterAccount, RegisterPolicy
from di.sip.registration.binding import Binding, Happened, RegisterNews, RegisterReply, RegisterRequest, RegisterState
from di.sip.registration.pacing import NS, Seconds

KEEP = RegisterPolicy(expires_s=3600)
SEMS = RegisterPolicy(expires_s=3600, give_up=True)
ACCOUNT = RegisterAccount("h1", "example.net", "anna")
OURS = "sip:anna@127.0.0.1:5060"


def ok(expires: int = 600, contact: str = OURS) -> RegisterReply:
    return RegisterReply(200, "OK", (("Contact", f"<{contact}>;expires={expires}"),), contact=OURS)


def no(code: int, *headers: tuple[str, str]) -> RegisterReply:
    return RegisterReply(code, "No", headers, contact=OURS)


NOBODY = RegisterReply(408, "Request Timeout", heard=False)


class Scene:
    """A binding, and time that is moved by hand."""

    def __init__(self, policy: RegisterPolicy = KEEP) -> None:
        self.plan = Seconds(Random(3))
        self.binding = Binding(ACCOUNT, policy, "call", 0, self.plan, Random(4))
        self.now_ns = 0

    def ask(self) -> RegisterRequest:
        """Wait until it is due, and take the request."""
        assert self.binding.due_ns is not None
        self.now_ns = max(self.now_ns, self.binding.due_ns)
        return self.binding.request()

    def answer(self, reply: RegisterReply) -> list[Happened]:
        request = self.ask()
        return self.binding.answered(request.attempt, reply, self.now_ns)

    def waits_s(self) -> float:
        assert self.binding.due_ns is not None
        return (self.binding.due_ns - self.now_ns) / NS


def told(happened: list[Happened]) -> list[tuple[RegisterNews, int, bool]]:
    return [(one.news, one.code, one.over) for one in happened]


def test_registered_and_refreshed_well_before_the_end() -> None:
    scene = Scene()
    first = scene.ask()
    assert (first.cseq, first.expires_s, first.contact, first.call_id) == (50, 3600, "", "call")
    assert scene.binding.due_ns is None
    assert told(scene.binding.answered(first.attempt, ok(600), NS)) == [(RegisterNews.SUCCESS, 200, False)]
    assert scene.binding.state is RegisterState.ACTIVE and scene.binding.expires_left_s(NS) == 600
    assert 240 * NS <= (scene.binding.due_ns or 0) - NS <= 301 * NS
    second = scene.ask()
    assert second.cseq == 51 and second.call_id == "call"


def test_numbers_go_on_behind_those_that_challenges_took() -> None:
    scene = Scene()
    scene.answer(replace(ok(), cseq=52))
    assert scene.ask().cseq == 53


def test_an_interval_of_a_second_is_no_flood() -> None:
    scene = Scene()
    scene.answer(ok(1))
    assert scene.waits_s() >= 5


def test_longer_as_the_registrar_wants_it() -> None:
    scene = Scene()
    assert scene.answer(no(423, ("Min-Expires", "7200"))) == [] and scene.waits_s() == 0
    assert scene.ask().expires_s == 7200


@pytest.mark.parametrize("least", ["", "10", "3600", "x", "99999999999"])
def test_423_that_makes_no_sense_is_a_refusal(least: str) -> None:
    scene = Scene(SEMS)
    assert told(scene.answer(no(423, ("Min-Expires", least)))) == [(RegisterNews.FAILED, 423, True)]


def test_423_without_end_comes_to_one() -> None:
    scene = Scene()
    rounds = 0
    while not (happened := scene.answer(no(423, ("Min-Expires", str(4000 + rounds))))):
        rounds += 1
    assert rounds == 3 and told(happened) == [(RegisterNews.FAILED, 423, False)] and scene.waits_s() >= 60


@pytest.mark.parametrize("code", [302, 400, 401, 403, 404, 407, 420, 486, 600, 603, 606])
def test_refused(code: int) -> None:
    """SEMS's way forgets it; the stubborn way waits a minute, two, four … up to an hour: no loop, whatever the password."""
    scene = Scene(SEMS)
    assert told(scene.answer(no(code))) == [(RegisterNews.FAILED, code, True)] and scene.binding.state is RegisterState.GONE
    scene = Scene()
    waits = []
    for _ in range(9):
        assert told(scene.answer(no(code))) == [(RegisterNews.FAILED, code, False)]
        waits.append(scene.waits_s())
    assert all(60 * 2**n <= wait <= 90 * 2**n for n, wait in enumerate(waits[:6])) and 3600 <= waits[-1] <= 5400
    scene.answer(ok())
    assert scene.binding.state is RegisterState.ACTIVE
    scene.answer(no(code))
    assert 60 <= scene.waits_s() <= 90


def test_refused_for_ever() -> None:
    scene = Scene(replace(KEEP, refused_s=0))
    assert scene.answer(no(403))[0].wait_s == 0 and scene.binding.due_ns is None
    scene.binding.refresh(scene.now_ns)
    assert scene.answer(ok())[0].news is RegisterNews.SUCCESS


@pytest.mark.parametrize("reply", [NOBODY, no(500), no(503), no(480), no(408)])
def test_trouble_passes(reply: RegisterReply) -> None:
    """Ten seconds, twenty … five minutes; meanwhile the registration stands until it runs out."""
    scene = Scene()
    scene.answer(ok(3600))
    waits = []
    for _ in range(6):
        happened = scene.answer(reply)
        assert not happened[0].over and scene.binding.state is RegisterState.ACTIVE
        waits.append(scene.waits_s())
    assert all(7 * 2**n <= wait <= 13 * 2**n for n, wait in enumerate(waits[:5])) and 225 <= waits[5] <= 375
    scene.answer(ok(3600))
    scene.answer(reply)
    assert scene.waits_s() <= 13


@pytest.mark.parametrize(("reply", "news"), [(NOBODY, RegisterNews.SEND_TIMEOUT), (no(503), RegisterNews.FAILED)])
def test_trouble_at_the_first_attempt(reply: RegisterReply, news: RegisterNews) -> None:
    assert told(Scene(SEMS).answer(reply)) == [(news, reply.code, True)]
    scene = Scene()
    assert told(scene.answer(reply)) == [(news, reply.code, False)] and scene.binding.state is RegisterState.EXPIRED


def test_retry_after() -> None:
    scene = Scene()
    scene.answer(no(503, ("Retry-After", "120")))
    assert 120 <= scene.waits_s() <= 180
    scene.answer(no(503, ("Retry-After", "99999999")))
    assert 3600 <= scene.waits_s() <= 5400


@pytest.mark.parametrize("policy", [SEMS, KEEP])
def test_it_runs_out(policy: RegisterPolicy) -> None:
    scene = Scene(policy)
    scene.answer(ok(60))
    while scene.now_ns + scene.waits_s() * NS < 60 * NS:
        scene.answer(NOBODY)
    assert scene.binding.lapsed(59 * NS) == []
    happened = scene.binding.lapsed(61 * NS)
    assert told(happened) == [(RegisterNews.TIMEOUT, 408, policy.give_up)]
    assert scene.binding.lapsed(62 * NS) == []
    if not policy.give_up:
        assert scene.binding.state is RegisterState.EXPIRED and scene.answer(ok())[0].news is RegisterNews.SUCCESS


def test_it_runs_out_while_the_answer_is_on_its_way() -> None:
    scene = Scene(SEMS)
    scene.answer(ok(60))
    request = scene.ask()
    assert told(scene.binding.lapsed(61 * NS)) == [(RegisterNews.TIMEOUT, 200, False)]
    assert told(scene.binding.answered(request.attempt, ok(), 62 * NS)) == [(RegisterNews.SUCCESS, 200, False)]


@pytest.mark.parametrize("reply", [ok(0), ok(600, "sip:other@h"), RegisterReply(200, "OK")])
def test_our_contact_is_not_there(reply: RegisterReply) -> None:
    assert told(Scene(SEMS).answer(reply)) == [(RegisterNews.NO_CONTACT, 200, True)]
    scene = Scene()
    assert told(scene.answer(reply)) == [(RegisterNews.NO_CONTACT, 200, False)] and scene.waits_s() >= 60


def test_taken_back() -> None:
    scene = Scene()
    scene.answer(ok())
    assert scene.binding.remove(scene.now_ns) == [] and scene.binding.remove(scene.now_ns) == []
    request = scene.ask()
    assert (request.expires_s, request.contact) == (0, OURS)
    assert told(scene.binding.answered(request.attempt, RegisterReply(200, "OK"), scene.now_ns)) == [
        (RegisterNews.NO_CONTACT, 200, True)
    ]
    assert len(scene.plan) == 0


@pytest.mark.parametrize(("reply", "news"), [(no(403), RegisterNews.FAILED), (NOBODY, RegisterNews.SEND_TIMEOUT)])
def test_taken_back_in_vain(reply: RegisterReply, news: RegisterNews) -> None:
    scene = Scene()
    scene.answer(ok())
    scene.binding.remove(scene.now_ns)
    assert told(scene.answer(reply)) == [(news, reply.code, True)]


def test_taken_back_before_anything_was_sent() -> None:
    assert told(Scene().binding.remove(0)) == [(RegisterNews.NO_CONTACT, 0, True)]


@pytest.mark.parametrize(("reply", "asks"), [(ok(), True), (NOBODY, True), (no(403), False)])
def test_taken_back_while_the_first_answer_is_on_its_way(reply: RegisterReply, asks: bool) -> None:
    """What may have been bound is unbound; what was refused need not be."""
    scene = Scene()
    request = scene.ask()
    assert scene.binding.remove(0) == []
    happened = scene.binding.answered(request.attempt, reply, NS)
    if not asks:
        assert happened[0].over
        return
    assert happened == [] and scene.ask().expires_s == 0


def test_refreshed_by_hand() -> None:
    scene = Scene()
    scene.answer(ok())
    scene.binding.refresh(scene.now_ns)
    assert scene.waits_s() == 0
    request = scene.ask()
    scene.binding.change(replace(ACCOUNT, password="new"), scene.now_ns)
    assert scene.binding.due_ns is None
    scene.binding.answered(request.attempt, ok(), scene.now_ns)
    assert scene.waits_s() == 0 and scene.ask().account.password == "new"


def test_an_answer_that_is_late_or_comes_twice_is_none() -> None:
    scene = Scene()
    request = scene.ask()
    scene.binding.answered(request.attempt, ok(), 0)
    assert scene.binding.answered(request.attempt, no(403), 0) == []
    scene.ask()
    assert scene.binding.answered(request.attempt, no(403), 0) == [] and scene.binding.state is RegisterState.ACTIVE


def test_without_a_sip_process_nothing_counts() -> None:
    scene = Scene(SEMS)
    request = scene.ask()
    scene.binding.not_sent(request.attempt, 0)
    assert scene.binding.state is RegisterState.PENDING and 2 <= scene.waits_s() <= 3
    scene.binding.not_sent(request.attempt, 0)
    assert scene.answer(ok())[0].news is RegisterNews.SUCCESS


def test_our_own_restart_goes_on() -> None:
    scene = Scene(replace(KEEP, earliest=0.5, latest=0.5))
    scene.binding.resume(1000 * NS, 0, 3600 * NS)
    assert scene.binding.state is RegisterState.ACTIVE and scene.binding.due_ns == 0  # its half is past
    scene.binding.resume(3000 * NS, 0, 3600 * NS)
    assert 1199 <= scene.waits_s() <= 1201
