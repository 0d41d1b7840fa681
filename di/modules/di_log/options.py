# SPDX-License-Identifier: GPL-2.0-or-later
"""di_log.conf (optional)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from di.kernel.options import option
from di.kernel.paths import existing_folder


@dataclass(frozen=True)
class Options:
    """Keys of di_log.conf."""

    dump_directory: Path = option(
        Path("/tmp"), help="Folder that dumplogtodisk may write below; `/` lifts the limit, as in SEMS.", parse=existing_folder
    )
