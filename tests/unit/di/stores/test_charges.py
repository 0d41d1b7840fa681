# SPDX-License-Identifier: GPL-2.0-or-later
"""The book of charges: told until it is heard, after a crash too, and never twice where a repeat would be charged again."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from di.kernel.clock import LoopClock
from di.stores.charges import Charge, ChargeBook, NotTold
from tests.support.bare_hub import HandClock


class Service:
    """Takes ends; fails as often as it is told to."""

    def __init__(self, *failures: NotTold) -> None:
        self.told: list[Charge] = []
        self.failures = list(failures)
        self.heard = asyncio.Event()

    async def tell(self, charge: Charge) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.told.append(charge)
        self.heard.set()


def book(service: Service, path: Path | None, repeats: bool = True) -> ChargeBook:
    return ChargeBook("cc_test", path, LoopClock(), service.tell, repeats)


async def test_an_end_is_told_once_with_all_that_is_known(tmp_path: Path) -> None:
    service = Service()
    charges = book(service, tmp_path / "charges.db")
    await charges.open()
    await charges.begin("call/a", {"account": "acme"})
    charges.answered("call/a", {})
    charges.end("call/a", 12.5, {"cause": "200"})
    await charges.close()
    (one,) = service.told
    assert (one.key, one.facts, one.used_s, one.interrupted) == ("call/a", {"account": "acme", "cause": "200"}, 12.5, False)
    assert one.answered_s and one.ended_s
    again = book(service, tmp_path / "charges.db")
    await again.open()
    await again.close()
    assert len(service.told) == 1


@pytest.mark.parametrize("goes_on", [False, True])
async def test_a_call_that_is_over_before_it_is_on_the_disk_is_told_as_having_cost_nothing(tmp_path: Path, goes_on: bool) -> None:
    """Unless only the answer was late, and it goes on without: then its end is told as any other's, and once."""
    service, clock = Service(), HandClock()
    charges = ChargeBook("cc_test", tmp_path / "charges.db", clock, service.tell)
    await charges.open()
    beginning = asyncio.create_task(charges.begin("call/a", {"account": "acme"}, {"end": "given up"}))
    await asyncio.sleep(0)
    beginning.cancel()
    await asyncio.wait([beginning])
    assert beginning.cancelled()
    if goes_on:
        charges.answered("call/a", {})
        clock.advance(1000)
        charges.end("call/a", 1000, {"end": "by us"})
    clock.advance(1000)
    assert charges.find("call/a") is None
    await asyncio.wait_for(service.heard.wait(), 40)
    await charges.close()
    (one,) = service.told
    expected = ("by us", 1000.0) if goes_on else ("given up", 0.0)
    assert (one.facts["end"], one.used_s) == expected and one.facts["account"] == "acme" and not one.interrupted


@pytest.mark.parametrize("on_disk", [True, False])
async def test_a_service_that_is_down_is_told_later(tmp_path: Path, on_disk: bool, caplog: pytest.LogCaptureFixture) -> None:
    service = Service(NotTold("down"))
    charges = book(service, tmp_path / "charges.db" if on_disk else None)
    await charges.open()
    charges.end("call/a", 3, {"account": "acme"})
    await asyncio.wait_for(service.heard.wait(), 20)
    await charges.close()
    assert len(service.told) == 1 and "call/a is not told yet: down" in caplog.text


def seen_alive_s(path: Path) -> float:
    """When the server of a book was last alive, as it stands on the disk."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        seen = connection.execute("SELECT seen_s FROM alive").fetchone()
    return float(seen[0]) if seen else 0.0


async def test_what_a_killed_server_left_is_ended_when_it_was_last_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("di.stores.charges._ALIVE_S", 0.05)
    service, killed = Service(), Service()
    charges = book(killed, tmp_path / "charges.db")
    await charges.open()
    await charges.begin("call/up", {"account": "acme"})
    charges.answered("call/up", {})
    await charges.begin("call/ringing", {"account": "acme"})
    up = charges.find("call/up")
    assert up is not None
    while seen_alive_s(tmp_path / "charges.db") <= up.answered_s:  # noqa: ASYNC110 - another process would ask in no other way
        await asyncio.sleep(0.01)
    charges._tell = service.tell  # nothing more of this life is written: its tasks are cancelled below
    for task in charges._tasks:
        task.cancel()
    assert charges._database is not None
    await charges._database.close()
    seen_s = seen_alive_s(tmp_path / "charges.db")
    after = book(service, tmp_path / "charges.db")
    await after.open()
    await after.close()
    told = {one.key: one for one in service.told}
    assert set(told) == {"call/up", "call/ringing"} and all(one.interrupted for one in told.values())
    assert told["call/up"].used_s == seen_s - up.answered_s > 0 and told["call/ringing"].used_s == 0


async def test_what_was_sent_and_not_confirmed_is_not_sent_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    service = Service(NotTold("no answer", sent=True))
    charges = book(service, tmp_path / "charges.db", repeats=False)
    await charges.open()
    charges.end("call/a", 30, {"account": "acme"})
    await charges.close()
    assert not service.told and "it is not sent twice" in caplog.text and "acme, 30 s" in caplog.text
    again = book(service, tmp_path / "charges.db", repeats=False)
    await again.open()
    await again.close()
    assert not service.told


async def test_what_never_left_is_sent_again_even_there(tmp_path: Path) -> None:
    service = Service(NotTold("no route", sent=False))
    charges = book(service, tmp_path / "charges.db", repeats=False)
    await charges.open()
    charges.end("call/a", 30, {"account": "acme"})
    await asyncio.wait_for(service.heard.wait(), 20)
    await charges.close()
    assert [one.used_s for one in service.told] == [30]


async def test_a_server_that_died_while_it_told_leaves_the_decision_to_a_person(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stuck = asyncio.Event()

    class Stuck(Service):
        async def tell(self, charge: Charge) -> None:
            stuck.set()
            await asyncio.sleep(60)

    charges = book(Stuck(), tmp_path / "charges.db", repeats=False)
    await charges.open()
    charges.end("call/a", 30, {"account": "acme"})
    await asyncio.wait_for(stuck.wait(), 20)
    for task in charges._tasks:
        task.cancel()
    assert charges._database is not None
    await charges._database.close()
    service = Service()
    again = book(service, tmp_path / "charges.db", repeats=False)
    await again.open()
    await again.close()
    assert not service.told and "died while it was told" in caplog.text
