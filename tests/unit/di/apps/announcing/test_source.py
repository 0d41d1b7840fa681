# SPDX-License-Identifier: GPL-2.0-or-later
"""Which database an application's keys name."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.apps.announcing.database import SqliteAudio, SqlitePlace
from di.apps.announcing.keys import DatabaseKeys
from di.apps.announcing.mysql_audio import MysqlAudio
from di.apps.announcing.source import open_source
from di.kernel.errors import ConfigError
from di.stores.mysql_target import MysqlTarget
from tests.support.playbook import Playbook


@pytest.fixture
def book(tmp_path: Path) -> Playbook:
    return Playbook(conf_dir=tmp_path)


def test_keys_of_sems_name_a_database(book: Playbook) -> None:
    keys = DatabaseKeys(mysql_user="sems", mysql_passwd="secret")
    source = open_source(book.services, keys, use_mysql=True)
    assert isinstance(source, MysqlAudio) and source._target == MysqlTarget("sems", "secret", "localhost", 3306, "sems")
    named = DatabaseKeys(mysql_user="u", mysql_passwd="p", mysql_host="db:3307", mysql_db="x")
    other = open_source(book.services, named, use_mysql=True)
    assert isinstance(other, MysqlAudio) and other._target == MysqlTarget("u", "p", "db", 3307, "x")
    assert open_source(book.services, named, use_mysql=False) is None
    assert open_source(book.services, DatabaseKeys(), use_mysql=False) is None


def test_a_sqlite_file_is_made_but_not_on_trial(book: Playbook) -> None:
    keys = DatabaseKeys(database=SqlitePlace("data/audio.db"))
    book.services.trial = True
    assert isinstance(open_source(book.services, keys, use_mysql=True), SqliteAudio)
    assert not (book.services.conf_dir / "data").exists()
    book.services.trial = False
    open_source(book.services, keys, use_mysql=True)
    assert (book.services.conf_dir / "data" / "audio.db").stat().st_size > 0
    (book.services.conf_dir / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        open_source(book.services, DatabaseKeys(database=SqlitePlace("file/audio.db")), use_mysql=False)
