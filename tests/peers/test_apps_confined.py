# SPDX-License-Identifier: GPL-2.0-or-later
"""What processes of Python applications may not: another user's files, further rights, memory and calls without end."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import ROOT, Server, wait_until
from tests.support.switchboard import Switchboard
from tests.support.usage import resident_kb

pytestmark = pytest.mark.peers

ROOTS = os.geteuid() == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("confined")
    with tempfile.TemporaryDirectory(prefix="apps-") as scripts:  # one that another user can reach
        os.chmod(scripts, 0o755)
        shutil.copy(ROOT / "tests" / "support" / "python_apps" / "confined.py", scripts)
        user = "user=nobody\n" if ROOTS else ""
        conf = f"script_path={scripts}\nmax_calls=2\nmemory_mb=256\nopen_files=100\nfile_mb=3\nnice=7\nsilent_after=30\nkill_after=60\n{user}"
        files = {"apps.conf": conf, "app_mapping.conf": "^sip:confined=>confined\n", "secret.txt": "x" * 50}
        with Server(folder, files, plugins="monitoring;echo;apps;xmlrpc2di;web") as running:
            (running.etc / "secret.txt").chmod(0o600)
            yield running
        assert "Traceback" not in "\n".join(line for line in running.log.splitlines() if " confined: " not in line)


def test_it_is_another_user_without_a_way_to_more_rights(server: Server) -> None:
    rights = server.json("confined.rights", str(server.etc / "secret.txt"))
    assert (rights["no_new_privs"], rights["files"], rights["core"], rights["nice"]) == ("1", "100", "0", "7")
    if ROOTS:
        assert rights["uid"] != "0" and rights["groups"] == "" and int(rights["effective"], 16) == 0
        assert rights["read"] == "PermissionError"


def test_a_file_that_grows_ends(server: Server, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="apps-") as folder:
        os.chmod(folder, 0o777)
        assert server.json("confined.write", f"{folder}/short", 2) == "written"
        assert server.json("confined.write", f"{folder}/long", 9) == "OSError"
        assert Path(folder, "long").stat().st_size <= 3 << 20


async def test_more_calls_than_it_may_have_are_told_to_come_again(board: Switchboard, server: Server) -> None:
    phone = await board.phone()
    calls = [phone.invite(user="confined") for _ in range(2)]
    for call in calls:
        await phone.answered(call)
    refused = await phone.answered(phone.invite(user="confined"), 503)
    assert refused.header("Retry-After") == "5"
    assert await calls[0].bye() == 200
    await asyncio.to_thread(wait_until, lambda: len(server.json("apps.calls", "confined")) == 1, "one has gone")
    again = phone.invite(user="confined")
    await phone.answered(again)
    for call in (again, calls[1]):
        assert await call.bye() == 200


async def test_memory_without_end_costs_the_call_that_takes_it(board: Switchboard, server: Server) -> None:
    phone = await board.phone()
    good, leaking = phone.invite(user="confined"), phone.invite(user="confined-leak")
    await phone.answered(good)
    await phone.answered(leaking)
    await leaking.next("BYE", patience_s=60)
    await asyncio.to_thread(wait_until, lambda: "MemoryError" in server.log, "it is said")
    assert resident_kb(server.json("apps.workers", "confined")[0]["pid"]) < 300_000
    assert await good.request("OPTIONS") in (200, 501)
    assert await good.bye() == 200


async def test_a_user_who_is_not_there_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    files = {"apps.conf": f"script_path={tmp_path}/scripts\nuser=nobody-of-that-name\n"}
    server = Server(tmp_path, files, plugins="monitoring;apps;xmlrpc2di", start=False)
    server.launch()
    await asyncio.to_thread(wait_until, lambda: server.status is not None, "it has refused")
    assert "there is no user 'nobody-of-that-name'" in server.log
    server.end()
