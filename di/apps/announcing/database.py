# SPDX-License-Identifier: GPL-2.0-or-later
"""Audio in the tables that SEMS's applications use: a user's, else a domain's by language, else anybody's by language.

    user_audio    application message domain userid   audio
    domain_audio  application message domain language audio
    default_audio application message language        audio

and voicemail's templates likewise: domain_template, default_template.

One statement asks for all candidates and the best row comes back. MariaDB and MySQL: `mysql_audio`; a SQLite file is
opened for each question, read only, in a thread. No part of it holds up the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from di.stores.mysql_target import MysqlTarget, parse_url

SCHEMA = """
CREATE TABLE IF NOT EXISTS default_audio (
  application VARCHAR(32) NOT NULL, message VARCHAR(32) NOT NULL, language VARCHAR(16) NOT NULL DEFAULT 'en',
  audio MEDIUMBLOB NOT NULL, PRIMARY KEY (application, message, language));
CREATE TABLE IF NOT EXISTS domain_audio (
  application VARCHAR(32) NOT NULL, message VARCHAR(32) NOT NULL, domain VARCHAR(128) NOT NULL,
  language VARCHAR(16) NOT NULL DEFAULT 'en',
  audio MEDIUMBLOB NOT NULL, PRIMARY KEY (application, message, domain, language));
CREATE TABLE IF NOT EXISTS user_audio (
  application VARCHAR(32) NOT NULL, message VARCHAR(32) NOT NULL, domain VARCHAR(128) NOT NULL, userid VARCHAR(64) NOT NULL,
  audio MEDIUMBLOB NOT NULL, PRIMARY KEY (application, message, domain, userid));
CREATE TABLE IF NOT EXISTS default_template (
  application VARCHAR(32) NOT NULL, message VARCHAR(32) NOT NULL, language VARCHAR(16) NOT NULL DEFAULT 'en',
  template TEXT NOT NULL, PRIMARY KEY (application, message, language));
CREATE TABLE IF NOT EXISTS domain_template (
  application VARCHAR(32) NOT NULL, message VARCHAR(32) NOT NULL, domain VARCHAR(128) NOT NULL,
  language VARCHAR(16) NOT NULL DEFAULT 'en',
  template TEXT NOT NULL, PRIMARY KEY (application, message, domain, language));
"""
"""Tables with SEMS's columns but the row numbers, which nobody reads; SQLite takes it as it stands, and so does MariaDB."""

_BUSY_S = 2.0


class AudioUnavailable(Exception):
    """The database cannot be asked; the text says which and why."""


@dataclass(frozen=True, slots=True)
class SqlitePlace:
    """A SQLite file; relative ones are taken from the configuration's folder."""

    path: str


@dataclass(frozen=True, slots=True)
class AudioQuery:
    """For whom audio is wanted. `languages`: the wanted ones, the best first."""

    application: str
    message: str
    domain: str
    user: str
    languages: tuple[str, ...]


class AudioSource(Protocol):
    """A database that can be asked."""

    async def fetch(self, query: AudioQuery) -> bytes | None:
        """The best row's audio, None without one. Raises AudioUnavailable."""

    async def rows(self, text: str) -> list[tuple[str, ...]]:
        """What a statement of ours answers, NULL as an empty text. Raises AudioUnavailable."""

    def close(self) -> None:
        """Give connections back."""


def parse_database(text: str) -> MysqlTarget | SqlitePlace | None:
    """Read the key `database`. Raises ValueError."""
    if not text:
        return None
    if text.startswith("sqlite:") and len(text) > len("sqlite:"):
        return SqlitePlace(text.removeprefix("sqlite:"))
    target = parse_url(text)
    if target is None:
        raise ValueError("right is sqlite:FILE or mysql://user:password@host[:port]/database")
    return target


# --------------------------------------------------------------------------------------------------------------- the question
def candidates_in_tables(query: AudioQuery) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """(table, (column, value)…) from the best candidate to the last."""
    message = (("application", query.application), ("message", query.message))
    if query.domain and query.user:
        yield "user_audio", (*message, ("domain", query.domain), ("userid", query.user))
    for language in query.languages if query.domain else ():
        yield "domain_audio", (*message, ("domain", query.domain), ("language", language))
    for language in query.languages:
        yield "default_audio", (*message, ("language", language))


def statement(query: AudioQuery, value: Callable[[str], str]) -> str:
    """One statement for all candidates. `value` writes a value into it, as a literal or as a place for one."""
    parts = [
        f"SELECT {place} AS place, audio FROM {table} WHERE "
        + " AND ".join(f"{column} = {value(text)}" for column, text in columns)
        for place, (table, columns) in enumerate(candidates_in_tables(query))
    ]
    return " UNION ALL ".join(parts) + " ORDER BY place LIMIT 1"


def mysql_literal(text: str) -> str:
    """A value as MySQL's literal in hexadecimal: nothing in it can end it, whatever the server's mode."""
    return f"_utf8mb4 X'{text.encode('utf-8', 'replace').hex()}'"


# ---------------------------------------------------------------------------------------------------------------- who is asked
class SqliteAudio:
    """A SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Make the file with empty tables where there is none. Raises OSError, sqlite3.Error."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        with contextlib.closing(sqlite3.connect(self.path, timeout=_BUSY_S)) as connection:
            connection.executescript(SCHEMA)

    async def fetch(self, query: AudioQuery) -> bytes | None:
        """As AudioSource."""
        return await asyncio.to_thread(self._fetch, query)

    def _fetch(self, query: AudioQuery) -> bytes | None:
        values: list[str] = []

        def place(text: str) -> str:
            values.append(text)
            return "?"

        rows = self._execute(statement(query, place), values)
        audio = rows[0][1] if rows else None
        return audio if isinstance(audio, bytes) else None

    async def rows(self, text: str) -> list[tuple[str, ...]]:
        """As AudioSource."""
        return [
            tuple("" if value is None else str(value) for value in row) for row in await asyncio.to_thread(self._execute, text)
        ]

    def _execute(self, text: str, values: Sequence[str] = ()) -> list[tuple[object, ...]]:
        try:
            with contextlib.closing(
                sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
            ) as connection:
                return connection.execute(text, values).fetchall()
        except sqlite3.Error as error:
            raise AudioUnavailable(f"{self.path}: {error}") from error

    def close(self) -> None:
        """As AudioSource."""
