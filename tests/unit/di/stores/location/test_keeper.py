# SPDX-License-Identifier: GPL-2.0-or-later
"""Bindings on the disk are there for the next life; a file of an earlier version is read; what cannot be read costs itself alone."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from di.kernel.sqlite_thread import DatabaseFailed
from di.stores.location.book import UserBinding
from di.stores.location.keeper import SCHEMA, LocationKeeper

ONE = UserBinding(
    "a@h",
    "sip:a@192.0.2.1;ob",
    2e9,
    0.5,
    1e9,
    call_id="c",
    cseq=7,
    source_ip="::1",
    source_port=5,
    transport="tls",
    user_agent="x",
)
OTHER = UserBinding("b@h", "sip:b@192.0.2.2", 2e9)
EARLIER = (
    '{"aor": "a@h", "contact": "sip:a@192.0.2.1;ob", "expires_s": 2e9, "q": 0.5, "call_id": "c", "cseq": 7, "source_ip": "::1",'
    ' "source_port": 5, "transport": "tls", "user_agent": "x", "since_s": 1e9}'
)
"""As it was written while a binding had these fields of its own."""


def lives(path: Path, *changes: list[tuple[str, str, UserBinding | None]]) -> list[UserBinding]:
    """What a life finds in the file after one that wrote these changes, in so many steps."""

    async def work() -> list[UserBinding]:
        for step in (*changes, []):
            keeper = LocationKeeper(path)
            found = await keeper.open()
            for change in step:
                keeper.changed(*change)
            await keeper.written()
            await keeper.database.close()
        return sorted(found, key=lambda one: one.aor)

    return asyncio.run(work())


def test_what_was_registered_is_there_again_and_the_last_change_counts(tmp_path: Path) -> None:
    first = [("a@h", "k", OTHER), ("a@h", "k", None), ("a@h", "k", ONE), ("b@h", "k", OTHER)]
    assert lives(tmp_path / "l", first) == [ONE, OTHER]
    assert lives(tmp_path / "l", [("b@h", "k", ONE), ("b@h", "k", None), ("nobody@h", "k", None)]) == [ONE]


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wrong = ("[]", "{", "null", '{"aor": "b@h"}', json.dumps({**json.loads(EARLIER), "further": 1}))
    with sqlite3.connect(tmp_path / "l") as connection:
        connection.executescript(SCHEMA)
        rows = [("a@h", str(number), text) for number, text in enumerate((*wrong, EARLIER))]
        connection.executemany("INSERT INTO binding VALUES (?, ?, ?)", rows)
    connection.close()
    assert lives(tmp_path / "l") == [ONE]
    assert caplog.text.count("cannot be read and is passed over") == len(wrong)


def test_what_could_not_be_written_is_written_with_the_next(tmp_path: Path) -> None:
    async def work() -> None:
        keeper = LocationKeeper(tmp_path / "l")
        await keeper.open()
        await keeper.database.close()
        keeper.changed("a@h", "k", ONE)
        with pytest.raises(DatabaseFailed):
            await keeper.written()
        await keeper.open()
        keeper.changed("b@h", "k", OTHER)
        await keeper.written()
        await keeper.database.close()

    asyncio.run(work())
    assert lives(tmp_path / "l") == [ONE, OTHER]
