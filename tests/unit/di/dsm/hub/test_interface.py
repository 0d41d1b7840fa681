# SPDX-License-Identifier: GPL-2.0-or-later
"""What programs ask DSM for: its DI functions, names of parameters, live counts, the store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from di.calls.events import EventPosted
from di.dsm import PLUGIN
from di.kernel.errors import CallFailed, OutOfBounds, TypeMismatch
from tests.support.dsm_server import server
from tests.support.playbook import Playbook


def test_di_functions(folder: Path) -> None:
    book = server(folder, {"t": "initial state A;"})
    (folder / "dsm" / "u.dsm").write_text("initial state U;")
    assert book.invoke("dsm", "hasDSM", "t") == ["1"] and book.invoke("dsm", "hasDSM", "u") == ["0"]
    assert book.invoke("dsm", "loadDSM", "u")[0] == 200
    assert book.invoke("dsm", "loadDSM", "u")[0] == 400
    assert book.invoke("dsm", "loadDSM", "../u")[0] == 500
    assert book.invoke("dsm", "listDSMs") == ["t", "u"] and book.invoke("dsm", "listDSMs", "nope") == []
    assert book.invoke("dsm", "registerApplication", "u") == [200, "registered DSM application"]
    assert book.invoke("dsm", "registerApplication", "u")[0] == 500
    assert book.invoke("dsm", "registerApplication", "nope") == [400, "unknown application (DSM)"]
    assert book.up("app-u").attributes["dsm_state"] == "U"
    assert book.invoke("dsm", "preloadModule", "mod_utils", "") == [200, "module preloaded."]
    assert book.invoke("dsm", "preloadModule", "mod_nope", "")[0] == 500
    assert book.invoke("dsm", "preloadModules") == [200, "modules preloaded"]
    assert book.invoke("dsm", "createSystemDSM", "nope", "t") == [500, "Error: Script config 'nope' not found, in [main]"]
    with pytest.raises(TypeMismatch):
        book.invoke("dsm", "postDSMEvent", "x", [["a", 1]])
    with pytest.raises(OutOfBounds):
        book.invoke("dsm", "postDSMEvent", "x")


async def test_a_script_that_two_load_at_once_is_loaded_once_and_survives_a_reload_beside(folder: Path) -> None:
    book = server(folder, {"t": "initial state A;"})
    (folder / "dsm" / "u.dsm").write_text("initial state U;")
    call = book.services.registry.call
    both = await asyncio.gather(*(call("dsm", "loadDSM", ["u"]) for _ in range(2)))
    assert sorted(answer[0] for answer in both if isinstance(answer, list)) == [200, 400]  # type: ignore[type-var]
    reloaded, loaded = await asyncio.gather(call("dsm", "reloadDSMs", []), call("dsm", "loadDSM", ["u"]))
    assert [reloaded, loaded] == [[200, "DSMs reloaded"], [200, f"loaded u from {folder}/dsm/u.dsm"]]
    assert await call("dsm", "listDSMs", []) == ["t", "u"]


def test_parameter_names_are_the_callers_own(folder: Path) -> None:
    book = server(
        folder, {"t": "initial state A; transition e A - event(#kind==x); test(#self==y); test(#after==z) / set($ok=1) -> A;"}
    )
    session = book.up("app-t")
    app: Any = session.app
    book.invoke("dsm", "postDSMEvent", session.id, [["kind", "x"], ["self", "y"], ["after", "z"], ["params", ""], ["event", ""]])
    assert app.machine.vars["ok"] == "1"


def test_the_store_says_which_diagram(folder: Path) -> None:
    from di.stores.monitoring import PLUGIN as MONITORING

    (folder / "dsm" / "t.dsm").write_text("initial state A;")
    conf = "diag_path=dsm/\nload_diags=t\ninbound_start_diag=$(mon_select)\n"
    (folder / "dsm.conf").write_text(conf)
    book = Playbook(conf_dir=folder, mapping="^sip:=>dsm\n")
    book.load(MONITORING)
    book.load(PLUGIN, conf)
    assert book.answers(book.offer("bob")) == [500]
    book.invoke("monitoring", "set", "rec", "caller", "c", "callee", "bob", "app", "t", "appParams", {"color": "red"})
    app: Any = book.up("bob").app
    assert (app.machine.vars["color"], app.machine.vars["mon_session_record"]) == ("red", "rec")


def test_json_rpc_requests_and_other_posts(folder: Path) -> None:
    text = (
        "initial state A; transition j A - jsonRpcRequest(#method==m) / { set($a=#params.a[1]); set($n=#params.n) } -> A;"
        "transition b A - B2Bevent / set($b=#x) -> A;"
    )
    book = server(folder, {"t": text})
    session = book.up("app-t")
    app: Any = session.app
    session.post(EventPosted({"ev_type": "JsonRpcRequest", "method": "m"}, "jsonrpc", {"params": {"a": [1, True], "n": None}}))
    session.post(EventPosted({"ev_type": "JsonRpcConnection"}, "jsonrpc"))
    session.post(EventPosted({"x": "y"}, "b2b"))
    book.run()
    assert (app.machine.vars["a"], app.machine.vars["n"], app.machine.vars["b"]) == ("true", "null", "y")


def test_the_graph_has_live_counts(folder: Path) -> None:
    book = server(folder, {"t": "initial state A; state B; transition e A - event -> B;"})
    calls = [book.up("app-t") for _ in range(3)]
    book.invoke("dsm", "postDSMEvent", calls[0].id, [])
    assert [node["calls"] for node in book.invoke("dsm", "diagramGraph", "t")["nodes"]] == [2, 1]
    for call in calls:
        book.bye(call)
    assert [node["calls"] for node in book.invoke("dsm", "diagramGraph", "t")["nodes"]] == [0, 0]
    with pytest.raises(CallFailed):
        book.invoke("dsm", "diagramGraph", "nope")
