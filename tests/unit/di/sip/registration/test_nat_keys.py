# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys for NATs, in the file of each module that registers."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import pytest

from di.kernel.config import ConfigFile, parse
from di.kernel.errors import ConfigError
from di.kernel.options import load
from di.modules.db_reg_agent.options import Options as DbRegAgent
from di.modules.registrar_client.options import Options as RegistrarClient
from di.sip.registration.account import RegisterPolicy

T = TypeVar("T")
DATABASE = 'mysql_user=u\nmysql_passwd=p\njoined_query="SELECT 1"\n'


def policies(text: str) -> list[RegisterPolicy]:
    """What each module makes of the same keys."""
    return [
        read(DbRegAgent, "db_reg_agent", DATABASE + text).policy(),
        read(RegistrarClient, "registrar_client", text).policy(True),
    ]


def read(options: type[T], module: str, text: str) -> T:
    conf = ConfigFile(f"{module}.conf")
    parse(text, conf, Path("/"), lambda path: "")
    return load(options, conf, {}, module)


def test_they_reach_the_policy_of_both() -> None:
    assert [(p.keepalive_s, p.learn_contact) for p in policies("")] == [(0, False)] * 2
    assert [(p.keepalive_s, p.learn_contact) for p in policies("keepalive=25\nlearn_contact=yes")] == [(25, True)] * 2


def test_an_hour_is_the_most() -> None:
    assert [p.keepalive_s for p in policies("keepalive=3600")] == [3600] * 2
    for options, module, text in ((DbRegAgent, "db_reg_agent", DATABASE), (RegistrarClient, "registrar_client", "")):
        with pytest.raises(ConfigError, match="keepalive"):
            read(options, module, text + "keepalive=3601")
