# SPDX-License-Identifier: GPL-2.0-or-later
"""Message boxes for tests: recordings, and a storage used by one thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from di.stores.msg_storage.keeper import Keeper, Quota

NOW_NS = 1_800_000_000_000_000_000
"""Some time in 2027: later than anything on the disk."""


def recording(path: Path, data: bytes = b"voice") -> Path:
    """A file as the media process leaves it."""
    path.write_bytes(data)
    return path


def keeper(root: Path, quota: Quota | None = None, now_ns: Callable[[], int] = lambda: NOW_NS) -> Keeper:
    """A storage whose lock nobody waits for."""
    return Keeper(root, quota or Quota(), now_ns, lambda attempt: False)
