# SPDX-License-Identifier: GPL-2.0-or-later
"""Voicemail's rows in a SQLite file with SEMS's tables: which greeting, which template, and what is said when they cannot be had."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path

import pytest

from di.apps.announcing.answers import AudioAnswers
from di.apps.announcing.audio_cache import AudioCache
from di.apps.announcing.database import AudioUnavailable, SqliteAudio
from di.apps.prompts import Asked
from di.apps.voicemail.rows import GreetingRows, read_rows, templates_of
from di.apps.voicemail.templates import VARIABLES, TemplateError, choose
from tests.support.bare_hub import HandClock

TEXT = "subject: {} %sender%\r\nto: %email%\r\nfrom: a@b.example\r\n\r\nText.\r\n"


@pytest.fixture
def source(tmp_path: Path) -> SqliteAudio:
    source = SqliteAudio(tmp_path / "audio.db")
    source.create()
    return source


def put(source: SqliteAudio, table: str, *values: object) -> None:
    places = ", ".join("?" for _ in values)
    with sqlite3.connect(source.path) as connection:
        connection.execute(f"INSERT INTO {table} VALUES ('voicemail', {places})", values)
    connection.close()


def test_a_users_row_then_the_domains_then_anybodys(source: SqliteAudio) -> None:
    put(source, "user_audio", "greeting_msg", "shop", "17", b"RIFF-user")
    put(source, "domain_audio", "greeting_msg", "shop", "de", b"RIFF-domain")
    put(source, "default_audio", "greeting_msg", "en", b"RIFF-all")
    put(source, "default_audio", "another_msg", "fr", b"RIFF-other")
    cache = AudioCache("rows-test")
    rows = GreetingRows(AudioAnswers(source, cache, HandClock(), 60, 3), "en")

    async def heard(domain: str, user: str, language: str) -> bytes | None:
        path = await rows.find(Asked(domain, user, language), "one")
        return path.read_bytes() if path is not None else None

    async def all_of_them() -> list[bytes | None]:
        return [
            await heard("shop", "17", "de"), await heard("Shop", "18", "de-AT"), await heard("shop", "18", "fr"), await heard("", "", ""),
        ]  # fmt: skip

    try:
        assert asyncio.run(all_of_them()) == [b"RIFF-user", b"RIFF-domain", b"RIFF-all", b"RIFF-all"]
    finally:
        rows.close()
        cache.close()


def test_a_database_that_is_away_is_said_and_the_files_stand_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gone = SqliteAudio(tmp_path / "none.db")
    rows = GreetingRows(AudioAnswers(gone, AudioCache("rows-test"), HandClock(), 60, 3), "en")
    with caplog.at_level(logging.ERROR):
        assert asyncio.run(rows.find(Asked("shop", "17", ""), "one")) is None
    [line] = caplog.messages
    assert line.startswith("call one: voicemail: greeted out of the files") and "none.db" in line


def test_templates_by_domain_and_language(source: SqliteAudio) -> None:
    for language, word in (("en", "Message"), ("de", "Nachricht")):
        put(source, "default_template", "email_tmpl", language, TEXT.format(word))
    put(source, "domain_template", "email_tmpl", "shop", "de", TEXT.format("Laden"))
    put(source, "default_template", "another", "fr", "no template at all")
    found = asyncio.run(read_rows(source, VARIABLES, "en", 3))
    assert sorted(found) == ["default", "default_de", "default_en", "shop_de"]

    def subject(did: str, language: str) -> str:
        values = {"sender": "Ben", "email": "a@b.example"}
        return choose(found, did, language).fill(values).subject

    assert [subject("shop", "de"), subject("other", "de-AT"), subject("shop", "fr")] == [
        "Laden Ben",
        "Nachricht Ben",
        "Message Ben",
    ]


def test_a_wrong_row_is_named() -> None:
    with pytest.raises(TemplateError, match="row for domain shop, language de: has no body"):
        templates_of([("shop", "de", "subject: x")], VARIABLES, "en")


def test_tables_that_are_missing(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").close()
    (tmp_path / "empty.db").touch()
    with pytest.raises(AudioUnavailable, match="no such table"):
        asyncio.run(read_rows(SqliteAudio(tmp_path / "empty.db"), VARIABLES, "en", 3))
