# SPDX-License-Identifier: GPL-2.0-or-later
"""cc_http.conf."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from di.kernel.options import REQUIRED, option
from di.kernel.paths import absolute_path
from di.kernel.webhooks import parse_secret_file, parse_web_url


@dataclass(frozen=True)
class Options:
    """Keys of cc_http.conf."""

    url: str = option(REQUIRED, help="Where calls are asked about.", parse=parse_web_url)
    secret_file: bytes = option(
        REQUIRED, help="File with the key whsec_… that signs each POST.", parse=parse_secret_file, secret=True
    )
    warn_file: str = option("", help="What the caller hears warn_seconds before the end, over the conversation.")
    file: Path | None = option(
        None, help="SQLite file of the calls whose end is to be told; without it a crash forgets them.", parse=absolute_path
    )
