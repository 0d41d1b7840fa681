# SPDX-License-Identifier: GPL-2.0-or-later
"""The question to the tables: which candidates, in which order, and that no value can end its literal. SQLite answers here."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.apps.announcing.database import (
    AudioQuery,
    AudioUnavailable,
    SqliteAudio,
    SqlitePlace,
    candidates_in_tables,
    mysql_literal,
    parse_database,
    statement,
)
from di.stores.mysql_target import MysqlTarget

ROWS = {
    "user_audio": [("early_announce", "greeting_msg", "a.example", "anna", b"RIFF anna")],
    "domain_audio": [
        ("early_announce", "greeting_msg", "a.example", "de", b"RIFF a de"),
        ("early_announce", "greeting_msg", "a.example", "en", b"RIFF a en"),
        ("other", "greeting_msg", "b.example", "de", b"RIFF of another application"),
    ],
    "default_audio": [
        ("early_announce", "greeting_msg", "de", b"RIFF de"),
        ("early_announce", "greeting_msg", "en", b"RIFF en"),
        ("early_announce", "x' OR '1'='1", "en", b"RIFF quoted"),
    ],
}


@pytest.fixture
def source(tmp_path: Path) -> SqliteAudio:
    found = SqliteAudio(tmp_path / "db" / "audio.db")
    found.create()
    with sqlite3.connect(found.path) as connection:
        for table, rows in ROWS.items():
            for row in rows:
                connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    return found


def query(domain: str = "", user: str = "", *languages: str, message: str = "greeting_msg") -> AudioQuery:
    return AudioQuery("early_announce", message, domain, user, languages or ("en",))


@pytest.mark.parametrize(
    ("wanted", "audio"),
    [
        (query("a.example", "anna", "de", "en"), b"RIFF anna"),
        (query("a.example", "ben", "de", "en"), b"RIFF a de"),
        (query("a.example", "ben"), b"RIFF a en"),
        (query("a.example", "ben", "fr", "en"), b"RIFF a en"),
        (query("b.example", "anna", "de", "en"), b"RIFF de"),
        (query("b.example", "anna", "fr", "en"), b"RIFF en"),
        (query("b.example", "anna", "fr"), None),
        (query("", "", "de"), b"RIFF de"),
        (query(message="none"), None),
        (query(message="x' OR '1'='1"), b"RIFF quoted"),
        (query("a.example' OR 1=1 --", "x"), b"RIFF en"),
    ],
)
async def test_the_best_row(source: SqliteAudio, wanted: AudioQuery, audio: bytes | None) -> None:
    assert await source.fetch(wanted) == audio


def test_the_order() -> None:
    assert [
        (table, dict(columns).get("language", ""))
        for table, columns in candidates_in_tables(query("d", "u", "de-AT", "de", "en"))
    ] == [
        ("user_audio", ""),
        ("domain_audio", "de-AT"),
        ("domain_audio", "de"),
        ("domain_audio", "en"),
        ("default_audio", "de-AT"),
        ("default_audio", "de"),
        ("default_audio", "en"),
    ]


async def test_a_database_that_is_none(tmp_path: Path, source: SqliteAudio) -> None:
    with pytest.raises(AudioUnavailable, match=r"none\.db"):
        await SqliteAudio(tmp_path / "none.db").fetch(query())
    assert not (tmp_path / "none.db").exists(), "asking makes no file"
    (tmp_path / "text.db").write_text("this is no database, but it is long enough to be looked at as one " * 20)
    with pytest.raises(AudioUnavailable, match=r"text\.db"):
        await SqliteAudio(tmp_path / "text.db").fetch(query())
    with sqlite3.connect(source.path) as connection:
        connection.execute("DROP TABLE user_audio")
    with pytest.raises(AudioUnavailable, match="user_audio"):
        await source.fetch(query("d", "u"))


@given(st.text())
def test_no_value_ends_its_literal(text: str) -> None:
    literal = mysql_literal(text)
    assert literal.startswith("_utf8mb4 X'") and literal.count("'") == 2 and set(literal[11:-1]) <= set("0123456789abcdef")
    assert text.encode("utf-8", "replace").hex() in statement(query("d", text), mysql_literal)


def test_the_key() -> None:
    assert parse_database("") is None
    assert parse_database("sqlite:audio.db") == SqlitePlace("audio.db")
    assert parse_database("mysql://me:p@w/x@db.example:3307/sems") == MysqlTarget("me", "p@w/x", "db.example", 3307, "sems")
    for wrong in ("sqlite:", "postgres://x/y", "audio.db"):
        with pytest.raises(ValueError, match="right is"):
            parse_database(wrong)
