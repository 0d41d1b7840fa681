# SPDX-License-Identifier: GPL-2.0-or-later
"""db_reg_agent.conf: SEMS's keys (spec applications.md §8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from di.kernel.errors import ConfigError
from di.kernel.options import REQUIRED, option, where
from di.sip.registration.account import RegisterPolicy
from di.sip.registration.nat_keys import RegisterNatOptions
from di.sip.registration.pacing import NS, RegisterPace
from di.stores.mysql_target import MysqlTarget

_UNLIMITED_A_SECOND = 50
"""Without a limit of ones own: a thousand accounts at once are no favour to any registrar."""


def _server(text: str) -> tuple[str, int]:
    """Read `host` or `host:port`."""
    host, _, port = text.partition(":")
    if not host or not re.fullmatch(r"[0-9]{1,5}|", port) or int(port or 3306) > 65535:
        raise ValueError("right is host or host:port")
    return host, int(port or 3306)


def _table(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_$]{1,64}(\.[A-Za-z0-9_$]{1,64})?", text):
        raise ValueError("right is a table's name of letters, digits, _ and $")
    return text


def _host_port(text: str) -> str:
    if not re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?", text):
        raise ValueError("right is host or host:port")
    return text


@dataclass(frozen=True)
class Options(RegisterNatOptions):
    """Where the accounts are, and how they are registered."""

    mysql_server: tuple[str, int] = option(("localhost", 3306), help="Host of the database, or host:port.", parse=_server)
    mysql_user: str = option(REQUIRED, help="User at the database.")
    mysql_passwd: str = option(REQUIRED, help="Its password.", secret=True)
    mysql_db: str = option("sems", help="Name of the database.")
    joined_query: str = option(
        REQUIRED,
        help="Query that gives subscriber_id, user, pass, realm, registration_status, expiry, last_registration (and contact) of every account.",
    )
    registrations_table: str = option("registrations", help="Table in which the state is kept.", parse=_table)
    expires: int = option(7200, help="For how long to register.", unit="s", minimum=30, maximum=604800)
    reregister_interval: float = option(0.5, help="Refresh after this share of what was granted.", minimum=0.01, maximum=1)
    minimum_reregister_interval: float = option(
        0.0,
        help="Refresh in the least busy second between this share and reregister_interval; 0: at the latter.",
        minimum=0,
        maximum=1,
    )
    enable_ratelimiting: bool = option(False, help="Send ratelimit_rate requests each ratelimit_per seconds at most.")
    ratelimit_rate: int = option(0, help="So many requests …", maximum=1_000_000)
    ratelimit_per: int = option(0, help="… in so much time.", unit="s", maximum=86400)
    ratelimit_slowstart: bool = option(False, help="Begin with none instead of ratelimit_rate requests at once.")
    delete_removed_registrations: bool = option(True, help="Delete the row of what was taken back; `no`: status 4.")
    delete_failed_deregistrations: bool = option(False, help="Delete the row, too, when taking back failed; `no`: status 5.")
    save_contacts: bool = option(True, help="Write all contacts of a reply into the column contacts.")
    db_read_contact: bool = option(False, help="Register the column contact of joined_query where it is not empty.")
    contact_hostport: str = option("", help="Register sip:user@ this host[:port].", parse=_host_port)
    outbound_proxy: str = option("", help="URI or host[:port] that requests are sent to; empty: the realm's host.")
    error_retry_interval: int = option(300, help="Try again so long after a failure; 0: never.", unit="s", maximum=86400)

    IGNORED: ClassVar[tuple[str, ...]] = ("save_auth_replies",)

    def check(self) -> None:
        """What belongs together. Raises ConfigError."""
        if self.minimum_reregister_interval and self.minimum_reregister_interval >= self.reregister_interval:
            self._wrong("minimum_reregister_interval", f"must be below reregister_interval={self.reregister_interval:g}")
        if self.enable_ratelimiting:
            for key in ("ratelimit_rate", "ratelimit_per"):
                if not getattr(self, key):
                    self._wrong(key, "must be above 0 with enable_ratelimiting=yes")

    def _wrong(self, key: str, hint: str) -> None:
        raise ConfigError(*where(self, key), key, hint)

    @property
    def target(self) -> MysqlTarget:
        """The database."""
        host, port = self.mysql_server
        return MysqlTarget(self.mysql_user, self.mysql_passwd, host, port, self.mysql_db)

    def policy(self) -> RegisterPolicy:
        """How registrations are kept: nothing is ever forgotten."""
        return RegisterPolicy(
            expires_s=self.expires,
            earliest=self.minimum_reregister_interval or self.reregister_interval,
            latest=self.reregister_interval,
            retry_s=self.error_retry_interval,
            retry_most_s=self.error_retry_interval,
            refused_s=self.error_retry_interval,
            refused_most_s=self.error_retry_interval,
            keepalive_s=self.keepalive,
            learn_contact=self.learn_contact,
        )

    def pace(self, now_ns: int) -> RegisterPace:
        """The limit of requests."""
        if not self.enable_ratelimiting:
            return RegisterPace(NS // _UNLIMITED_A_SECOND, 1, now_ns)
        return RegisterPace(self.ratelimit_per * NS // self.ratelimit_rate, self.ratelimit_rate, now_ns, self.ratelimit_slowstart)
