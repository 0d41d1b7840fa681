# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration keys of audio: of all applications with announcements (spec applications.md §16, §17), and of all that look in a database."""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.announcing.database import SqlitePlace, parse_database
from di.apps.api import option
from di.stores.mysql_target import MysqlTarget


@dataclass(frozen=True)
class DatabaseKeys:
    """Which database has audio. `use_mysql` and `mysql_…` are SEMS's keys; `database` says the same in one line, and knows SQLite."""

    database: MysqlTarget | SqlitePlace | None = option(
        None,
        help="sqlite:FILE or mysql://user:password@host[:port]/db: look there first. Empty: files only.",
        parse=parse_database,
        secret=True,
    )
    use_mysql: bool = option(False, help="Look in the MySQL or MariaDB of the mysql_ keys first.")
    mysql_server: str = option("localhost", help="Host of the database, with :port if it is not 3306.")
    mysql_host: str = option("", help="The same, by the name that SEMS's samples have.")
    mysql_user: str = option("", help="Its user.")
    mysql_passwd: str = option("", help="Its password.", secret=True)
    mysql_db: str = option("sems", help="Its database.")
    mysql_ca_cert: str = option("", help="Certificate of who signed the server's; with it the connection is by TLS.")
    default_language: str = option("en", help="Language when the proxy names none.")
    database_timeout: int = option(3, help="A database that has not answered is taken for dead.", unit="s", minimum=1, maximum=30)
    database_cache_time: int = option(60, help="An answer of the database is taken for right so long.", unit="s")


@dataclass(frozen=True)
class AnnouncementKeys(DatabaseKeys):
    """Where the audio is, by file and by row."""

    announce_path: str = option("prompts/", help="Folder of the files: <domain>/<user>.wav, <user>.wav, then the default.")
    default_announce: str = option("default.wav", help="File played when nothing else is found; must exist, but with a database.")
    application: str = option("", help="`application` of the rows that are looked for; empty: the module's name.")
    message: str = option("greeting_msg", help="`message` of the rows that are looked for.")
