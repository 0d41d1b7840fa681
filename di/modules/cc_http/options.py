# SPDX-License-Identifier: GPL-2.0-or-later
"""cc_http.conf."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from di.kernel.options import REQUIRED, option
from di.kernel.webhooks import parse_secret


def parse_service(text: str) -> str:
    """Read a URL."""
    if not re.match(r"https?://[^\s/]+", text):
        raise ValueError("right is http://… or https://…")
    return text


def parse_key_file(text: str) -> bytes:
    """Read the key from a file, so that it does not stand in the configuration."""
    try:
        return parse_secret(Path(text).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{text} cannot be read: {error}") from error


@dataclass(frozen=True)
class Options:
    """Keys of cc_http.conf."""

    url: str = option(REQUIRED, help="Where calls are asked about.", parse=parse_service)
    secret_file: bytes = option(
        REQUIRED, help="File with the key whsec_… that signs each POST.", parse=parse_key_file, secret=True
    )
    warn_file: str = option("", help="What the caller hears warn_seconds before the end, over the conversation.")
