# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and reload of an application with announcements: which database, and what is wrong with its keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.apps.ann_b2b import PLUGIN
from di.apps.ann_b2b.options import Options
from di.kernel.errors import ConfigError
from tests.support.playbook import Playbook


@pytest.fixture
def book(tmp_path: Path) -> Playbook:
    return Playbook(conf_dir=tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("use_mysql=yes\n", "mysql_user: use_mysql=yes needs user and password"),
        ("use_mysql=yes\nmysql_user=u\n", "mysql_passwd: use_mysql=yes needs"),
        ("use_mysql=yes\nmysql_user=u\nmysql_passwd=p\nmysql_server=db:x\n", "mysql_server: 'x' is no port"),
        ("use_mysql=yes\nmysql_user=u\nmysql_passwd=p\nmysql_ca_cert=/nowhere.pem\n", "there is no file /nowhere.pem"),
        ("database=audio.db\n", "right is sqlite:FILE or mysql"),
        ("default_announce=none.wav\n", "there is no file"),
    ],
)
def test_what_is_wrong_stops_the_start(book: Playbook, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        book.load(PLUGIN, text)
    assert said in str(caught.value) and "secret" not in str(caught.value)


def test_reload(book: Playbook) -> None:
    book.load(PLUGIN, "database=sqlite:audio.db\n")
    (book.services.conf_dir / "new.wav").write_bytes(b"RIFF")
    book.services.reloaders["ann_b2b"](Options(announce_path=str(book.services.conf_dir), default_announce="new.wav"))
    with pytest.raises(ConfigError):
        book.services.reloaders["ann_b2b"](Options(default_announce="none.wav"))
    assert book.services.applications.find("ann_b2b") is not None
