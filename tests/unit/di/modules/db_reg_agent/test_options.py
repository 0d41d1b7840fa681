# SPDX-License-Identifier: GPL-2.0-or-later
"""db_reg_agent.conf: what is refused, and what it comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.kernel.config import ConfigFile, parse
from di.kernel.errors import ConfigError
from di.kernel.options import load
from di.modules.db_reg_agent.options import Options
from di.sip.registration.pacing import NS

NEEDED = 'mysql_user=u\nmysql_passwd=secret\njoined_query="SELECT 1"\n'


def read(text: str) -> Options:
    conf = ConfigFile("db_reg_agent.conf")
    parse(NEEDED + text, conf, Path("/"), lambda path: "")
    options = load(Options, conf, {}, "db_reg_agent")
    options.check()
    return options


def test_defaults() -> None:
    options = read("")
    policy = options.policy()
    assert (policy.expires_s, policy.earliest, policy.latest, policy.give_up, policy.refused_s) == (7200, 0.5, 0.5, False, 300)
    assert (options.target.host, options.target.port, options.target.database) == ("localhost", 3306, "sems")
    assert options.pace(0).every_ns == NS // 50 and "secret" not in repr(options.target)
    assert read("minimum_reregister_interval=0.4").policy().earliest == 0.4


def test_limit_of_requests() -> None:
    pace = read("enable_ratelimiting=yes\nratelimit_rate=10\nratelimit_per=5\nratelimit_slowstart=yes\n").pace(0)
    assert pace.every_ns == NS // 2 and not pace.take(0) and pace.take(NS // 2)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("minimum_reregister_interval=0.6", "minimum_reregister_interval"),
        ("enable_ratelimiting=yes\nratelimit_per=1", "ratelimit_rate"),
        ("enable_ratelimiting=yes\nratelimit_rate=1", "ratelimit_per"),
        ("reregister_interval=0", "reregister_interval"),
        ("reregister_interval=1.5", "reregister_interval"),
        ('registrations_table="a; DROP TABLE b"', "registrations_table"),
        ("mysql_server=host:99999", "mysql_server"),
        ("contact_hostport=a@b", "contact_hostport"),
    ],
)
def test_what_cannot_be_is_named(text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read(text)
