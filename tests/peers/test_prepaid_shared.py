# SPDX-License-Identifier: GPL-2.0-or-later
"""cc_prepaid over MariaDB: servers share one balance and spend it once, crashes and a dead database included."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from di.calls.control import Grant
from di.calls.control_modules import ControlUnreachable
from di.kernel.errors import Refused
from di.modules.cc_prepaid import shared
from di.modules.cc_prepaid.options import Options, parse_mysql
from di.modules.cc_prepaid.shared import SharedPrepaid
from di.modules.cc_prepaid.shared_store import SharedBalances
from di.modules.cc_prepaid.start import start
from tests.support.bare_hub import bare_services
from tests.support.databases import MariaDb

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDb]:
    with MariaDb() as running:
        assert isinstance(running, MariaDb)
        yield running


@pytest_asyncio.fixture
async def stores(mariadb: MariaDb) -> AsyncIterator[list[SharedBalances]]:
    """Those of two servers."""
    stores = [SharedBalances(parse_mysql(mariadb.url()), node) for node in ("one", "two")]
    for store in stores:
        await store.open()
    yield stores
    for store in stores:
        await store.close()


def ask(key: str, account: str) -> Any:
    return SimpleNamespace(key=key, values={"uuid": account})


async def test_two_servers_spend_one_credit_once(stores: list[SharedBalances]) -> None:
    """Calls of both reserve, go on and end in any order at once: what was taken is what is gone, and nothing stays held."""
    chance = random.Random(3)
    assert await stores[0].change("acme", 500, absolute=True) == 500
    taken: list[int] = []

    async def call(number: int) -> None:
        store, key, held = stores[number % 2], f"c{number}", 0
        for _ in range(chance.randint(1, 3)):
            found = await store.reserve(key, "acme", 20)
            assert found is not None
            held += found[0]
        if held:
            await store.answered(key, 1000.0)
            used = chance.randint(0, held + 5)
            got = await store.settle(key, used)
            assert got == min(used, held) and await store.settle(key, 99) == 0
            taken.append(got)

    await asyncio.gather(*(call(number) for number in range(60)))
    left = await stores[1].credit("acme")
    assert left == 500 - sum(taken) >= 0
    found = await stores[0].reserve("last", "acme", 10_000)
    assert found == (left, 0), "nothing is held any more"
    await stores[0].settle("last", 0)
    assert await stores[0].credit("nobody") is None and await stores[0].reserve("x", "nobody", 5) is None
    assert await stores[0].change("acme", -10_000) == 0


async def test_what_a_server_left_is_charged_by_itself_and_nobody_else(mariadb: MariaDb, stores: list[SharedBalances]) -> None:
    one, two = stores
    await one.change("crash", 300, absolute=True)
    for store, key in ((one, "c/a"), (one, "c/b"), (two, "c/c")):
        await store.reserve(key, "crash", 60)
    await one.answered("c/a", 1000.0)
    await two.answered("c/c", 1000.0)
    await one.seen(1030.4)
    again = SharedBalances(parse_mysql(mariadb.url()), "one")
    assert sorted(await again.recover()) == [("c/a", "crash", 30), ("c/b", "crash", 0)]
    assert await again.recover() == [] and await two.credit("crash") == 270
    assert await two.reserve("d", "crash", 1000) == (210, 0), "what the other server's call holds stays held"
    await again.close()


async def test_the_control_refuses_renews_and_charges_also_when_the_database_comes_back_later(
    mariadb: MariaDb, stores: list[SharedBalances]
) -> None:
    store = stores[0]
    control = SharedPrepaid(store, Options(slice=40, warn=5), time.time)
    await control.recover()
    with pytest.raises(Refused, match="500"):
        await control.authorize(ask("k0", "unknown"))
    await store.change("poor", 0, absolute=True)
    with pytest.raises(Refused, match="402"):
        await control.authorize(ask("k1", "poor"))
    await store.change("rich", 50, absolute=True)
    call = ask("k2", "rich")
    assert await control.authorize(call) == Grant(40, ask_before_s=0.2, account="rich")
    control.answered(call)
    last = await control.renew(call, 39.8)
    assert (last.seconds, last.warn_s, last.ask_before_s) == (10, 5, 5)
    mariadb.kill()
    with pytest.raises(ControlUnreachable) as away:
        await control.renew(call, 49)
    assert "p@ss" not in str(away.value) and f":{mariadb.port}/" in str(away.value)
    control.ended(call, None, 44.6)  # type: ignore[arg-type]
    await asyncio.to_thread(mariadb.start)

    async def settled() -> bool:
        return await store.credit("rich") == 5

    for _ in range(200):
        if await settled():
            break
        await asyncio.sleep(0.1)
    assert await settled()
    await control.close()


class Away(SharedBalances):
    """A database that can be away, and slow to settle."""

    away = False
    slow: asyncio.Event | None = None
    settling: asyncio.Event

    async def reserve(self, charge: str, account: str, most_s: int) -> tuple[int, int] | None:
        if self.away:
            raise ControlUnreachable("away")
        return await super().reserve(charge, account, most_s)

    async def settle(self, charge: str, used_s: int) -> int:
        if self.away:
            raise ControlUnreachable("away")
        if self.slow is not None:
            waited, self.slow = self.slow, None
            self.settling.set()
            await waited.wait()
        return await super().settle(charge, used_s)


@pytest.mark.parametrize("in_flight", [False, True])
async def test_what_an_unanswered_question_may_hold_is_not_let_go_of_what_the_next_one_holds(
    mariadb: MariaDb, stores: list[SharedBalances], monkeypatch: pytest.MonkeyPatch, in_flight: bool
) -> None:
    """The database was away when a call began, which went on as on_unreachable says; its next slice is held, and charged at its end."""
    monkeypatch.setattr(shared, "_AGAIN_S", 0.01)
    store = Away(parse_mysql(mariadb.url()), "one")
    control = SharedPrepaid(store, Options(slice=40), time.time)
    await control.recover()
    await store.change("late", 100, absolute=True)
    call = ask(f"late/{in_flight}", "late")
    store.away = True
    with pytest.raises(ControlUnreachable):
        await control.authorize(call)
    store.away = False
    let_on, store.settling = asyncio.Event(), asyncio.Event()
    if in_flight:
        store.slow = let_on
        await store.settling.wait()
    assert (await control.renew(call, 10.0)).seconds == 40
    let_on.set()
    await asyncio.sleep(0.1)
    assert await stores[1].reserve("all", "late", 1000) == (60, 0), "the slice is held still"
    control.ended(call, None, 30.0)  # type: ignore[arg-type]
    await control.close()
    assert await stores[1].credit("late") == 70 and await stores[1].settle("all", 0) == 0


async def test_a_call_that_ends_while_its_next_slice_is_asked_for_is_charged(
    mariadb: MariaDb, stores: list[SharedBalances]
) -> None:
    """Its first question was not answered in time, yet taken: 40 s are held."""
    store = Away(parse_mysql(mariadb.url()), "one")
    control = SharedPrepaid(store, Options(slice=40), time.time)
    await control.recover()
    await store.change("ending", 100, absolute=True)
    call = ask("ending/0", "ending")
    await store.reserve(call.key, "ending", 40)
    store.away = True
    with pytest.raises(ControlUnreachable):
        await control.authorize(call)
    store.away, store.slow, store.settling = False, asyncio.Event(), asyncio.Event()
    renewing = asyncio.ensure_future(control.renew(call, 10.0))
    await store.settling.wait()
    renewing.cancel()
    control.ended(call, None, 30.0)  # type: ignore[arg-type]
    await asyncio.wait([renewing])
    assert renewing.cancelled()
    await control.close()
    assert await stores[1].credit("ending") == 70 and await stores[1].reserve("all", "ending", 1000) == (70, 0)
    await stores[1].settle("all", 0)


async def test_no_call_begins_before_what_an_earlier_life_held_is_settled(mariadb: MariaDb, stores: list[SharedBalances]) -> None:
    store = Away(parse_mysql(mariadb.url()), "one")
    await store.change("early", 100, absolute=True)
    await store.reserve("early/0", "early", 30)
    control = SharedPrepaid(store, Options(slice=40), time.time)
    store.away = True
    with pytest.raises(ControlUnreachable):
        await control.recover()
    store.away = False
    with pytest.raises(ControlUnreachable, match="not settled yet"):
        await control.authorize(ask("early/1", "early"))
    await control.recover()
    assert (await control.authorize(ask("early/1", "early"))).seconds == 40
    assert await stores[1].reserve("all", "early", 1000) == (60, 0)
    await control.close()


@pytest.mark.parametrize("text", ["mysql://u:p@h", "mysql://u:p@h/", "http://u:p@h/d", ""])
def test_a_place_that_is_none_is_said_without_its_password(text: str) -> None:
    with pytest.raises(ValueError, match="right is mysql://") as error:
        parse_mysql(text)
    assert "u:p" not in str(error.value)


async def test_the_plug_in_offers_control_and_functions_over_the_database(mariadb: MariaDb, stores: list[SharedBalances]) -> None:
    """As a server starts it: what an earlier life of this node left is charged, calls and DI see one balance."""
    one, services = stores[0], bare_services()[0]
    await one.change("left", 100, absolute=True)
    await one.reserve("old", "left", 30)
    await one.answered("old", 1000.0)
    await one.seen(1020.0)
    close = await start(services, Options(mysql=parse_mysql(mariadb.url()), node="one", slice=7))
    assert close is not None

    async def invoke(name: str, *values: str | int) -> Any:
        answer: Any = services.registry.invoke("cc_prepaid", name, list(values))
        return await answer

    assert await invoke("getCredit", "left") == [80, 1] and await invoke("getCredit", "nobody") == [0, 0]
    assert await invoke("setCredit", "new", 10) == [10] and await invoke("addCredit", "new", 5) == [15]
    assert await invoke("subtractCredit", "new", 4) == [11, 1] and await invoke("subtractCredit", "nobody", 4) == [0, 0]
    control: Any = services.control_modules["cc_prepaid"]
    call = ask("k", "new")
    assert (await control.authorize(call)).seconds == 7
    control.answered(call)
    control.ended(call, None, 3.4)
    closing: Any = close()
    await closing
    assert await stores[1].credit("new") == 8 and "cc_prepaid" not in services.control_modules
