# SPDX-License-Identifier: GPL-2.0-or-later
"""Host names that pjsip asks for, by steps: who waits, who is answered at once, what happens while a name server is silent."""

from __future__ import annotations

import pytest

from interfaces.sip.names import FRESH_NS, MOST_KNOWN, MOST_WAITING, PATIENCE_NS, HostNames


class Desk:
    def __init__(self) -> None:
        self.now_ns = 5
        self.looked_up: list[str] = []
        self.told: list[tuple[int, tuple[str, ...]]] = []
        self.names = HostNames(self.looked_up.append, self._told, lambda: self.now_ns)

    def _told(self, number: int, name: str, addresses: tuple[str, ...]) -> None:
        self.told.append((number, addresses))

    def ask(self, number: int, name: str = "a.example") -> list[tuple[int, tuple[str, ...]]]:
        """Ask for a name; what was told meanwhile."""
        self.told.clear()
        self.names.asked(number, name)
        return list(self.told)


def test_all_who_wait_for_a_name_get_its_addresses() -> None:
    desk = Desk()
    assert desk.ask(1) == desk.ask(2, "A.Example") == [] and desk.looked_up == ["a.example"]
    desk.names.found("a.example", ("192.0.2.1", "192.0.2.2"))
    assert desk.told == [(1, ("192.0.2.1", "192.0.2.2")), (2, ("192.0.2.1", "192.0.2.2"))]
    assert desk.ask(3) == [(3, ("192.0.2.1", "192.0.2.2"))] and desk.looked_up == ["a.example"]


def test_what_is_older_is_told_at_once_and_looked_up_again() -> None:
    desk = Desk()
    desk.ask(1)
    desk.names.found("a.example", ("192.0.2.1",))
    desk.now_ns += FRESH_NS
    assert desk.ask(2) == desk.ask(2) == [(2, ("192.0.2.1",))] and desk.looked_up == ["a.example"] * 2
    desk.names.found("a.example", ())
    assert desk.ask(3) == [(3, ("192.0.2.1",))], "better than none"
    desk.now_ns += FRESH_NS
    desk.ask(4)
    desk.names.found("a.example", ("192.0.2.9",))
    assert desk.ask(5) == [(5, ("192.0.2.9",))]


def test_a_name_that_nobody_knows_is_not_asked_for_at_each_message(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.ask(1)
    desk.names.found("a.example", ())
    assert desk.told == [(1, ())] and desk.ask(2) == [(2, ())] and desk.looked_up == ["a.example"]
    assert "a.example cannot be resolved" in caplog.text
    desk.now_ns += FRESH_NS
    assert desk.ask(3) == [] and desk.looked_up == ["a.example"] * 2


def test_nobody_waits_for_ever_and_late_answers_serve_the_next() -> None:
    desk = Desk()
    desk.ask(1)
    desk.now_ns += PATIENCE_NS - 1
    desk.names.second_passed()
    assert desk.told == []
    desk.now_ns += 1
    desk.names.second_passed()
    desk.names.second_passed()
    assert desk.told == [(1, ())]
    assert desk.ask(2) == [] and desk.looked_up == ["a.example"], "it is still being looked up"
    desk.names.found("a.example", ("192.0.2.1",))
    assert desk.told == [(2, ("192.0.2.1",))]


def test_many_names_of_strangers_are_bounded_and_known_ones_go_on() -> None:
    desk = Desk()
    desk.ask(0, "proxy.example")
    desk.names.found("proxy.example", ("192.0.2.1",))
    for number in range(MOST_WAITING):
        assert desk.ask(number, f"{number}.example") == []
    assert desk.ask(99, "one.more.example") == [(99, ())] and len(desk.looked_up) == MOST_WAITING + 1
    desk.now_ns += FRESH_NS
    assert desk.ask(100, "proxy.example") == [(100, ("192.0.2.1",))]
    for number in range(MOST_WAITING):
        desk.names.found(f"{number}.example", ())
    for number in range(MOST_KNOWN):
        desk.ask(number, f"n{number}.example")
        desk.names.found(f"n{number}.example", ("192.0.2.3",))
    assert desk.ask(7, "proxy.example") == [], "forgotten"
