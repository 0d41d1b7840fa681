# SPDX-License-Identifier: GPL-2.0-or-later
"""reg_agent.conf: accounts by numbered keys, `domain`, `user` …, then `domain1`, `user1` … up to 99."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

from di.kernel.errors import ConfigError
from di.kernel.options import further_keys, where
from di.sip.registration.account import RegisterAccount

log = logging.getLogger(__name__)

MAX_ACCOUNTS = 100
KEYS = ("domain", "user", "display_name", "auth_user", "pwd", "proxy", "contact")
_KEY = re.compile(rf"({'|'.join(KEYS)})([1-9][0-9]?)?")


@dataclass(frozen=True)
class Options:
    """The keys as written."""

    keys: dict[str, str] = further_keys(
        "*",
        help="domain, user, display_name, auth_user, pwd, proxy, contact; then the same names with 1, 2, … up to 99 behind them.",
    )


def read_accounts(options: Options, file: str) -> list[RegisterAccount]:
    """The accounts in order, their suffix as handle. Reading stops at the first number without domain or user, as in SEMS; the log names
    what is left out. Raises ConfigError for an account that cannot be registered.
    """
    known: dict[int, dict[str, str]] = {}
    for key, value in options.keys.items():
        found = _KEY.fullmatch(key)
        if found is None:
            log.warning("%s: unknown key %s is ignored", file, key)
            continue
        known.setdefault(int(found[2] or 0), {})[found[1]] = value
    accounts = []
    for number in range(MAX_ACCOUNTS):
        keys = known.pop(number, {})
        if not keys.get("domain") or not keys.get("user"):
            known |= {number: keys} if keys else {}
            break
        accounts.append(_account(number, keys, file))
    if known:
        left = ", ".join(sorted(f"{key}{number or ''}" for number, keys in known.items() for key in keys))
        log.warning("%s: %s: left out, for accounts are read up to the first number without domain or user", file, left)
    return accounts


def _account(number: int, keys: Mapping[str, str], file: str) -> RegisterAccount:
    account = RegisterAccount(
        f"account{number}", keys["domain"], keys["user"], keys.get("display_name", ""), keys.get("auth_user") or keys["user"],
        keys.get("pwd", ""), keys.get("proxy", ""), keys.get("contact", ""),
    )  # fmt: skip
    if problem := account.problem():
        raise ConfigError(file, 0, f"{problem.split(' ', 1)[0]}{number or ''}", problem)
    return account


def file_of(options: Options) -> str:
    """The file's name, for messages."""
    return where(options, "keys")[0] or "reg_agent.conf"
