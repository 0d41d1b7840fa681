# SPDX-License-Identifier: GPL-2.0-or-later
"""Many registrations: none forgotten, none too late, never a burst."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from di.sip.registration.account import RegisterAccount, RegisterPolicy
from di.sip.registration.binding import Happened, RegisterNews, RegisterReply, RegisterRequest, RegisterState
from di.sip.registration.book import RegistrationBook
from di.sip.registration.pacing import NS, RegisterPace
from tests.support.sizes import size

Registrar = Callable[[RegisterRequest, int], RegisterReply | None]


def account(number: int) -> RegisterAccount:
    return RegisterAccount(f"h{number}", "example.net", f"u{number}")


def granting(expires_s: int) -> Registrar:
    def answer(request: RegisterRequest, now_ns: int) -> RegisterReply:
        contact = f"sip:{request.account.user}@127.0.0.1"
        return RegisterReply(200, "OK", (("Contact", f"<{contact}>;expires={expires_s}"),), contact=contact)

    return answer


class World:
    """A book and a registrar that answers after a while; time jumps from one thing to the next."""

    def __init__(self, registrar: Registrar, pace: RegisterPace | None = None, policy: RegisterPolicy | None = None) -> None:
        ids = itertools.count()
        self.book = RegistrationBook(
            policy or RegisterPolicy(), pace or RegisterPace(NS // 20, 1, 0), Random(5), lambda: f"call{next(ids)}"
        )
        self.registrar = registrar
        self.now_ns = 0
        self.sent: list[int] = []
        self.news: list[Happened] = []
        self._coming: list[tuple[int, int, RegisterRequest, RegisterReply]] = []
        self._order = itertools.count()

    def run(self, seconds: float, delay_s: float = 0.05) -> None:
        end_ns = self.now_ns + int(seconds * NS)
        while True:
            requests, happened = self.book.poll(self.now_ns)
            self.news += happened
            for request in requests:
                self.sent.append(self.now_ns)
                reply = self.registrar(request, self.now_ns)
                at_ns = self.now_ns + int((delay_s if reply is not None else 32) * NS)
                reply = reply or RegisterReply(408, "Request Timeout", heard=False)
                heapq.heappush(self._coming, (at_ns, next(self._order), request, reply))
            times = [at for at in (self.book.deadline_ns(), self._coming[0][0] if self._coming else None) if at is not None]
            if not times or min(times) > end_ns:
                break
            assert min(times) >= self.now_ns
            self.now_ns = max(min(times), self.now_ns)
            while self._coming and self._coming[0][0] <= self.now_ns:
                _, _, request, reply = heapq.heappop(self._coming)
                self.news += self.book.answered(request, reply, self.now_ns)
        self.now_ns = end_ns

    def most_in_a_second(self) -> int:
        return max(Counter(at // NS for at in self.sent).values(), default=0)

    def told(self, news: RegisterNews) -> int:
        return sum(1 for one in self.news if one.news is news)


@pytest.mark.parametrize("expires_s", [120, 600])
def test_a_thousand_for_ten_minutes_without_a_burst(expires_s: int) -> None:
    world = World(granting(expires_s))
    for number in range(1000):
        world.book.add(account(number), 0)
    world.run(50.5)
    assert all(binding.state is RegisterState.ACTIVE for binding in world.book) and world.most_in_a_second() <= 21
    world.sent.clear()
    world.run(600)
    assert world.told(RegisterNews.TIMEOUT) == 0 and all(b.state is RegisterState.ACTIVE for b in world.book)
    assert 600_000 / expires_s / 0.52 <= len(world.sent) <= 600_000 / expires_s / 0.38 + 1000
    assert world.most_in_a_second() <= 21


def test_for_a_day_they_stay_apart() -> None:
    """At full size; else for five hours, in which each is refreshed eleven times."""
    world = World(granting(3600))
    for number in range(1000):
        world.book.add(account(number), 0)
    world.run(7200)
    world.sent.clear()
    world.run(size(20_000, 80_000))
    assert world.most_in_a_second() <= 3 and world.told(RegisterNews.TIMEOUT) == 0  # half a request a second on average


def test_a_registrar_that_comes_back_is_not_overrun() -> None:
    away = [False]
    answers = granting(600)
    world = World(lambda request, now_ns: None if away[0] else answers(request, now_ns))
    for number in range(1000):
        world.book.add(account(number), 0)
    world.run(100)
    away[0] = True
    world.run(1200)
    assert world.told(RegisterNews.TIMEOUT) == 1000 and all(b.state is RegisterState.EXPIRED for b in world.book)
    away[0] = False
    world.sent.clear()
    world.run(600)
    assert all(binding.state is RegisterState.ACTIVE for binding in world.book) and world.most_in_a_second() <= 21


def test_wrong_passwords_make_no_loop() -> None:
    world = World(lambda request, now_ns: RegisterReply(401, "Unauthorized"))
    for number in range(100):
        world.book.add(account(number), 0)
    world.run(3600)
    assert len(world.sent) <= 100 * 7  # 60, 120, 240 … s


def test_all_taken_back_in_time() -> None:
    world = World(granting(3600))
    for number in range(1000):
        world.book.add(account(number), 0)
    world.run(100)
    world.sent.clear()
    world.book.remove_all(world.now_ns, 2 * NS)
    world.run(3)
    assert len(world.book) == 0 and len(world.sent) == 1000 and world.sent[-1] - world.sent[0] <= 2.1 * NS


def test_a_handle_is_replaced_and_late_answers_are_not_taken_for_its_own() -> None:
    world = World(granting(60))
    world.book.add(account(1), 0)
    (first,), _ = world.book.poll(0)
    world.book.add(account(1), 0)
    assert world.book.answered(first, RegisterReply(403, "No"), 0) == []
    world.run(10)
    assert world.told(RegisterNews.SUCCESS) == 1 and len(world.book) == 1
    assert not world.book.refresh("x", 0) and not world.book.change(account(2), 0) and world.book.remove("x", 0) == []


def test_nothing_is_left_behind() -> None:
    world = World(granting(60))
    for number in range(50):
        world.book.add(account(number), 0)
    world.run(200)
    for number in range(50):
        world.book.remove(f"h{number}", world.now_ns)
    world.run(100)
    assert len(world.book) == 0
    world.run(1000)
    assert world.book.deadline_ns() is None


def test_who_asks_again_and_again_fills_no_memory() -> None:
    world = World(granting(3600))
    world.book.add(account(1), 0)
    world.run(1)
    for _ in range(1000):
        world.book.refresh("h1", world.now_ns)
    assert len(world.book._due) + len(world.book._lapses) <= 4
    world.run(1)
    assert len(world.sent) == 2


def test_one_that_runs_out_while_it_is_taken_back() -> None:
    world = World(granting(60))
    world.book.add(account(1), 0)
    world.run(1)
    world.registrar = lambda request, now_ns: None
    world.book.remove("h1", world.now_ns)
    world.run(58, delay_s=70)
    world.now_ns += 10 * NS
    assert world.book.poll(world.now_ns) == ([], []) and len(world.book) <= 1
    world.run(60)
    assert len(world.book) == 0 and world.book.deadline_ns() is None
