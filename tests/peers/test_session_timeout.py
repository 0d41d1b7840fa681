# SPDX-License-Identifier: GPL-2.0-or-later
"""Callers that promise to refresh their call and do not (RFC 4028 §10), by sipp: the SIP process tells, the diagram decides."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from di.sip.records import CallEnded, Hangup, SessionTimedOut
from tests.support.server import Server, wait_until
from tests.support.sip_process import FAST_CLOCK, SipProcess
from tests.support.sipp import Sipp, run_sipp

pytestmark = pytest.mark.peers


async def test_hub_is_told_and_hangs_up() -> None:
    process = await SipProcess.start(program=FAST_CLOCK)
    running = asyncio.create_task(
        asyncio.to_thread(run_sipp, "session_timer", process.port, calls=3, replace={"PATIENCE": "30000"})
    )
    told = await process.wait_for(SessionTimedOut, 3)
    assert {record.call for record in told} == {1, 3, 5} and not process.of(CallEnded)
    for record in told:
        process.send(Hangup(record.call))
    result = await running
    assert (result.successful, result.failed) == (3, 0) and "KEPT" not in result.log, result.errors
    assert {(ended.code, ended.by) for ended in await process.wait_for(CallEnded, 3)} == {(200, "local")}
    assert await process.stop(0) == 0 and "Traceback" not in process.log, process.log


SCRIPT = """
import(mod_monitoring);
initial state A;
state DONE;
transition "told" A - sessionTimeout / { monitoring.log(told, "yes"); KEEP } -> A;
transition "gone" A - hangup / stop(false) -> DONE;
"""


@pytest.mark.timeout(200)
@pytest.mark.skipif(not os.environ.get("CORDBOARD_LONG"), reason="60 s of silence: set CORDBOARD_LONG=1")
def test_diagram_decides(tmp_path: Path) -> None:
    """At the real pace: one diagram lets the default end its call, the other keeps it; the SIP stack's own timer stays still."""
    files = {
        "app_mapping.conf": "^sip:keep@=>keep\n^sip:=>leave\n",
        "dsm.conf": "diag_path=dsm/\nload_diags=keep,leave\nregister_apps=keep,leave\n",
        "dsm/keep.dsm": SCRIPT.replace("KEEP", "set(#processed=true);"),
        "dsm/leave.dsm": SCRIPT.replace("KEEP", ""),
    }
    with Server(tmp_path, files, settings="dead_rtp_time=0", plugins="monitoring;dsm;xmlrpc2di;web") as server:
        options = {"replace": {"PATIENCE": "80000"}, "timeout_s": 120}
        keep, leave = (Sipp("session_timer", server.sip_port, user=user, **options) for user in ("keep", "leave"))  # type: ignore[arg-type]
        wait_until(lambda: len(server.xml.listByFilter(["told", "yes"])) == 2, "both diagrams are told", 90)
        results = [sipp.wait() for sipp in (keep, leave)]
        wait_until(lambda: server.xml.calls() == 0, "both calls are gone")
    assert [(result.successful, result.failed) for result in results] == [(1, 0), (1, 0)], [result.errors for result in results]
    assert ["KEPT" in result.log for result in results] == [True, False]
