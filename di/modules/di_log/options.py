# SPDX-License-Identifier: GPL-2.0-or-later
"""di_log.conf (optional)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from di.kernel.options import option


def parse_directory(text: str) -> Path:
    """Read an absolute folder."""
    path = Path(text)
    if not path.is_absolute() or not path.is_dir():
        raise ValueError("right is the absolute path of a folder that exists")
    return path


@dataclass(frozen=True)
class Options:
    """Keys of di_log.conf."""

    dump_directory: Path = option(
        Path("/tmp"), help="Folder that dumplogtodisk may write below; `/` lifts the limit, as in SEMS.", parse=parse_directory
    )
