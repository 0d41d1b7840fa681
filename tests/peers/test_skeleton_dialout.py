# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls out, through the whole server, to sipp as the called party: into a room, with a password, refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp, find_sipp

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    find_sipp()
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


def status(server: Server, room: str, tag: str) -> tuple[int, str]:
    """Status and last reason of a participant."""
    found = {p[0]: (p[2], p[3]) for p in server.xml.roomInfo(room, "1")[2]}
    return found[tag]


@pytest.mark.parametrize("scenario", ["uas", "uas_early"])
def test_into_a_room_and_kicked_out_of_it(server: Server, scenario: str) -> None:
    room = f"room-{scenario}"
    with Sipp(scenario) as callee:
        place = f"127.0.0.1:{callee.local_port}"
        code, text, tag, _ = server.xml.di("webconference", "dialout", room, "1", "bob", "me", "here.example", "", "", "", place)
        assert (code, text) == (0, "OK")
        wait_until(lambda: status(server, room, tag) == (3, "200 OK"), "the callee is in the room")
        assert server.xml.listByFilter(["conf_id", room], ["dir", "out"]) == [tag]
        record = server.xml.get(tag)[0]
        assert record["ruri"] == f"sip:bob@{place}"
        assert record["app"] == "webconference"
        assert record["callid"]
        assert server.xml.kickout(room, "1", tag)[:2] == [0, "OK"]
        result = callee.wait()
        assert (result.successful, result.failed) == (1, 0), result.errors
    wait_until(lambda: status(server, room, tag) == (5, "disconnect"), "the room is told that he has gone")


def test_refused(server: Server) -> None:
    with Sipp("uas_refuse", replace={"CODE": "486"}) as callee:
        place = f"127.0.0.1:{callee.local_port}"
        tag = server.xml.di("webconference", "dialout", "room-busy", "1", "bob", "me", "here.example", "", "", "", place)[2]
        wait_until(lambda: status(server, "room-busy", tag)[0] == 5, "the call has failed")
        assert status(server, "room-busy", tag)[1].startswith("486 ")
        assert callee.wait().successful == 1
    wait_until(lambda: tag in server.xml.listFinished(), "the record is finished")


def test_with_credentials(server: Server) -> None:
    with Sipp("uas_digest", replace={"REALM": "here"}) as callee:
        place = f"127.0.0.1:{callee.local_port}"
        tag = server.xml.di("webconference", "dialout", "room-auth", "1", "bob", "me", "here", "alice", "secret", "", place)[2]
        wait_until(lambda: status(server, "room-auth", tag) == (3, "200 OK"), "the callee is in the room")
        assert server.json("core.hangup", tag) == [200, "OK"]
        result = callee.wait()
    assert (result.successful, result.failed) == (1, 0), result.errors
    assert "AUTH true" in result.log
    assert "secret" not in server.log


def test_dialled_for_the_echo(server: Server) -> None:
    with Sipp("uas") as callee:
        uri = f"sip:bob@127.0.0.1:{callee.local_port}"
        (tag,) = server.xml.di("di_dial", "dial", "echo", "bob", "sip:me@here.example", uri)
        wait_until(lambda: "rtag" in server.xml.get(tag)[0], "the called party has answered")
        assert server.xml.get(tag)[0]["from"] == "<sip:me@here.example>"
        server.json("core.hangup", tag)
        callee.wait()
    wait_until(lambda: tag in server.xml.listFinished(), "the record is finished")


def test_drained_server_calls_nobody(server: Server) -> None:
    server.xml.set_shutdownmode(True)
    try:
        assert server.xml.di("di_dial", "dial", "echo", "bob", "sip:me@here", "sip:bob@127.0.0.1:9") == ["<failed>"]
    finally:
        server.xml.set_shutdownmode(False)
