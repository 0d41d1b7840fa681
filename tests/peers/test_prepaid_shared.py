# SPDX-License-Identifier: GPL-2.0-or-later
"""cc_prepaid over MariaDB: servers share one balance and spend it once, crashes and a dead database included; a real call of each server."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from di.calls.control import Grant
from di.calls.control_modules import ControlUnreachable
from di.kernel.errors import Refused
from di.modules.cc_prepaid.options import Options, parse_mysql
from di.modules.cc_prepaid.shared import SharedPrepaid
from di.modules.cc_prepaid.shared_store import SharedBalances
from tests.support.databases import MariaDb
from tests.support.server import Server, wait_until
from tests.support.sip_peer import UdpPeer

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


@pytest.mark.parametrize("text", ["mysql://u:p@h", "mysql://u:p@h/", "http://u:p@h/d", ""])
def test_a_place_that_is_none_is_said_without_its_password(text: str) -> None:
    with pytest.raises(ValueError, match="right is mysql://") as error:
        parse_mysql(text)
    assert "u:p" not in str(error.value)


async def test_a_call_of_a_server_is_paid_from_the_database(
    tmp_path: Path, mariadb: MariaDb, stores: list[SharedBalances]
) -> None:
    files = {
        "app_mapping.conf": "^sip:echo=>echo\n",
        "cc_prepaid.conf": f'mysql="{mariadb.url()}"\nnode=here\nslice=1\n',
        "call_control.conf": "call_control=money\nmoney_module=cc_prepaid\nmoney_uuid=$H(X-Account)\n",
    }
    with Server(tmp_path, files, plugins="echo;monitoring;cc_prepaid;call_control;xmlrpc2di;web") as server:
        assert server.json("cc_prepaid.setCredit", "caller", 2) == [2]
        peer = await UdpPeer.open(server.sip_port)
        call = peer.invite("echo", headers="X-Account: caller\r\n")
        assert await call.final() == 200
        call.ack()
        await call.next("BYE")
        await asyncio.to_thread(wait_until, lambda: server.json("cc_prepaid.getCredit", "caller") == [0, 1], "it is charged")
        assert await peer.invite("echo", headers="X-Account: caller\r\n").final() == 402
        assert await stores[1].credit("caller") == 0
        peer.close()
        assert "Traceback" not in server.log
