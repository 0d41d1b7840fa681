# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses of host names that peers write into session descriptions, without holding the hub up."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import cache

PATIENCE_S = 3.0
"""A caller hears nothing meanwhile."""
_THREADS = 4
"""Of their own: names that nobody answers for keep no other work of the hub waiting."""


def is_name(host: str) -> bool:
    """Whether a host is a name and no address."""
    return ":" not in host and host != "" and not host.replace(".", "").isdigit()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, "names")


async def address_of(host: str, ipv6: bool) -> str:
    """The first address of a name in one family; an address is returned as it is. Raises OSError, also after PATIENCE_S."""
    return (await addresses_of(host, ipv6))[0] if is_name(host) else host


async def addresses_of(host: str, ipv6: bool) -> list[str]:
    """All addresses of a name in one family, at least one. Raises OSError, also after PATIENCE_S."""
    family = socket.AF_INET6 if ipv6 else socket.AF_INET

    def ask() -> list[str]:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_DGRAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    try:
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.get_running_loop().run_in_executor(_pool(), ask)
    except TimeoutError:
        raise OSError(f"no answer within {PATIENCE_S:.0f} s") from None
    except UnicodeError as error:
        raise OSError(f"no such name can be: {error}") from None
