# SPDX-License-Identifier: GPL-2.0-or-later
"""Call records of a whole server: what each says of a real call, and that a server killed at any moment has lost none."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from di.stores.cdr.schema import schema
from tests.support.server import WITH_APPS, Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer
from tests.support.switchboard import MAPPING, PLUGINS, Switchboard

pytestmark = pytest.mark.peers


def configuration(folder: Path, more: str = "") -> dict[str, str]:
    text = f"spool={folder}/spool/cdr.db\nsinks=jsonl,csv\njsonl_path={folder}/cdr.jsonl\ncsv_path={folder}/cdr.csv\nnode=test\n{more}\n"
    return {"cdr.conf": text, "app_mapping.conf": f"{MAPPING}^sip:echo=>echo\n"}


def records(folder: Path) -> list[dict[str, Any]]:
    path = folder / "cdr.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def of(folder: Path, **wanted: object) -> list[dict[str, Any]]:
    return [one for one in records(folder) if all(one[name] == value for name, value in wanted.items())]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cdr")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with Server(folder, configuration(folder, "vars=app;dir"), plugins=f"cdr;echo;{PLUGINS}", program=WITH_APPS) as running:
        yield running
    assert "Traceback" not in running.log, running.log


async def record_of(folder: Path, call: PeerCall) -> dict[str, Any]:
    """The record of a phone's call, once it is there; it must fit the schema."""
    (found,) = await asyncio.to_thread(wait_until, lambda: of(folder, call_id=call.call_id), f"the record of {call.call_id}")
    jsonschema.validate(found, schema())
    return dict(found)


async def test_a_call_that_was_up(server: Server, folder: Path) -> None:
    peer = await UdpPeer.open(server.sip_port)
    began = time.monotonic()
    call = peer.invite("echo")
    assert await call.final() == 200
    call.ack()
    (open_record,) = await asyncio.to_thread(
        wait_until, lambda: [r for r in server.json("cdr.open") if r["answer"]], "the open record"
    )
    assert open_record["call_id"] == call.call_id and open_record["end"] == ""
    await asyncio.sleep(0.3)
    assert await call.bye() == 200
    took_ms = (time.monotonic() - began) * 1000
    record = await record_of(folder, call)
    assert (record["disposition"], record["hangup_by"], record["direction"], record["app"]) == (
        "ANSWERED",
        "caller",
        "in",
        "echo",
    )
    assert (record["callee"], record["leg"], record["linked"], record["node"]) == ("echo", "a", record["call"], "test")
    assert 250 <= record["billable_ms"] <= took_ms + 10 and record["duration_ms"] >= record["billable_ms"]
    assert (
        record["source"] == f"127.0.0.1:{peer.port}"
        and record["codec"] == "PCMU"
        and record["vars"] == {"app": "echo", "dir": "in"}
    )
    assert record["rtp"]["received"] == 0 and record["remote_tag"]
    peer.close()


async def test_a_call_that_was_given_up_one_that_was_refused_and_one_that_an_operator_ended(server: Server, folder: Path) -> None:
    peer = await UdpPeer.open(server.sip_port)
    nobody = await UdpPeer.open(server.sip_port)  # it never answers
    given_up = peer.invite("desk", headers=f"X-Desk: relay\r\nX-Target: sip:x@127.0.0.1:{nobody.port}\r\n")
    ended = peer.invite("echo")
    assert await ended.final() == 200
    ended.ack()
    id = await asyncio.to_thread(
        wait_until,
        lambda: next((r["call"] for r in server.json("cdr.open") if r["call_id"] == ended.call_id and r["answer"]), ""),
        "the call",
    )
    server.json("core.hangup", id)
    record = await record_of(folder, ended)
    assert (record["disposition"], record["hangup_by"]) == ("ANSWERED", "operator")
    leg = await nobody.take_invite()
    leg.ring()
    await given_up.next(180)
    given_up.cancel()
    record = await record_of(folder, given_up)
    assert (record["disposition"], record["hangup_by"], record["billable_ms"]) == ("CANCELLED", "caller", 0)
    assert record["progress"] and not record["answer"]
    peer.close()


async def test_both_legs_of_a_conversation_have_the_first_ones_id(server: Server, folder: Path) -> None:
    board = Switchboard(server)
    caller, callee = await board.pair(await board.phone(), await board.phone())
    await board.hang_up(caller, callee)
    record = await record_of(folder, caller)
    (other,) = await asyncio.to_thread(wait_until, lambda: of(folder, linked=record["call"], leg="b"), "the second leg's record")
    assert (other["direction"], other["disposition"], other["other"]) == ("out", "ANSWERED", record["call"])
    assert record["leg"] == "a" and record["other"] == other["call"]
    board.close()


async def test_status_and_metrics_say_that_nothing_is_left(server: Server, folder: Path) -> None:
    peer = await UdpPeer.open(server.sip_port)
    call = peer.invite("echo")
    assert await call.final() == 200
    call.ack()
    assert await call.bye() == 200
    await record_of(folder, call)
    peer.close()
    await asyncio.to_thread(wait_until, lambda: server.json("cdr.status")["open"] == 0, "no call is open")
    await asyncio.to_thread(
        wait_until, lambda: all(sink["pending"] == 0 for sink in server.json("cdr.status")["sinks"].values()), "all delivered"
    )
    status = server.json("cdr.status")
    assert (
        status["open"] == 0
        and status["problem"] == ""
        and status["sinks"]["jsonl"]["delivered"] == status["sinks"]["csv"]["delivered"] > 0
    )
    assert server.json("cdr.schema") == json.loads(json.dumps(schema()))
