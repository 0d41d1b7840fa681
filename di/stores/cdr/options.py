# SPDX-License-Identifier: GPL-2.0-or-later
"""cdr.conf: where records wait, which ways lead out, and what each of them needs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from di.kernel.options import option
from di.kernel.paths import absolute_path
from di.kernel.webhooks import parse_secret_file, parse_web_url
from di.stores.cdr.record import names
from di.stores.cdr.sinks import lines

SINKS = ("jsonl", "csv", "syslog", "webhook", "mysql", "postgresql", "sqlite")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")


def parse_sinks(text: str) -> tuple[str, ...]:
    """Read a list of ways out."""
    found = parse_words(text)
    wrong = [name for name in found if name not in SINKS]
    if wrong or not found or len(set(found)) != len(found):
        raise ValueError(f"right is a list of some of {', '.join(SINKS)}, each once")
    return found


def parse_words(text: str) -> tuple[str, ...]:
    """Read a list that commas or semicolons part."""
    return tuple(word.strip() for word in re.split(r"[,;]", text) if word.strip())


def parse_columns(text: str) -> tuple[str, ...]:
    """Read a list of columns."""
    columns = parse_words(text)
    lines.check(columns)
    if not columns:
        raise ValueError("right is a list of columns")
    return columns


def parse_word(text: str) -> str:
    """Read a name for SQL."""
    if not _WORD.match(text):
        raise ValueError("right are letters, digits and underscores, no digit first")
    return text


def parse_address(text: str) -> tuple[str, int]:
    """Read host:port, or the path of a socket, which has port 0."""
    if text.startswith("/"):
        return text, 0
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise ValueError("right is the path of a Unix socket, or host:port")
    return host.strip("[]"), int(port)


@dataclass(frozen=True)
class Options:
    """Keys of cdr.conf."""

    spool: Path = option(
        Path(os.environ.get("STATE_DIRECTORY", "/var/lib/cordboard").split(":")[0]) / "cdr.db",
        help="SQLite file in which records wait until every sink has them; on a local disk.",
        parse=absolute_path,
    )
    sinks: tuple[str, ...] = option(("jsonl",), help=f"Where records go, a list of {', '.join(SINKS)}.", parse=parse_sinks)
    node: str = option("", help="Name of this server in its records; empty: the machine's.")
    vars: tuple[str, ...] = option((), help="Attributes of the monitoring store that go into a record's vars.", parse=parse_words)
    refuse_without_record: bool = option(True, help="Refuse new calls (503) while no record of them can be kept.")
    refusals_per_second: int = option(
        20,
        help="So many calls that are refused before they are calls (a limit, no application) have a record; 0: none.",
        maximum=1000,
    )
    disk_floor_mb: int = option(
        64, help="Less free space than this where the spool lies counts as no room for records.", unit="MB", maximum=1 << 20
    )
    touch_interval: int = option(
        15,
        help="How often a call that lasts is noted; after a crash its end is known as exactly.",
        unit="s",
        minimum=1,
        maximum=3600,
    )
    give_up_after_days: int = option(
        30,
        help="A record that a sink has not taken for so long is laid aside (`cdr.dead`).",
        unit="days",
        minimum=1,
        maximum=3650,
    )
    jsonl_path: str = option(
        "/var/lib/cordboard/cdr/cdr-%Y-%m-%d.jsonl", help="File of JSON lines; strftime's marks stand for the call's end (UTC)."
    )
    csv_path: str = option("/var/lib/cordboard/cdr/cdr-%Y-%m-%d.csv", help="File of CSV lines, likewise.")
    csv_columns: tuple[str, ...] = option(names(), help="Columns of csv, first line of each file.", parse=parse_columns)
    cdr_prefix: str = option("CDR: ", help="What stands before each line in syslog, as in cc_syslog_cdr.")
    cdr_format: tuple[str, ...] = option(
        (*lines.SEMS_DEFAULT, "disposition", "invite_code", "invite_reason", "hangup_cause", "hangup_initiator"),
        help="Columns of syslog, as in cc_syslog_cdr.",
        parse=parse_columns,
    )
    quoting_enabled: bool = option(True, help="Put every value of a syslog line in quotes.")
    loglevel: int = option(2, help="Priority in syslog: 0 error, 1 warning, 2 info, 3 debug, 4 notice.", minimum=0, maximum=4)
    syslog_address: tuple[str, int] = option(("/dev/log", 0), help="Socket of syslog, or host:port (UDP).", parse=parse_address)
    webhook_url: str = option("", help="Where records are POSTed, signed by Standard Webhooks.", parse=parse_web_url)
    webhook_secret_file: bytes = option(b"", help="File with the key whsec_… that signs.", parse=parse_secret_file, secret=True)
    webhook_timeout: int = option(10, help="How long to wait for an answer.", unit="s", minimum=1, maximum=120)
    mysql_host: str = option("127.0.0.1", help="MySQL or MariaDB server.")
    mysql_port: int = option(3306, help="Its port.", minimum=1, maximum=65535)
    mysql_user: str = option("cordboard", help="Account.")
    mysql_password: str = option("", help="Its password.", secret=True)
    mysql_database: str = option("cordboard", help="Database.")
    mysql_table: str = option("cdr", help="Table; made when it is missing.", parse=parse_word)
    postgresql_host: str = option("127.0.0.1", help="PostgreSQL server; needs the Python package asyncpg.")
    postgresql_port: int = option(5432, help="Its port.", minimum=1, maximum=65535)
    postgresql_user: str = option("cordboard", help="Account.")
    postgresql_password: str = option("", help="Its password.", secret=True)
    postgresql_database: str = option("cordboard", help="Database.")
    postgresql_table: str = option("cdr", help="Table; made when it is missing.", parse=parse_word)
    postgresql_tls: str = option("prefer", help="Encryption.", choices=("disable", "prefer", "require", "verify-full"))
    sqlite_path: Path = option(
        Path("/var/lib/cordboard/cdr/cdr.sqlite"), help="SQLite file of the table `cdr`.", parse=absolute_path
    )
