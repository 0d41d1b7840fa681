# SPDX-License-Identifier: GPL-2.0-or-later
"""cc_registrar.conf (spec applications.md §23; the keys behind `sticky_iface` are ours)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from di.kernel.options import option
from di.kernel.paths import absolute_path


def parse_users(text: str) -> tuple[tuple[str, str], ...]:
    """Read the file of that name: lines `user:password`. Raises ValueError."""
    users: dict[str, str] = {}
    try:
        lines = Path(text).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{text} cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, colon, password = line.strip().partition(":")
        if not colon or not user or not password:
            raise ValueError(f"{text}, line {number}: right is user:password")
        users[user] = password
    return tuple(users.items())


@dataclass(frozen=True)
class Options:
    """Keys of cc_registrar.conf."""

    nat_handling: bool = option(True, help="Send requests to where the REGISTER came from, whatever its Contact says.")
    sticky_iface: bool = option(True, help="Accepted; requests leave from the interface that the way there leads over.")
    any_domain: bool = option(False, help="Tell users by their names alone: whatever host stands behind the @.")
    file: Path | None = option(
        None, help="SQLite file that keeps registrations; without it they are in memory only.", parse=absolute_path
    )
    users_file: tuple[tuple[str, str], ...] = option(
        (),
        help="File of lines user:password: who may register from anywhere. trusted_peers may without.",
        parse=parse_users,
        secret=True,
    )
    realm: str = option("cordboard", help="Realm of their credentials.")
    default_expires: int = option(3600, help="How long a registration lasts that does not say.", unit="s", minimum=1)
    min_expires: int = option(60, help="Shorter ones are refused (423).", unit="s", minimum=1)
    max_expires: int = option(7200, help="Longer ones are made so short.", unit="s", minimum=1)
    max_contacts: int = option(10, help="So many contacts of one user.", minimum=1, maximum=1000)
    max_registrations: int = option(100_000, help="So many contacts in all.", minimum=1, maximum=10_000_000)
