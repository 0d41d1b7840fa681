# SPDX-License-Identifier: GPL-2.0-or-later
"""Records and controls together: a syslog line for marked calls, records of refused ones, and who is told after a crash."""

from __future__ import annotations

import asyncio
import base64
import csv
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import pytest_asyncio
from aiohttp import web
from standardwebhooks import Webhook as Verifier

from di.stores.cdr.schema import schema
from tests.support.ports import free_port
from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer

pytestmark = pytest.mark.peers

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PLUGINS = "cc_http;cc_syslog_cdr;cc_call_timer;call_control;monitoring;echo;di_dial;xmlrpc2di;web"  # cdr comes with cc_syslog_cdr
FORMAT = '"$ltag,$start_ts,$connect_ts,$end_ts,tenant,disposition,invite_code,hangup_initiator,$app,$bill_duration_sec"'


class Syslog:
    """A UDP socket that keeps the lines."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        self._lines: list[list[str]] = []

    def lines(self) -> list[list[str]]:
        """Items of each line so far."""
        while True:
            try:
                text = self._socket.recv(65536).decode()
            except BlockingIOError:
                return self._lines
            assert text.startswith("<133>") and " cordboard: CALL " in text, text
            self._lines.append(next(csv.reader([text.partition("CALL ")[2]])))

    def close(self) -> None:
        self._socket.close()


class Billing:
    """The web service of cc_http; while `down` it answers 503."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.down = False

    async def take(self, request: web.Request) -> web.Response:
        message = Verifier(SECRET).verify(await request.text(), dict(request.headers))
        assert isinstance(message, dict)
        if self.down:
            return web.Response(status=503)
        self.got.append((request.headers["webhook-id"], message))
        return web.json_response({"allow": True, "account": "acme"})

    def ended(self, call: PeerCall) -> list[tuple[str, dict[str, Any]]]:
        """Id and data of each end that was told of a phone's call."""
        return [
            (id, one["data"]) for id, one in self.got if one["type"] == "call.ended" and one["data"]["call_id"] == call.call_id
        ]


@pytest.fixture(scope="module")
def syslog() -> Iterator[Syslog]:
    syslog = Syslog()
    yield syslog
    syslog.close()


@pytest.fixture(scope="module")
def http_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records")


@pytest.fixture(scope="module")
def server(folder: Path, syslog: Syslog, http_port: int) -> Iterator[Server]:
    (folder / "key").write_text(SECRET)
    files = {
        "app_mapping.conf": "^sip:echo=>echo\n",
        "cdr.conf": f"spool={folder}/cdr.db\nsinks=jsonl\njsonl_path={folder}/cdr.jsonl\ntouch_interval=1\n",
        "cc_syslog_cdr.conf": f'cdr_prefix="CALL "\nloglevel=4\ncdr_format={FORMAT}\nsyslog_address=127.0.0.1:{syslog.port}\n',
        "cc_http.conf": f"url=http://127.0.0.1:{http_port}/calls\nsecret_file={folder}/key\n",
        "call_control.conf": "call_control=$H(X-Line),web\nline_module=cc_syslog_cdr\nline_tenant=$H(X-Tenant)\nweb_module=cc_http\n",
    }
    with Server(folder, files, "session_limit=3;503;Full\n", PLUGINS) as server:
        yield server
    assert "Traceback" not in server.log, server.log


@pytest_asyncio.fixture
async def billing(http_port: int) -> AsyncIterator[Billing]:
    billing = Billing()
    application = web.Application()
    application.router.add_post("/calls", billing.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", http_port).start()
    yield billing
    await runner.cleanup()


async def up(peer: UdpPeer, headers: str = "X-Line: line\r\nX-Tenant: ac,me\r\n") -> PeerCall:
    call = peer.invite("echo", headers=headers)
    assert await call.final() == 200
    call.ack()
    return call


async def records(folder: Path, call: PeerCall) -> dict[str, Any]:
    """The record of a phone's call, once it is there."""

    def found() -> list[dict[str, Any]]:
        path = folder / "cdr.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [one for one in map(json.loads, lines) if one["call_id"] == call.call_id]

    (record,) = await asyncio.to_thread(wait_until, found, "the record")
    jsonschema.validate(record, schema())
    return dict(record)


async def test_marked_calls_have_a_line_and_others_have_none(
    server: Server, billing: Billing, syslog: Syslog, folder: Path
) -> None:
    peer = await UdpPeer.open(server.sip_port)
    plain, marked = await up(peer, ""), await up(peer)
    assert await plain.bye() == await marked.bye() == 200
    assert (await records(folder, plain))["account"] == "acme"
    record = await records(folder, marked)
    (line,) = await asyncio.to_thread(wait_until, syslog.lines, "the line")
    assert (
        line[0] == record["call"]
        and line[4:9] == ["ac,me", "ANSWERED", "200", "caller", "echo"]
        and float(line[3]) > float(line[2]) > 0
    )
    peer.close()


async def test_calls_that_were_refused_before_they_were_calls_have_records(
    server: Server, billing: Billing, folder: Path
) -> None:
    await asyncio.to_thread(wait_until, lambda: server.xml.calls() == 0, "the calls of before do not count")
    peer = await UdpPeer.open(server.sip_port)
    calls = [await up(peer, "") for _ in range(3)]
    refused, nobody = peer.invite("echo"), peer.invite("nobody")
    assert await refused.final() == await nobody.final() == 503
    record = await records(folder, refused)
    assert (record["disposition"], record["sip_code"], record["sip_reason"], record["hangup_by"]) == (
        "FAILED",
        503,
        "Full",
        "limit",
    )
    assert (
        record["start"] == record["end"]
        and record["billable_ms"] == 0
        and record["direction"] == "in"
        and record["callee"] == "echo"
    )
    for call in calls:
        assert await call.bye() == 200
    await asyncio.to_thread(wait_until, lambda: server.xml.calls() == 0, "no call is left")
    unmapped = peer.invite("nobody")
    assert await unmapped.final() == 404
    record = await records(folder, unmapped)
    assert (record["sip_code"], record["hangup_by"], record["hangup_cause"]) == (404, "system", "no application takes it")
    peer.close()


@pytest.mark.timeout(300)
async def test_after_a_crash_controls_and_ways_out_are_told_once_each(
    server: Server, billing: Billing, syslog: Syslog, folder: Path
) -> None:
    await asyncio.to_thread(wait_until, lambda: server.xml.calls() == 0, "the calls of before do not count")
    peer = await UdpPeer.open(server.sip_port)
    before = len(syslog.lines())
    calls = [await up(peer) for _ in range(2)]
    over = await up(peer)
    assert await over.bye() == 200
    await records(folder, over)
    await asyncio.to_thread(wait_until, lambda: billing.ended(over), "a normal end is told")
    await asyncio.sleep(1.5)  # a touch or two, so that there is something to charge
    os.kill(server.pid, signal.SIGKILL)
    await asyncio.to_thread(server.wait_status)
    server.forget_log()
    billing.down = True
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(wait_until, lambda: "is not told yet" in server.log, "the service is missed")
    billing.down = False
    await asyncio.to_thread(wait_until, lambda: all(billing.ended(call) for call in calls), "the ends are told")
    await asyncio.to_thread(wait_until, lambda: len(syslog.lines()) == before + 3, "the lines")
    for call in calls:
        record = await records(folder, call)
        assert (record["disposition"], record["account"]) == ("INTERRUPTED", "acme")
        ((id, told),) = billing.ended(call)
        assert (told["by"], told["call"], told["control"]) == ("crash", record["call"], "web")
        assert (
            told["used_seconds"] == pytest.approx(record["billable_ms"] / 1000, abs=0.01) and id == f"{told['call']}/web/ended/0"
        )
    assert len(billing.ended(over)) == 1
    assert {line[5] for line in syslog.lines()[before:]} == {"ANSWERED", "INTERRUPTED"}
    peer.close()
