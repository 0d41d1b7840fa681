# SPDX-License-Identifier: GPL-2.0-or-later
"""Diagrams without a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from di.calls.events import SystemEvent
from tests.support.dsm_server import server


def test_a_system_dsm(folder: Path) -> None:
    text = (
        "initial state S enter { registerEventQueue(clerk) }; state T; transition a S - startup / setTimer(3, 2) -> S;"
        "transition e S - event / { set($a=#a); playFile(x.wav) } -> T; transition x S - exception; test(#type==core) / stop() -> T;"
    )
    book = server(folder, {"t": text}, "run_system_dsms=t")
    book.run(3)
    assert "clerk" in book.services.queues
    assert book.invoke("dsm", "postDSMEvent", "clerk", [["a", "1"]]) == [200, "OK"]
    assert "clerk" not in book.services.queues


def test_the_end_of_the_server_reaches_calls_and_system_dsms(folder: Path) -> None:
    text = (
        'initial state S; transition e S - system(#type==ServerShutdown); test(@remote_uri == "") / stop() -> S;'
        "transition k S - system(#type==User1) / set($u=1) -> S;"
    )
    book = server(folder, {"t": text}, "run_system_dsms=t")
    session = book.up("app-t")
    systems = [name for name in book.services.queues._queues if name.startswith("SystemDSM_")]
    assert len(systems) == 1
    for kind in ("user1", "shutdown"):
        book.services.queues.broadcast(SystemEvent(kind))
        book.run()
    app: Any = session.app
    assert session.gone and app.machine.vars["u"] == "1"
    assert not [name for name in book.services.queues._queues if name.startswith("SystemDSM_")]
