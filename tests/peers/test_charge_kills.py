# SPDX-License-Identifier: GPL-2.0-or-later
"""A server killed at any moment among calls: each that was answered has one closed record at each sink, and was charged once.

Two controls charge each call: `cc_prepaid` with its balances on the disk, and `cc_cgrates` at its stand-in, which is told after the
next start. The phones say what was answered and for how long.
"""

from __future__ import annotations

import asyncio
import csv
import json
import math
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from di.stores.cdr.schema import schema
from tests.support.cgrates import CgratesStandIn
from tests.support.server import Server, wait_until
from tests.support.sip_peer import UdpPeer
from tests.support.sizes import size

pytestmark = pytest.mark.peers

SINKS = "jsonl,csv,sqlite"
_LEAST = 8
"""Calls of a life that are answered before it is killed."""
CREDIT_S = 1000
CALLS = 30
"""In each life of the server, within 0.3 to 1.5 s."""


def configuration(folder: Path, cgrates: CgratesStandIn) -> dict[str, str]:
    return {
        "cdr.conf": f"spool={folder}/spool/cdr.db\nsinks={SINKS}\njsonl_path={folder}/cdr.jsonl\ncsv_path={folder}/cdr.csv\n"
        f"sqlite_path={folder}/cdr.sqlite\nnode=test\ntouch_interval=1\n",
        "cc_prepaid.conf": f"file={folder}/prepaid.db\nslice=60\n",
        "cc_cgrates.conf": f"servers=127.0.0.1:{cgrates.port}\nslice=5\norigin_host=here\nfile={folder}/cgrates.db\n",
        "call_control.conf": "call_control=own,cgr\nown_module=cc_prepaid\nown_uuid=$H(X-Account)\ncgr_module=cc_cgrates\n"
        "cgr_uuid=$H(X-Account)\ndeadline_ms=5000\n",
        "app_mapping.conf": "^sip:echo=>echo\n",
    }


@dataclass
class Seen:
    """What a phone saw of its call, by the monotonic clock. The server counts from the ACK to the BYE, both of which it handles a moment
    after they were sent: from `asked_s` until `over_s` at most, and hardly less than from `acked_s` until `left_s`."""

    account: str
    call_id: str = ""
    asked_s: float = 0.0
    acked_s: float = 0.0
    left_s: float = 0.0
    """When it hung up, or the server was killed."""
    over_s: float = 0.0
    """When the BYE was answered, or the server was gone."""


class Callers:
    """Phones that call, talk for a while and hang up."""

    def __init__(self, chance: random.Random) -> None:
        self.seen: dict[str, Seen] = {}
        self._chance = chance
        self._answered = asyncio.Semaphore(0)
        """One for each call of this life that was answered."""

    async def _one(self, peer: UdpPeer, seen: Seen, wait_s: float, talk_s: float) -> None:
        await asyncio.sleep(wait_s)
        seen.asked_s = time.monotonic()
        call = peer.invite("echo", headers=f"X-Account: {seen.account}\r\n")
        if await call.final() == 200:
            seen.call_id, seen.acked_s = call.call_id, time.monotonic()
            self._answered.release()
            call.ack()
            await asyncio.sleep(talk_s)
            left_s = time.monotonic()
            if await call.bye() == 200:
                seen.left_s, seen.over_s = left_s, time.monotonic()

    async def until_killed(self, server: Server, cgrates: CgratesStandIn, kill_s: float, life: int) -> None:
        """Calls come and go; after `kill_s` the hub is killed without warning."""
        peer = await UdpPeer.open(server.sip_port)
        self._answered = asyncio.Semaphore(0)
        accounts = [f"life{life}call{number}" for number in range(CALLS)]
        for account in accounts:
            cgrates.balances[account] = CREDIT_S
            assert server.json("cc_prepaid.setCredit", account, CREDIT_S) == [CREDIT_S]
            self.seen[account] = Seen(account)
        chance = self._chance
        work = [
            asyncio.ensure_future(self._one(peer, self.seen[account], chance.random() * kill_s, chance.random() * kill_s))
            for account in accounts
        ]
        await asyncio.sleep(kill_s)
        async with asyncio.timeout(40):  # a busy machine has not answered as many yet
            for _ in range(_LEAST):
                await self._answered.acquire()
        os.kill(server.pid, signal.SIGKILL)
        killed_s = time.monotonic()
        await asyncio.to_thread(server.wait_status)
        gone_s = time.monotonic()
        await asyncio.sleep(0.05)
        for one in work:
            one.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        for account in accounts:
            seen = self.seen[account]
            if seen.call_id and not seen.over_s:
                seen.left_s, seen.over_s = max(seen.acked_s, killed_s), gone_s
        peer.close()


def records(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Sink → records, each once: a repeat has the same id."""
    lines = [json.loads(line) for line in (folder / "cdr.jsonl").read_text().splitlines()]
    with (folder / "cdr.csv").open(newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    database = sqlite3.connect(folder / "cdr.sqlite")
    database.row_factory = sqlite3.Row
    table = [dict(row) for row in database.execute("SELECT * FROM cdr")]
    database.close()
    return {
        sink: list({one["id"]: one for one in found}.values())
        for sink, found in (("jsonl", lines), ("csv", rows), ("sqlite", table))
    }


@pytest.mark.timeout(7200)
async def test_every_answered_call_has_one_record_at_each_sink_and_was_charged_once(tmp_path: Path) -> None:
    chance = random.Random(11)
    callers, cgrates = Callers(chance), CgratesStandIn()
    server = Server(
        tmp_path, configuration(tmp_path, cgrates), plugins="cdr;monitoring;echo;cc_prepaid;cc_cgrates;call_control;xmlrpc2di;web",
        start=False,
    )  # fmt: skip
    for life in range(size(2, 200)):
        server.forget_log()
        await asyncio.to_thread(server.start)
        await callers.until_killed(server, cgrates, 0.3 + chance.random() * 1.2, life)
    server.forget_log()
    await asyncio.to_thread(server.start)
    answered = {seen.call_id: seen for seen in callers.seen.values() if seen.call_id}
    assert len(answered) > 10
    try:
        await asyncio.to_thread(
            wait_until, lambda: all(sink["pending"] == 0 for sink in server.json("cdr.status")["sinks"].values()), "all delivered"
        )
        try:
            await asyncio.to_thread(wait_until, lambda: not cgrates.sessions and _told(cgrates, answered), "CGRateS is told", 60)
        except AssertionError as error:
            told = {cdr["CallID"] for cdr in cgrates.cdrs.values()}
            lost = [seen for id, seen in answered.items() if id not in told]
            raise AssertionError(f"sessions that are open: {cgrates.sessions}, calls without a CDR: {lost}") from error
        assert server.json("cdr.status")["open"] == 0
        left = {seen.account: server.json("cc_prepaid.getCredit", seen.account)[0] for seen in answered.values()}
    finally:
        await asyncio.to_thread(server.end)
        cgrates.close()
    for sink, found in records(tmp_path).items():
        count_of = Counter(one["call_id"] for one in found)
        assert not {id for id in answered if count_of[id] != 1}, sink
        assert all(one["end"] for one in found), sink
    for one in records(tmp_path)["jsonl"]:
        jsonschema.validate(one, schema())
    assert any(one["disposition"] == "INTERRUPTED" for one in records(tmp_path)["jsonl"])
    for seen in answered.values():
        charged_s = CREDIT_S - left[seen.account]
        _within(seen, charged_s)
        (usage_s,) = _usages(cgrates, seen.call_id)
        assert cgrates.balances[seen.account] == CREDIT_S - math.ceil(usage_s), seen
        _within(seen, usage_s)
    print(f"{size(2, 200)} kills, {len(callers.seen)} calls, {len(answered)} of them answered")


def _within(seen: Seen, charged_s: float) -> None:
    """What was begun of a second counts whole; what came after the last touch (a second apart, on a quiet machine) is a gift."""
    assert seen.left_s - seen.acked_s - 1.6 <= charged_s <= seen.over_s - seen.asked_s + 1.0, (seen, charged_s)


def _usages(cgrates: CgratesStandIn, call_id: str) -> list[float]:
    return [float(cdr["Usage"][:-1]) for cdr in cgrates.cdrs.values() if cdr["CallID"] == call_id]


def _told(cgrates: CgratesStandIn, answered: dict[str, Seen]) -> bool:
    told = {cdr["CallID"] for cdr in list(cgrates.cdrs.values())}
    return answered.keys() <= told
