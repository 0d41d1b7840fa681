# SPDX-License-Identifier: GPL-2.0-or-later
"""Whoever may only read changes nothing: every function of the built-in role reader is called on a full server, before and after compared."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import struct
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

import interfaces.jsonrpc
import interfaces.web
import interfaces.xmlrpc2di
from di.access.rules import AccessRules
from di.apps.echo import PLUGIN as ECHO
from di.apps.webconference import PLUGIN as WEBCONFERENCE
from di.dsm import PLUGIN as DSM
from di.kernel.errors import DIError
from di.kernel.registry import Caller, Method
from di.modules.di_dial import PLUGIN as DI_DIAL
from di.modules.di_log import PLUGIN as DI_LOG
from di.modules.recordings import PLUGIN as RECORDINGS
from tests.support.playbook import Playbook
from tests.support.ports import free_port
from tests.support.state import state

CACHES = (
    ("_Order", "_sorted"), ("_Order", "_fresh"), ("_Order", "_runs"), ("_Order", "erased"),  # the order of ids, made when it is asked for
    ("Pictures", "_drawn"), ("RpcInterface", "_document"), ("RpcInterface", "_made_of"),
    ("StatusInterface", "_processes"),
)  # fmt: skip
FAR_AHEAD = struct.pack("@ll", 1 << 40, 0)
VALUES: dict[object, list[object]] = {
    str: ["room1", "nobody", "open", "k", "t", "12", ""],
    int: [0, 1, 1 << 40],
    bool: [False, True],
    list: [[], [["k", "v"]], [["k", None]]],
    dict: [{}],
    float: [1.0],
    bytes: [FAR_AHEAD],
}
REST: list[list[object]] = [[], [60], [FAR_AHEAD] * 3, [1, FAR_AHEAD], ["room1", "12"]]
MOST_CALLS = 400


def arguments(method: Method, ids: list[str]) -> list[list[object]]:
    """What to call a function with: everything that its types take, of a few values each."""
    if method.raw:
        return [[], [["k", "v"]], [["k", None]], [["k", "v"], "no pair"]]
    pools = [[*ids, *VALUES[str]] if p.type is str else VALUES.get(p.type, [None, {}, [], "room1"]) for p in method.parameters]
    calls = [list(call) for call in itertools.islice(itertools.product(*pools), MOST_CALLS)]
    return [[*call, *more] for call in calls for more in (REST if method.rest else [[]])]


@contextlib.asynccontextmanager
async def full_server(folder: Path) -> AsyncIterator[tuple[Playbook, list[str]]]:
    """Calls in rooms, a script's call, records, samples, rooms with and without pin and people, one that is over."""
    (folder / "dsm").mkdir()
    (folder / "dsm" / "t.dsm").write_text("initial state A; state B; transition e A - event -> B;")
    (folder / "dsm.conf").write_text("diag_path=dsm/\nload_diags=t\nregister_apps=t\n")
    book = Playbook(conf_dir=folder).with_monitoring()
    book.load(WEBCONFERENCE, "master_password=12\ndirect_room_re=room.*\n")
    for plugin in (ECHO, DI_DIAL, DI_LOG):
        book.load(plugin)
    book.load(DSM, (folder / "dsm.conf").read_text())
    closers = [
        await interfaces.xmlrpc2di.PLUGIN.start(book.services, interfaces.xmlrpc2di.PLUGIN.options(run_server=False)),
        await interfaces.jsonrpc.PLUGIN.start(book.services, interfaces.jsonrpc.PLUGIN.options(jsonrpc_port=free_port())),
        await interfaces.web.PLUGIN.start(book.services, interfaces.web.PLUGIN.options(port=free_port())),
    ]
    calls = [book.up(user) for user in ("room1", "room1", "app-t", "echo")]
    for number in range(20):
        book.invoke("monitoring", "log", f"id{number}", "k", "v" if number % 2 else number)
        book.invoke("monitoring", "addSample", f"id{number}", "k", 2)
    book.invoke("monitoring", "markFinished", "id3")
    book.invoke("monitoring", "setExpiration", "id4", 1 << 33)
    book.invoke("webconference", "roomCreate", "closed", 0)
    book.invoke("webconference", "addParticipant", "open", "p1", "12")
    book.invoke("webconference", "roomCreate", "short", 1)
    book.invoke("core", "hangup", calls[3].id)
    book.run(3)
    book.media.finishes = True
    tasks: list[object] = []
    book.sessions.spawn = lambda work: tasks.append(asyncio.ensure_future(work))  # type: ignore[method-assign]
    closers.append(book.load(RECORDINGS, f"folder={folder / 'kept'}\nmin_free_mb=0\n"))
    await book.services.registry.call("recordings", "startRoom", ["room1", "both"])
    ids = [calls[0].id, calls[2].id, "id1", "id3"]
    try:
        yield book, ids
    finally:
        for closer in reversed(closers):
            outcome = closer()
            if isinstance(outcome, Awaitable):
                await outcome


async def ask(book: Playbook, method: Method, call: list[object]) -> None:
    """Call it on a reader's behalf and let happen what that sets off."""

    def allows(module: str, name: str) -> bool:
        found = book.services.registry.find(module, name)
        return AccessRules().allows(("reader",), module, name, found.changes, found.dangerous)

    try:
        answer = book.services.registry.invoke(method.module, method.name, call, Caller("r", "test", "192.0.2.1", allows, allows))
        if inspect.isawaitable(answer):
            await answer
    except DIError:
        pass
    book.run()


def known(book: Playbook) -> list[str]:
    targets = {
        f"{interface.name}": getattr(method.function, "__self__", None)
        for interface in book.services.registry.interfaces()
        for method in itertools.islice(interface.methods.values(), 1)
    }
    return state({"services": book.services, "media": book.media, "sip": book.sip.commands, **targets}, CACHES)


async def test_what_a_reader_may_call_changes_nothing(tmp_path: Path) -> None:
    async with full_server(tmp_path) as (book, ids):
        methods = [
            m
            for interface in book.services.registry.interfaces()
            for m in interface.methods.values()
            if not m.changes and not m.dangerous
        ]
        assert len(methods) > 45
        changed: dict[str, list[str]] = {}
        before = known(book)
        assert len(before) > 500, "the comparison sees something"
        for method in methods:
            for call in arguments(method, ids):
                await ask(book, method, call)
            after = known(book)
            if after != before:
                changed[method.full_name] = sorted({*before} ^ {*after})[:10]
                before = after
        assert changed == {}


@pytest.mark.parametrize(
    ("module", "function", "call"),
    [
        ("webconference", "roomInfo", ["nobody", "1"]),
        ("webconference", "roomInfo", ["open", "1"]),
        ("core", "get_callsmax", []),
        ("core", "get_callsavg", []),
        ("monitoring", "log", ["new", "k", 1]),
        ("monitoring", "addSample", ["id1", "k"]),
        ("dsm", "postDSMEvent", ["CALL", []]),
    ],
)
async def test_the_comparison_sees_what_others_change(tmp_path: Path, module: str, function: str, call: list[object]) -> None:
    async with full_server(tmp_path) as (book, ids):
        before = known(book)
        book.invoke(module, function, *(ids[1] if value == "CALL" else value for value in call))
        assert known(book) != before
