# SPDX-License-Identifier: GPL-2.0-or-later
"""The database that an application's keys name, and what is wrong with them."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from di.apps.announcing.answers import AudioAnswers
from di.apps.announcing.audio_cache import AudioCache
from di.apps.announcing.database import AudioSource, SqliteAudio, SqlitePlace
from di.apps.announcing.keys import DatabaseKeys
from di.apps.api import ConfigError, Services, where
from di.stores.mysql_target import MysqlTarget

log = logging.getLogger(__name__)


def answers_of(source: AudioSource | None, services: Services, options: DatabaseKeys, cache: AudioCache) -> AudioAnswers | None:
    """What a database says, kept as the keys want it; None without one."""
    if source is None:
        return None
    return AudioAnswers(source, cache, services.clock, options.database_cache_time, options.database_timeout)


def open_source(services: Services, options: DatabaseKeys, *, use_mysql: bool) -> AudioSource | None:
    """The database that the keys name, those of SEMS where they are to count. Raises ConfigError."""
    place = options.database
    if place is None and use_mysql:
        for key in ("mysql_user", "mysql_passwd"):
            if not getattr(options, key):
                raise ConfigError(*where(options, key), key, "use_mysql=yes needs user and password of the database")
        host, _, port = (options.mysql_host or options.mysql_server).partition(":")
        if port and not (port.isdecimal() and 0 < int(port) < 65536):
            raise ConfigError(*where(options, "mysql_server"), "mysql_server", f"{port!r} is no port; right is host or host:port")
        place = MysqlTarget(options.mysql_user, options.mysql_passwd, host, int(port or 3306), options.mysql_db)
    if place is None:
        return None
    if isinstance(place, MysqlTarget):
        certificate = options.mysql_ca_cert
        if certificate and not Path(certificate).is_file():
            raise ConfigError(*where(options, "mysql_ca_cert"), "mysql_ca_cert", f"there is no file {certificate}")
        from di.apps.announcing.mysql_audio import MysqlAudio  # its client is a twentieth of a server's start

        return MysqlAudio(place, certificate)
    return _sqlite(services, options, place)


def _sqlite(services: Services, options: DatabaseKeys, place: SqlitePlace) -> SqliteAudio:
    """Make the file where there is none; but not on trial."""
    source = SqliteAudio(services.conf_dir / place.path)
    if not source.path.exists() and not services.trial:
        try:
            source.create()
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(*where(options, "database"), "database", f"{source.path} cannot be made: {error}") from error
        log.info("%s is made, with empty tables (docs/announcement.md)", source.path)
    return source
