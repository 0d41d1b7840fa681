# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes that are killed or stand still while phones call: everybody gets an answer, the log and readyz say what is wrong."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer

pytestmark = [pytest.mark.peers, pytest.mark.timeout(180)]

FILES = {"app_mapping.conf": "^sip:=>echo\n"}
PLUGINS = "monitoring;echo;xmlrpc2di;web"


def ready(server: Server) -> tuple[int, str]:
    """What /readyz says."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.web_port}/readyz", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it may have been replaced
            os.kill(pid, signal.SIGCONT)


async def finals(calls: list[PeerCall], patience_s: float) -> list[int]:
    """The final replies; each must be there within so long."""
    async with asyncio.timeout(patience_s):
        replies = [await call.next(*range(200, 700)) for call in calls]
    for call, reply in zip(calls, replies, strict=True):
        if reply.code < 300:
            call.ack()
        else:
            call.send_request("ACK", cseq=call.cseq, branch=call.branch)
        if reply.code == 503:
            assert reply.header("Retry-After"), "it says when to try again"
    return [reply.code for reply in replies]


async def works(server: Server, peer: UdpPeer) -> None:
    """A new call is answered and goes."""
    call = peer.invite()
    assert await finals([call], 40) == [200]
    assert await call.bye() == 200
    await asyncio.to_thread(wait_until, lambda: server.xml.calls() == 0, "no call is left")


async def test_invites_in_the_second_after_the_media_process_died_are_all_answered(tmp_path: Path) -> None:
    with Server(tmp_path, FILES, "", PLUGINS) as server:
        peer = await UdpPeer.open(server.sip_port)
        await works(server, peer)
        os.kill(server.children()["media"], signal.SIGKILL)
        calls = []
        for _ in range(20):
            calls.append(peer.invite())
            await asyncio.sleep(0.05)
        codes = await finals(calls, 20)
        assert 503 in codes and set(codes) <= {200, 503}, codes
        for call, code in zip(calls, codes, strict=True):
            if code == 200:
                assert await call.bye() == 200
        await asyncio.to_thread(wait_until, lambda: ready(server)[0] == 200, "it is ready again")
        await works(server, peer)
        peer.close()


@pytest.mark.parametrize("role", ["media", "sip"])
async def test_a_process_that_stands_still_is_noticed_and_goes_on(tmp_path: Path, role: str) -> None:
    with Server(tmp_path, FILES, "watchdog_time=0", PLUGINS) as server:
        peer = await UdpPeer.open(server.sip_port)
        await works(server, peer)
        pid = server.children()[role]
        with stopped(pid):
            await asyncio.to_thread(wait_until, lambda: ready(server)[0] == 503, "readyz says so")
            assert f"the {role} process does not answer" in ready(server)[1]
            said = re.compile(rf"the {role} process \(pid {pid}\) has not answered for [2-9] s")
            await asyncio.to_thread(wait_until, lambda: said.search(server.log), "the log too")
            if role == "media":
                assert await finals([peer.invite(), peer.invite()], 20) == [503, 503]
                options = await peer.exchange("OPTIONS")
                assert options.code == 503
        await asyncio.to_thread(wait_until, lambda: ready(server)[0] == 200, "it answers again")
        again = f"the {role} process (pid {pid}) answers again"
        await asyncio.to_thread(wait_until, lambda: again in server.log, "the log says so")
        assert server.children()[role] == pid
        await works(server, peer)
        peer.close()


async def test_a_hub_that_stands_still_answers_new_calls_with_503(tmp_path: Path) -> None:
    with Server(tmp_path, FILES, "", PLUGINS) as server:
        peer = await UdpPeer.open(server.sip_port)
        await works(server, peer)
        with stopped(server.pid):
            await asyncio.to_thread(wait_until, lambda: "the hub has been silent for" in server.log, "the SIP process says so")
            assert await finals([peer.invite(), peer.invite()], 20) == [503, 503]
        await asyncio.to_thread(wait_until, lambda: "the hub is there again" in server.log, "and that it is back")
        await works(server, peer)
        assert "is lost" not in server.log and "has not answered" not in server.log, "it blames nobody else"
        peer.close()


@pytest.mark.parametrize("role", ["media", "sip"])
async def test_a_process_that_stands_still_for_long_is_replaced(tmp_path: Path, role: str) -> None:
    with Server(tmp_path, FILES, "watchdog_time=4", PLUGINS) as server:
        peer = await UdpPeer.open(server.sip_port)
        up = [peer.invite() for _ in range(5)]
        assert await finals(up, 40) == [200] * 5
        pid = server.children()[role]
        with stopped(pid):
            await asyncio.to_thread(
                wait_until, lambda: server.children().get(role, pid) != pid and ready(server)[0] == 200, "another is there", 60
            )
        said = re.compile(rf"the {role} process \(pid {pid}\) has not answered for [4-9] s: it is replaced")
        await asyncio.to_thread(wait_until, lambda: said.search(server.log), "the log says when")
        if role == "media":
            await asyncio.gather(*(call.taken_off() for call in up))
        await asyncio.to_thread(wait_until, lambda: server.xml.calls() == 0, "the calls that it had are over")
        await works(server, peer)
        peer.close()
