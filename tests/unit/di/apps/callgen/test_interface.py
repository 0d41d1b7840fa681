# SPDX-License-Identifier: GPL-2.0-or-later
"""The functions of the load generator, and what its calls do; no network."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from di.apps.callgen import PLUGIN
from di.kernel.errors import ConfigError, OutOfBounds
from di.kernel.server_options import CoreOptions
from di.server.plugin import find
from di.sip import records as sip
from di.spoken.tones import write
from tests.support.playbook import Playbook

ORDER = (0, 0, "room", "127.0.0.1:5060", 2, 3, 10, 0)


def generator(tmp_path: Path, **core: Any) -> Playbook:
    for name in ("default", *(f"digits/{key}" for key in (*"0123456789", "s", "p"))):
        write(tmp_path / f"{name}.wav", ((1000, 20),))
    book = Playbook(replace(CoreOptions(), **core), conf_dir=tmp_path).with_monitoring()
    book.load(PLUGIN, "digits_dir=digits/\ncalls_per_second=1000\n")
    return book


def status(book: Playbook) -> dict[str, Any]:
    found = book.invoke("callgen", "status")
    assert isinstance(found, dict)
    return found


def test_a_target_is_called_says_its_digits_plays_and_hangs_up(tmp_path: Path) -> None:
    book = generator(tmp_path)
    assert book.invoke("call_gen", "setTarget", 5, *ORDER, 100) is None
    book.run(1)
    calls = list(book.sessions)
    assert len(calls) == 5 and status(book)["active"] == 5
    uris = {session.info.request_uri for session in calls}
    assert all(uri.startswith("sip:room") and len(uri) == len("sip:room00@127.0.0.1:5060") for uri in uris) and len(uris) > 1
    assert book.sip.of(sip.Dial, calls[0].call)[0].from_uri == "<sip:callgen@callgen.example.net>"
    book.confirm(calls[0].call)
    played = book.media.files(calls[0].leg)
    assert len(played) == 5 and played[3:] == ["p", "default"] and "".join(played[:3]).isdigit()
    assert book.invoke("monitoring", "get", calls[0].id)[0]["callgen_digits"] == "".join(played[:3]) + "#"
    book.invoke("callgen", "setTarget", 0, *ORDER)
    book.run(9.5)
    assert len(book.sessions) == 5
    book.run(1)
    assert len(book.sessions) == 4 and status(book)["results"] == {"answered": 1}
    book.fail(calls[1].call, 486)
    assert status(book)["results"] == {"answered": 1, "busy": 1}
    assert book.invoke("callgen", "callGenStats") == [
        "CallGen statistics: \n 3 active calls\n 0 current target\n 0 scheduled\n 5 total calls\n "
    ]
    assert book.invoke("callgen", "stop") == [0, "OK"]
    assert len(book.sessions) == 0 and status(book)["active"] == 0


def test_scheduled_calls(tmp_path: Path) -> None:
    book = generator(tmp_path)
    assert book.invoke("callgen", "scheduleCalls", 6, *ORDER, 2) is None
    book.run(1)
    assert status(book)["scheduled"] in (3, 4)
    book.run(3)
    assert status(book)["scheduled"] == 0 and len(book.sessions) == 6


async def test_create_calls_answers_when_all_are_placed(tmp_path: Path) -> None:
    book = generator(tmp_path, dialout_limit=3)

    async def create(count: int) -> Any:
        task = asyncio.ensure_future(book.services.registry.call("callgen", "createCalls", [count, 1, *ORDER[1:]]))
        for _ in range(400):
            if task.done():
                break
            book.run(0.05)
            await asyncio.sleep(0)
        return await task

    assert await create(0) == [0, "OK"]
    assert await create(3) == [0, "OK"] and len(book.sessions) == 3
    assert await create(2) == [1, "2 of 2 calls could not be placed; the log says why"]


@pytest.mark.parametrize(
    "arguments",
    [
        (-1, *ORDER),
        (1, -1, *ORDER[1:]),
        (10**7, *ORDER),
        (1, 0, 0, "a b", "h", 0, 0, 0, 0),
        (1, 0, 0, "a", "h\r\nX: y", 0, 0, 0, 0),
        (1, 0, 0, "a", "h?Route=x", 0, 0, 0, 0),
        (1, 0, 0, "a@evil", "h", 0, 0, 0, 0),
        (1, 0, 0, "a", "h", 31, 0, 0, 0),
        (1, 0, 0, "a", "h", 0, 0, 10**7, 0),
        (1, *ORDER, 0),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, arguments: tuple[Any, ...]) -> None:
    book = generator(tmp_path)
    with pytest.raises(OutOfBounds):
        book.invoke("callgen", "setTarget", *arguments)


def test_calls_in_are_declined_and_both_names_are_one_plug_in(tmp_path: Path) -> None:
    book = generator(tmp_path)
    assert book.answers(book.offer("app-callgen")) == [603]
    assert [plugin.name for plugin in find(["callgen", "call_gen"], "f", 1)] == ["callgen", "callgen"]
    with pytest.raises(ConfigError, match="play_file"):
        Playbook(conf_dir=tmp_path).load(PLUGIN, "play_file=none.wav\n")
