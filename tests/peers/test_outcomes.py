# SPDX-License-Identifier: GPL-2.0-or-later
"""What callees do to a call of ours, each a sipp scenario against the whole server, and what the function answers (docs/dialling.md)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.server import Server, wait_until
from tests.support.sip_peer import UdpPeer, description
from tests.support.sipp import Sipp, find_sipp

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    find_sipp()
    with Server(tmp_path_factory.mktemp("server"), None, "", "monitoring;echo;di_dial;xmlrpc2di;web") as running:
        yield running
    assert "Traceback" not in running.log and "secret" not in running.log, running.log


def dial(server: Server, callee: Sipp, ring_s: int = 60) -> dict[str, Any]:
    uri = f"sip:bob@127.0.0.1:{callee.local_port}"
    return dict(server.json("core.dial_and_wait", "echo", "bob", uri, "sip:me@h.example", ring_s))


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("uas", ""),
        ("uas_early", ""),
        ("uas_reliable", "PRACK 7 "),
        ("uas_interval", "INTERVAL 2"),
        ("uas_updates", "UPDATE a=recvonly"),
    ],
)
def test_answered(server: Server, scenario: str, said: str) -> None:
    with Sipp(scenario) as callee:
        answer = dial(server, callee)
        assert (answer["result"], answer["code"]) == ("answered", 200)
        wait_until(lambda: said in callee.logged, said)
        assert server.json("core.hangup", answer["call"]) == [200, "OK"]
        result = callee.wait()
    assert (result.successful, result.failed) == (1, 0), result.errors + result.messages[-3000:]
    assert said in result.log


@pytest.mark.parametrize(
    ("code", "result"),
    [("486", "busy"), ("480", "no_answer"), ("603", "rejected"), ("404", "unreachable"), ("302", "redirected")],
)
def test_refused(server: Server, code: str, result: str) -> None:
    with Sipp("uas_refuse", replace={"CODE": code}) as callee:
        answer = dial(server, callee)
        assert (answer["result"], answer["code"]) == (result, int(code))
        assert callee.wait().successful == 1


def test_nobody_takes_it(server: Server) -> None:
    with Sipp("uas_rings") as callee:
        answer = dial(server, callee, 1)
        assert (answer["result"], answer["code"]) == ("no_answer", 408)
        assert callee.wait().successful == 1


def test_an_old_nonce(server: Server) -> None:
    with Sipp("uas_stale") as callee:
        uri = f"sip:bob@127.0.0.1:{callee.local_port}"
        (id,) = server.json("di_dial.dial_auth", "echo", "u", "sip:me@h.example", uri, "here", "user", "secret")
        wait_until(lambda: server.xml.di("monitoring", "get", id)[0].get("result"), "the call is answered")
        assert server.xml.di("monitoring", "get", id)[0]["result"] == "answered"
        server.json("core.hangup", id)
        result = callee.wait()
    assert (result.successful, result.failed) == (1, 0), result.errors


def test_we_hang_up_while_it_rings(server: Server) -> None:
    with Sipp("uas_rings") as callee:
        answers: list[dict[str, Any]] = []
        waiting = threading.Thread(target=lambda: answers.append(dial(server, callee)))
        waiting.start()
        (id,) = wait_until(
            lambda: server.xml.listByFilter(["app", "echo"], ["ruri", f"sip:bob@127.0.0.1:{callee.local_port}"]), "it rings"
        )
        wait_until(lambda: "180 Ringing" in callee.messages, "it rings")
        server.json("core.hangup", id)
        waiting.join(30)
        assert answers[0]["result"] == "cancelled"
        assert callee.wait().successful == 1


async def test_a_lost_ack_is_sent_again(server: Server) -> None:
    """sipp takes a second ACK for a retransmission of the first one, so here the steps are taken by hand (RFC 3261 §13.2.2.4)."""
    peer = await UdpPeer.open(server.sip_port)
    uri = f"sip:bob@127.0.0.1:{peer.port}"
    await asyncio.to_thread(server.json, "core.dialout", "echo", "bob", uri, "sip:me@h.example")
    call = await peer.take_invite()
    assert call.invite_message is not None
    for _ in range(3):
        call.reply(call.invite_message, 200, description(40000))
        ack = await call.next("ACK")
        assert ack.header("CSeq").split()[0] == call.invite_message.header("CSeq").split()[0]
    assert await call.bye() == 200
    peer.close()
